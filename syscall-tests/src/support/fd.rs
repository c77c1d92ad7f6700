//! Descriptors that close themselves.

use std::ffi::CStr;

use crate::case::Failure;
use crate::sys::{Arg, SysError};

/// An open descriptor.
#[derive(Debug)]
pub(crate) struct Fd(i32);

impl Fd {
    /// Owns the descriptor that a call returned.
    pub(crate) fn own(number: i64) -> Self {
        Self(number as i32)
    }

    /// Its number.
    pub(crate) fn number(&self) -> i32 {
        self.0
    }

    /// Reads at most `len` bytes.
    pub(crate) fn read(&self, len: usize) -> Result<Vec<u8>, SysError> {
        let mut buffer = vec![0_u8; len];
        let done = sys!(SYS_read, self, buffer.as_mut_slice(), len)?;
        buffer.truncate(done as usize);
        Ok(buffer)
    }

    /// Reads up to the end of the file.
    pub(crate) fn read_all(&self) -> Result<Vec<u8>, SysError> {
        let mut all = Vec::new();
        loop {
            let piece = self.read(65536)?;
            if piece.is_empty() {
                return Ok(all);
            }
            all.extend(piece);
        }
    }

    /// Reads at most `len` bytes at `offset`.
    pub(crate) fn pread(&self, len: usize, offset: i64) -> Result<Vec<u8>, SysError> {
        let mut buffer = vec![0_u8; len];
        let done = sys!(SYS_pread64, self, buffer.as_mut_slice(), len, offset)?;
        buffer.truncate(done as usize);
        Ok(buffer)
    }

    /// Writes the bytes; returns how many were taken.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, SysError> {
        sys!(SYS_write, self, bytes, bytes.len()).map(|done| done as usize)
    }

    /// Writes the bytes at `offset`.
    pub(crate) fn pwrite(&self, bytes: &[u8], offset: i64) -> Result<usize, SysError> {
        sys!(SYS_pwrite64, self, bytes, bytes.len(), offset).map(|done| done as usize)
    }

    /// Its status.
    pub(crate) fn stat(&self) -> Result<libc::stat, SysError> {
        let mut stat = crate::sys::zeroed::<libc::stat>();
        sys!(SYS_fstat, self, &mut stat)?;
        Ok(stat)
    }

    /// Moves the file offset.
    pub(crate) fn seek(&self, offset: i64, whence: i32) -> Result<i64, SysError> {
        sys!(SYS_lseek, self, offset, whence)
    }

    /// Sets the length of the file.
    pub(crate) fn truncate(&self, len: i64) -> Result<(), SysError> {
        sys!(SYS_ftruncate, self, len).map(|_| ())
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // A test that closed it by number gets EBADF here.
        let _ = sys!(SYS_close, self.0);
    }
}

impl Arg for &Fd {
    fn raw(self) -> usize {
        self.0 as usize
    }
}

/// Opens a file; `mode` matters with `O_CREAT`.
pub(crate) fn open(path: &CStr, flags: i32, mode: u32) -> Result<Fd, SysError> {
    sys!(SYS_openat, libc::AT_FDCWD, path, flags, mode).map(Fd::own)
}

/// Makes a pipe: the reading end, the writing end.
pub(crate) fn pipe(flags: i32) -> Result<(Fd, Fd), SysError> {
    let mut ends = [0_i32; 2];
    sys!(SYS_pipe2, &mut ends, flags)?;
    Ok((Fd(ends[0]), Fd(ends[1])))
}

/// Makes a file in memory.
pub(crate) fn memfd(flags: u32) -> Result<Fd, SysError> {
    sys!(SYS_memfd_create, c"test", flags).map(Fd::own)
}

/// Makes a connected pair of unix sockets.
pub(crate) fn socketpair(kind: i32) -> Result<(Fd, Fd), SysError> {
    let mut ends = [0_i32; 2];
    sys!(SYS_socketpair, libc::AF_UNIX, kind, 0, &mut ends)?;
    Ok((Fd(ends[0]), Fd(ends[1])))
}

/// Polls one descriptor; returns the events that are ready.
pub(crate) fn poll_one(fd: &Fd, events: i16, timeout_ms: i32) -> Result<i16, SysError> {
    let mut poll = libc::pollfd {
        fd: fd.number(),
        events,
        revents: 0,
    };
    sys!(SYS_poll, &mut poll, 1, timeout_ms)?;
    Ok(poll.revents)
}

/// Waits until the descriptor can be read (or has hung up); a signal does not end the wait.
pub(crate) fn wait_readable(fd: &Fd, timeout_ms: i32) -> Result<bool, Failure> {
    loop {
        match poll_one(fd, libc::POLLIN, timeout_ms) {
            Ok(events) => return Ok(events != 0),
            Err(error) if error.errno == libc::EINTR => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The status flags of the open file.
pub(crate) fn status_flags(fd: &Fd) -> Result<i32, SysError> {
    sys!(SYS_fcntl, fd, libc::F_GETFL).map(|flags| flags as i32)
}
