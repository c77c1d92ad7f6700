//! An open regular file of the host, and the host's page cache as something to map.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

use ::gofer::file;
use abi::Errno;
use locks::Mutex;
use mm::mappable::Mappable;

use super::host_file::Use;
use super::inode::GoferInode;
use super::mapped::MappedFile;
use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::vfs::file::{File, OpenFlags, Position, Whence, Written};
use crate::vfs::io::{Sink, Source};

/// An open regular file.
#[derive(Debug)]
pub(super) struct GoferFile {
    inode: Arc<GoferInode>,
    flags: OpenFlags,
    needs: Use,
    /// What all mappings of this open file share, while there are any.
    mapped: Mutex<Weak<MappedFile>>,
}

impl GoferFile {
    /// Opens the inode: the host descriptor is at hand from now on, so that no later failure of the
    /// gofer becomes a failure of `read(2)`.
    pub(super) fn open(inode: Arc<GoferInode>, flags: OpenFlags) -> Result<Arc<GoferFile>> {
        let needs = if flags.writable() {
            Use::Write
        } else {
            Use::Read
        };
        inode.add_user(needs)?;
        Ok(Arc::new(GoferFile {
            inode,
            flags,
            needs,
            mapped: Mutex::default(),
        }))
    }

    fn write_at(
        &self,
        source: &mut Source<'_>,
        fd: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<Written> {
        let len = match source {
            Source::User(io) => io.write_host(fd, Some(offset))?,
            Source::Kernel(bytes) => {
                let len = file::write_at(fd, bytes, offset)?;
                *bytes = bytes.get(len..).unwrap_or_default();
                len
            }
        };
        if self
            .flags
            .intersects(OpenFlags::DSYNC | OpenFlags::SYNC_BIT)
            && len > 0
        {
            file::sync(fd)?;
        }
        Ok(Written {
            len,
            end: offset.saturating_add(len as u64),
        })
    }

    /// [`File::read`] without a task.
    pub(super) fn read_into(&self, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        self.inode.read_into(sink, offset)
    }

    /// [`File::write`] without a task.
    pub(super) fn write_from(
        &self,
        source: &mut Source<'_>,
        position: Position,
    ) -> Result<Written> {
        let host = self.inode.host_file(Use::Write)?;
        match position {
            Position::At(offset) => self.write_at(source, host.as_fd(), offset),
            Position::End => {
                let _end_stays = self.inode.append.lock();
                let end = file::attributes(host.as_fd())?.size;
                self.write_at(source, host.as_fd(), end)
            }
        }
    }
}

impl GoferInode {
    /// Reads contents from `offset` on.
    pub(crate) fn read_into(&self, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        let host = self.host_file(Use::Read)?;
        match sink {
            Sink::User(io) => io.read_host(host.as_fd(), Some(offset)),
            Sink::Kernel(buffer) => {
                let len = file::read_at(host.as_fd(), buffer, offset)?;
                let rest = std::mem::take(buffer);
                *buffer = rest.get_mut(len..).unwrap_or_default();
                Ok(len)
            }
        }
    }
}

impl Drop for GoferFile {
    fn drop(&mut self) {
        self.inode.remove_user(self.needs);
    }
}

impl File for GoferFile {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        self.read_into(sink, offset)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, position: Position) -> Result<Written> {
        let set_id = self.inode.set_id_bits();
        let written = self.write_from(source, position)?;
        if set_id != 0 && written.len > 0 && task.has_capability(Capability::Fsetid) {
            // The host has cleared them: this process has no capability.
            self.inode.restore_permissions(set_id)?;
        }
        Ok(written)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek_special(&self, whence: Whence, offset: i64) -> Result<u64> {
        let host = self.inode.host_file(Use::Read)?;
        let from = || u64::try_from(offset).map_err(|_| Errno::ENXIO);
        match whence {
            Whence::End => {
                let size = file::attributes(host.as_fd())?.size;
                let target = i128::from(size) + i128::from(offset);
                if target < 0 {
                    return Err(Errno::EINVAL);
                }
                i64::try_from(target).map_err(|_| Errno::EOVERFLOW)?;
                u64::try_from(target).map_err(|_| Errno::EOVERFLOW)
            }
            Whence::Data => file::seek_data(host.as_fd(), from()?),
            Whence::Hole => file::seek_hole(host.as_fd(), from()?),
            Whence::Set | Whence::Current => Err(Errno::EINVAL),
        }
    }

    fn mappable(&self) -> Result<Arc<dyn Mappable>> {
        if let Some(mapped) = self.mapped.lock().upgrade() {
            return Ok(mapped);
        }
        let mapped = MappedFile::new(self.inode.clone())?;
        *self.mapped.lock() = Arc::downgrade(&mapped);
        Ok(mapped)
    }

    fn sync(&self) -> Result<()> {
        file::sync(self.inode.host_file(Use::Read)?.as_fd())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let host = self.inode.host_file(Use::Write)?;
        file::allocate(host.as_fd(), mode, offset, len)?;
        self.inode.attr_changed();
        Ok(())
    }
}
