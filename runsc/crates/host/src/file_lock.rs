//! Locks of files that other processes of the host see: `flock(2)`, and open file description locks of `fcntl(2)`.
//! Nothing here waits.

#![expect(unsafe_code, reason = "rustix has no locks of open file descriptions")]

use std::os::fd::{AsFd, AsRawFd};

use abi::Errno;
use rustix::fs::{FlockOperation, flock};

use crate::{Result, errno};

/// Shared or exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Shared.
    Read,
    /// Exclusive.
    Write,
}

/// Bytes of a file, as `struct flock` counts them: a length of 0 means up to the end, wherever that will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: i64,
    /// How many.
    pub len: i64,
}

/// A lock of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Shared or exclusive.
    pub kind: Kind,
    /// What it covers.
    pub range: Range,
    /// Whether an open file description has it, and not a process.
    pub by_open_file: bool,
}

fn raw(kind: Option<Kind>, range: Range) -> libc::flock {
    let kind = match kind {
        Some(Kind::Read) => libc::F_RDLCK,
        Some(Kind::Write) => libc::F_WRLCK,
        None => libc::F_UNLCK,
    };
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: 0,
        l_start: range.start,
        l_len: range.len,
        l_pid: 0,
    }
}

fn call(fd: impl AsFd, command: libc::c_int, lock: &mut libc::flock) -> Result<()> {
    // SAFETY: both commands take a pointer to a `flock`, which lives through the call; neither waits.
    let result = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), command, &raw mut *lock) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()
            .raw_os_error()
            .map_or(Errno::EIO, Errno::from_raw));
    }
    Ok(())
}

/// Takes, changes or (none) gives up a lock of the open file description; false if another's is in the way.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn set_record(fd: impl AsFd, kind: Option<Kind>, range: Range) -> Result<bool> {
    match call(fd, libc::F_OFD_SETLK, &mut raw(kind, range)) {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A lock of another that is in the way of one of this kind.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn conflict(fd: impl AsFd, kind: Kind, range: Range) -> Result<Option<Held>> {
    let mut lock = raw(Some(kind), range);
    call(fd, libc::F_OFD_GETLK, &mut lock)?;
    let kind = match libc::c_int::from(lock.l_type) {
        libc::F_RDLCK => Kind::Read,
        libc::F_WRLCK => Kind::Write,
        _ => return Ok(None),
    };
    Ok(Some(Held {
        kind,
        range: Range {
            start: lock.l_start,
            len: lock.l_len,
        },
        by_open_file: lock.l_pid == -1,
    }))
}

/// Takes, changes or (none) gives up the lock of the whole file; false if another's is in the way, and then it has
/// none any more (`man 2 flock`).
///
/// # Errors
/// Those of `flock(2)`.
pub fn set_whole(fd: impl AsFd, kind: Option<Kind>) -> Result<bool> {
    let operation = match kind {
        Some(Kind::Read) => FlockOperation::NonBlockingLockShared,
        Some(Kind::Write) => FlockOperation::NonBlockingLockExclusive,
        None => FlockOperation::Unlock,
    };
    match flock(fd, operation).map_err(errno) {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(errno),
    }
}
