//! Calls on a donated descriptor of a regular file, at offsets of the caller's: what its holder can do
//! without asking the gofer.
//!
//! Bulk data moves straight between the descriptor and guest memory (`memory::io`); the reads and
//! writes here are for buffers of the caller's own.

use std::os::fd::BorrowedFd;

use abi::Errno;
use host::errno;
use rustix::fs::{self, FallocateFlags, SeekFrom};
use rustix::io;

pub use crate::local::stat_fd as attributes;
use crate::types::Result;

/// Reads into `buffer` from `offset` on; returns the number of bytes, 0 at the end of the file.
///
/// # Errors
/// Those of `pread(2)`.
pub fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Result<usize> {
    retry(|| io::pread(fd, &mut *buffer, offset))
}

/// Writes `bytes` from `offset` on; returns the number of bytes.
///
/// # Errors
/// Those of `pwrite(2)`.
pub fn write_at(fd: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<usize> {
    retry(|| io::pwrite(fd, bytes, offset))
}

/// Sets the size in bytes; the descriptor must be writable.
///
/// # Errors
/// Those of `ftruncate(2)`.
pub fn truncate(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    retry(|| fs::ftruncate(fd, size))
}

/// Allocates or frees a range; `mode` is that of `fallocate(2)`.
///
/// # Errors
/// Those of `fallocate(2)`; `EOPNOTSUPP` for an unknown mode.
pub fn allocate(fd: BorrowedFd<'_>, mode: u32, offset: u64, len: u64) -> Result<()> {
    let mode = FallocateFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
    retry(|| fs::fallocate(fd, mode, offset, len))
}

/// Writes contents and attributes to the disk.
///
/// # Errors
/// Those of `fsync(2)`.
pub fn sync(fd: BorrowedFd<'_>) -> Result<()> {
    retry(|| fs::fsync(fd))
}

/// The next offset at or after `offset` that holds data.
///
/// # Errors
/// `ENXIO` if there is none.
pub fn seek_data(fd: BorrowedFd<'_>, offset: u64) -> Result<u64> {
    fs::seek(fd, SeekFrom::Data(offset)).map_err(errno)
}

/// The next offset at or after `offset` that is a hole; the end of the file counts as one.
///
/// # Errors
/// `ENXIO` if `offset` is beyond the end.
pub fn seek_hole(fd: BorrowedFd<'_>, offset: u64) -> Result<u64> {
    fs::seek(fd, SeekFrom::Hole(offset)).map_err(errno)
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> Result<T> {
    loop {
        match call().map_err(errno) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
