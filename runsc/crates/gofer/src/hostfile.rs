//! [`HostFile`]: a regular file of the host that was donated, used at offsets of the caller's.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use abi::Errno;
use host::errno;
use host::rustix::fs::{self, FallocateFlags, SeekFrom};
use host::rustix::io::{self, ReadWriteFlags};

use crate::local::stat_fd;
use crate::types::{Access, Attr, Result};

/// A donated descriptor of a regular file. Clones share it; its file offset is never used.
#[derive(Clone, Debug)]
pub struct HostFile {
    fd: Arc<OwnedFd>,
    access: Access,
}

impl AsFd for HostFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl HostFile {
    /// The file behind a descriptor that was opened for `access`.
    #[must_use]
    pub fn new(fd: OwnedFd, access: Access) -> HostFile {
        HostFile {
            fd: Arc::new(fd),
            access,
        }
    }

    /// The descriptor, to be kept while a mapping of it exists.
    #[must_use]
    pub fn shared_fd(&self) -> Arc<OwnedFd> {
        self.fd.clone()
    }

    /// What the descriptor may be used for.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Reads into the pieces from `offset` on; returns the number of bytes, 0 at the end of the file.
    ///
    /// # Errors
    /// Those of `preadv(2)`.
    pub fn read_at(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        retry(|| io::preadv(&self.fd, pieces, offset))
    }

    /// Writes the pieces from `offset` on; returns the number of bytes.
    ///
    /// # Errors
    /// Those of `pwritev2(2)`.
    pub fn write_at(
        &self,
        pieces: &[IoSlice<'_>],
        offset: u64,
        flags: ReadWriteFlags,
    ) -> Result<usize> {
        retry(|| io::pwritev2(&self.fd, pieces, offset, flags))
    }

    /// The attributes now, without asking the gofer.
    ///
    /// # Errors
    /// Those of `statx(2)`.
    pub fn attributes(&self) -> Result<Attr> {
        stat_fd(self.fd.as_fd())
    }

    /// Sets the size in bytes; the descriptor must be writable.
    ///
    /// # Errors
    /// Those of `ftruncate(2)`.
    pub fn truncate(&self, size: u64) -> Result<()> {
        retry(|| fs::ftruncate(&self.fd, size))
    }

    /// Allocates or frees a range as `fallocate(2)` does.
    ///
    /// # Errors
    /// Those of `fallocate(2)`.
    pub fn allocate(&self, mode: FallocateFlags, offset: u64, len: u64) -> Result<()> {
        retry(|| fs::fallocate(&self.fd, mode, offset, len))
    }

    /// Writes contents and attributes to the disk.
    ///
    /// # Errors
    /// Those of `fsync(2)`.
    pub fn sync(&self) -> Result<()> {
        retry(|| fs::fsync(&self.fd))
    }

    /// Writes the contents to the disk.
    ///
    /// # Errors
    /// Those of `fdatasync(2)`.
    pub fn sync_data(&self) -> Result<()> {
        retry(|| fs::fdatasync(&self.fd))
    }

    /// The next offset at or after `offset` that holds data.
    ///
    /// # Errors
    /// `ENXIO` if there is none.
    pub fn seek_data(&self, offset: u64) -> Result<u64> {
        fs::seek(&self.fd, SeekFrom::Data(offset)).map_err(errno)
    }

    /// The next offset at or after `offset` that is a hole; the end of the file counts as one.
    ///
    /// # Errors
    /// `ENXIO` if `offset` is beyond the end.
    pub fn seek_hole(&self, offset: u64) -> Result<u64> {
        fs::seek(&self.fd, SeekFrom::Hole(offset)).map_err(errno)
    }
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> Result<T> {
    loop {
        match call().map_err(errno) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
