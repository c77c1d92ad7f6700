//! Host I/O straight into and out of guest memory, without a bounce buffer.

#![expect(
    unsafe_code,
    reason = "passes raw addresses to the host's vectored calls"
)]

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, iovec, off_t};

use crate::{Errno, GuestBytes, Result};

/// Most pieces that one host call takes (`IOV_MAX`).
pub const MAX_PIECES: usize = 1024;

/// Where in the file an operation takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// At the descriptor's own offset, which moves; for pipes, terminals and sockets too.
    Current,
    /// As `Current`, but EAGAIN rather than waiting (`RWF_NOWAIT`), whatever the descriptor's flags say;
    /// EOPNOTSUPP for files that can't promise it (terminals).
    CurrentNow,
    /// At this offset.
    At(u64),
}

/// Reads from a host descriptor into pieces of guest memory (preadv(2)), the first 1024 of them.
/// Returns how many bytes came, 0 at the end of the file.
///
/// # Errors
/// What the host reports; EFAULT if a piece can't be written, after the bytes that did fit.
pub fn read(fd: BorrowedFd<'_>, pieces: &[GuestBytes<'_>], position: Position) -> Result<usize> {
    let vectors = vectors(pieces);
    // SAFETY: 1. the vectors cover mappings that stay in place while `pieces` is borrowed; 2. there
    // are no references to their bytes; 3. the descriptor is open while it is borrowed.
    let outcome = unsafe {
        match position {
            Position::Current => libc::readv(fd.as_raw_fd(), vectors.as_ptr(), count(&vectors)),
            Position::CurrentNow => libc::preadv2(
                fd.as_raw_fd(),
                vectors.as_ptr(),
                count(&vectors),
                -1,
                libc::RWF_NOWAIT,
            ),
            Position::At(at) => libc::preadv(
                fd.as_raw_fd(),
                vectors.as_ptr(),
                count(&vectors),
                offset(at)?,
            ),
        }
    };
    answer(outcome)
}

/// As [`read`] at an offset, but only what the host has in its page cache.
///
/// # Errors
/// EAGAIN if the next byte is not cached, EOPNOTSUPP if the file system can't tell (`preadv2(2)`,
/// `RWF_NOWAIT`), and what [`read`] reports.
pub fn read_cached(fd: BorrowedFd<'_>, pieces: &[GuestBytes<'_>], at: u64) -> Result<usize> {
    let vectors = vectors(pieces);
    let at = offset(at)?;
    // SAFETY: as for `read`.
    answer(unsafe {
        libc::preadv2(
            fd.as_raw_fd(),
            vectors.as_ptr(),
            count(&vectors),
            at,
            libc::RWF_NOWAIT,
        )
    })
}

/// Writes pieces of guest memory, the first 1024 of them, to a host descriptor (pwritev(2)).
/// Returns how many bytes went.
///
/// # Errors
/// What the host reports; EFAULT if a piece can't be read, after the bytes that did fit.
pub fn write(fd: BorrowedFd<'_>, pieces: &[GuestBytes<'_>], position: Position) -> Result<usize> {
    let vectors = vectors(pieces);
    // SAFETY: as for `read`; the call only reads the pieces.
    let outcome = unsafe {
        match position {
            Position::Current => libc::writev(fd.as_raw_fd(), vectors.as_ptr(), count(&vectors)),
            Position::CurrentNow => libc::pwritev2(
                fd.as_raw_fd(),
                vectors.as_ptr(),
                count(&vectors),
                -1,
                libc::RWF_NOWAIT,
            ),
            Position::At(at) => libc::pwritev(
                fd.as_raw_fd(),
                vectors.as_ptr(),
                count(&vectors),
                offset(at)?,
            ),
        }
    };
    answer(outcome)
}

fn vectors(pieces: &[GuestBytes<'_>]) -> Vec<iovec> {
    let vector = |piece: &GuestBytes<'_>| iovec {
        iov_base: std::ptr::without_provenance_mut::<c_void>(piece.address()),
        iov_len: piece.len(),
    };
    pieces.iter().take(MAX_PIECES).map(vector).collect()
}

fn count(vectors: &[iovec]) -> c_int {
    c_int::try_from(vectors.len()).expect("at most 1024")
}

fn offset(at: u64) -> Result<off_t> {
    off_t::try_from(at).map_err(|_| Errno::EINVAL)
}

fn answer(outcome: isize) -> Result<usize> {
    usize::try_from(outcome)
        .map_err(|_| Errno::from_raw(std::io::Error::last_os_error().raw_os_error().unwrap_or(5)))
}
