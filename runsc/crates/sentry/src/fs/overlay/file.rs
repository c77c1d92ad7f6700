//! Open files and directories of an overlay.

use std::os::fd::AsFd;
use std::sync::{Arc, Weak};

use ::gofer::file as host_file;
use abi::Errno;
use locks::Mutex;
use mm::mappable::Mappable;
use mm::mapping_set::Invalidate;

use super::inode::OverlayInode;
use super::mapped::MappedOverlay;
use super::own_attr::OwnAttr;
use crate::error::Result;
use crate::fs::gofer::{END, Use};
use crate::fs::page_store::KEEP_SIZE;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::vfs::file::{File, OpenFlags, Position, Whence, Written};
use crate::vfs::inode::{DirEntry, Inode};
use crate::vfs::io::{Sink, Source};

/// An open regular file. Whether it shows the lower contents or our own is decided at each use, so that
/// a file that was opened for reading before the copy sees what is written after.
#[derive(Debug)]
pub(super) struct OverlayFile {
    inode: Arc<OverlayInode>,
    /// What all mappings of this open file share, while there are any.
    mapped: Mutex<Weak<MappedOverlay>>,
}

impl OverlayFile {
    /// Opens the inode, copied up first if it is to be written.
    pub(super) fn open(inode: Arc<OverlayInode>, flags: OpenFlags) -> Result<OverlayFile> {
        if flags.writable() {
            inode.copy_up(u64::MAX)?;
        } else {
            inode.ready_to_read()?;
        }
        Ok(OverlayFile {
            inode,
            mapped: Mutex::default(),
        })
    }

    /// [`File::write`] without a task.
    pub(super) fn write_from(
        &self,
        source: &mut Source<'_>,
        position: Position,
    ) -> Result<Written> {
        let store = self.inode.copy_up(u64::MAX)?;
        let end_stays = (position == Position::End).then(|| self.inode.append.lock());
        let offset = match position {
            Position::At(offset) => offset,
            Position::End => store.size(),
        };
        let len = store.write(source, offset)?;
        drop(end_stays);
        if len > 0 {
            self.inode.drop_capabilities()?;
            self.inode.with_own(OwnAttr::modified)?;
        }
        Ok(Written {
            len,
            end: offset.saturating_add(len as u64),
        })
    }
}

impl File for OverlayFile {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        self.inode.read_into(sink, offset)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, position: Position) -> Result<Written> {
        let written = self.write_from(source, position)?;
        if written.len > 0 && !task.has_capability(Capability::Fsetid) {
            self.inode.with_own(OwnAttr::clear_set_id)?;
        }
        Ok(written)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek_special(&self, whence: Whence, offset: i64) -> Result<u64> {
        if whence == Whence::End {
            let target = i128::from(self.inode.content_size()?) + i128::from(offset);
            let target = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
            return i64::try_from(target)
                .map(|_| target)
                .map_err(|_| Errno::EOVERFLOW);
        }
        let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        match (whence, self.inode.own_content(), self.inode.lower()) {
            (Whence::Data, Some(store), _) => store.seek_data(from),
            (Whence::Hole, Some(store), _) => store.seek_hole(from),
            (Whence::Data, None, Some(lower)) => {
                host_file::seek_data(lower.host_file(Use::Read)?.as_fd(), from)
            }
            (Whence::Hole, None, Some(lower)) => {
                host_file::seek_hole(lower.host_file(Use::Read)?.as_fd(), from)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn mappable(&self) -> Result<Arc<dyn Mappable>> {
        if let Some(mapped) = self.mapped.lock().upgrade() {
            return Ok(mapped);
        }
        let mapped = MappedOverlay::new(self.inode.clone())?;
        *self.mapped.lock() = Arc::downgrade(&mapped);
        Ok(mapped)
    }

    fn sync(&self) -> Result<()> {
        // Memory has no disk behind it.
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let store = self.inode.copy_up(u64::MAX)?;
        store.allocate(mode, offset, len)?;
        self.inode.drop_capabilities()?;
        self.inode.with_own(OwnAttr::modified)?;
        if mode & !KEEP_SIZE != 0 {
            // A hole was made: its pages show the old contents until they are taken away.
            let page = abi::PAGE_SIZE as u64;
            let end = offset
                .saturating_add(len)
                .checked_next_multiple_of(page)
                .unwrap_or(END);
            let pages = offset - offset % page..end;
            self.inode
                .shared()
                .mappings
                .invalidate(pages, Invalidate::FilePages);
        }
        Ok(())
    }
}

/// An open directory: its entries as they were when it was read from the beginning. `.` and `..` are the
/// caller's.
#[derive(Debug)]
pub(super) struct OverlayDirectory {
    inode: Arc<OverlayInode>,
    listing: Mutex<Option<Arc<Vec<DirEntry>>>>,
}

impl OverlayDirectory {
    pub(super) fn new(inode: Arc<OverlayInode>) -> OverlayDirectory {
        OverlayDirectory {
            inode,
            listing: Mutex::new(None),
        }
    }

    /// [`File::read_dir`] without a task.
    pub(super) fn list(&self, from: u64, emit: &mut dyn FnMut(DirEntry) -> bool) -> Result<()> {
        let known = self.listing.lock().clone().filter(|_| from != 0);
        let listing = match known {
            Some(listing) => listing,
            None => {
                let listing = Arc::new(self.inode.list()?);
                *self.listing.lock() = Some(listing.clone());
                listing
            }
        };
        self.inode.if_own(OwnAttr::accessed);
        let start = usize::try_from(from).unwrap_or(usize::MAX);
        for entry in listing.get(start..).unwrap_or_default() {
            if !emit(entry.clone()) {
                break;
            }
        }
        Ok(())
    }
}

impl File for OverlayDirectory {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read_dir(
        &self,
        _task: &Task,
        from: u64,
        emit: &mut dyn FnMut(DirEntry) -> bool,
    ) -> Result<()> {
        self.list(from, emit)
    }

    fn sync(&self) -> Result<()> {
        // Memory has no disk behind it.
        Ok(())
    }
}
