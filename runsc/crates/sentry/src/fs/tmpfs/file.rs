//! Contents of regular files of a tmpfs.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use abi::Errno;
use abi::raw::general::{FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE};
use locks::Mutex;
use mm::mappable::{Extent, Mappable};
use mm::mapping_set::{Invalidate, MappingSet};
use platform::Access;

use super::{Core, PAGE, TmpInode};
use crate::error::Result;
use crate::fs::page_store::{PageStore, SIZE_MAX};
use crate::kernel::task::Task;
use crate::vfs::file::{File, OpenFlags, Position, Whence, Written};
use crate::vfs::inode::Inode;
use crate::vfs::io::{Sink, Source};
use crate::vfs::permission;
use crate::vfs::seals::Seals;

/// The content of a regular file.
#[derive(Debug)]
pub(super) struct Regular {
    pub(super) store: PageStore,
    pub(super) seals: Seals,
    /// Serialises writes and changes of size.
    writing: Mutex<()>,
    /// It has no name and may get one.
    pub(super) linkable: AtomicBool,
}

impl Regular {
    pub(super) fn new(core: &Arc<Core>, seals: Seals) -> Regular {
        Regular {
            store: PageStore::new(core.memory.clone(), core.quota.clone()),
            seals,
            writing: Mutex::default(),
            linkable: AtomicBool::new(false),
        }
    }

    /// Sets the size; mappings of what is behind it are taken away. EPERM if sealed.
    pub(super) fn resize(&self, mappings: &MappingSet, size: u64) -> Result<()> {
        let _writing = self.writing.lock();
        let old = self.store.size();
        self.seals.check_resize(old, size)?;
        self.store.resize(size)?;
        if size < old {
            invalidate(mappings, size.next_multiple_of(PAGE)..!(PAGE - 1));
        }
        Ok(())
    }
}

fn invalidate(mappings: &MappingSet, offsets: Range<u64>) {
    if !offsets.is_empty() {
        mappings.invalidate(offsets, Invalidate::CopiesToo);
    }
}

/// An open regular file.
#[derive(Debug)]
pub(super) struct TmpFile {
    inode: Arc<TmpInode>,
    no_atime: bool,
}

impl TmpFile {
    pub(super) fn new(inode: Arc<TmpInode>, flags: OpenFlags) -> TmpFile {
        TmpFile {
            inode,
            no_atime: flags.contains(OpenFlags::NOATIME),
        }
    }

    fn regular(&self) -> Result<&Regular> {
        self.inode.regular().ok_or(Errno::EINVAL)
    }

    /// Set-ID bits go when someone else than root writes.
    fn clear_set_id(&self, task: &Task) -> Result<()> {
        if self.inode.meta.lock().permissions & 0o6000 == 0 {
            return Ok(());
        }
        let attr = self.inode.attr()?;
        if let Some(permissions) = permission::without_set_id(&task.credentials(), &attr) {
            self.inode.meta.lock().permissions = permissions;
        }
        Ok(())
    }
}

impl File for TmpFile {
    fn held_bytes(&self, _depth: u32) -> u64 {
        // With a name, the file stays when it is closed.
        if self.inode.nlink() > 0 {
            return 0;
        }
        self.regular()
            .map_or(0, |regular| regular.store.allocated())
    }

    fn read(&self, _task: &Task, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        let len = self.regular()?.store.read(sink, offset)?;
        if !self.no_atime {
            self.inode.accessed();
        }
        Ok(len)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, position: Position) -> Result<Written> {
        let regular = self.regular()?;
        let _writing = regular.writing.lock();
        let size = regular.store.size();
        let start = match position {
            Position::At(offset) => offset,
            Position::End => size,
        };
        if source.remaining() == 0 {
            return Ok(Written { len: 0, end: start });
        }
        let end = start.saturating_add(source.remaining() as u64);
        regular.seals.check_write(size, end)?;
        self.clear_set_id(task)?;
        self.inode.xattrs.lock().drop_capabilities();
        let len = regular.store.write(source, start)?;
        self.inode.modified();
        Ok(Written {
            len,
            end: start.saturating_add(len as u64),
        })
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek_special(&self, whence: Whence, offset: i64) -> Result<u64> {
        let store = &self.regular()?.store;
        let from = || u64::try_from(offset).map_err(|_| Errno::ENXIO);
        match whence {
            Whence::End => {
                let end = i128::from(store.size()) + i128::from(offset);
                if end < 0 {
                    return Err(Errno::EINVAL);
                }
                u64::try_from(end).map_err(|_| Errno::EOVERFLOW)
            }
            Whence::Data => store.seek_data(from()?),
            Whence::Hole => store.seek_hole(from()?),
            Whence::Set | Whence::Current => Err(Errno::EINVAL),
        }
    }

    fn mappable(&self) -> Result<Arc<dyn Mappable>> {
        Ok(self.inode.clone())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let regular = self.regular()?;
        let _writing = regular.writing.lock();
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        let punches = mode & FALLOC_FL_PUNCH_HOLE != 0;
        if punches || mode & FALLOC_FL_ZERO_RANGE != 0 {
            regular.seals.check_write(0, 0)?;
        }
        if mode & FALLOC_FL_KEEP_SIZE == 0 {
            if end > SIZE_MAX {
                return Err(Errno::EFBIG);
            }
            let size = regular.store.size();
            regular.seals.check_resize(size, size.max(end))?;
        }
        regular.store.allocate(mode, offset, len)?;
        self.inode.xattrs.lock().drop_capabilities();
        if punches || mode & FALLOC_FL_ZERO_RANGE != 0 {
            let first = offset - offset % PAGE;
            let last = end.checked_next_multiple_of(PAGE).ok_or(Errno::EFBIG)?;
            self.inode
                .shared
                .mappings
                .invalidate(first..last, Invalidate::FilePages);
        }
        self.inode.modified();
        Ok(())
    }
}

impl Mappable for TmpInode {
    fn extent(&self, offsets: Range<u64>, _access: Access) -> Result<(Extent, u64)> {
        let regular = self.regular().ok_or(Errno::EFAULT)?;
        regular.store.extent(offsets)
    }

    fn mappings(&self) -> Option<&MappingSet> {
        Some(&self.shared.mappings)
    }

    fn punch_hole(&self, offsets: Range<u64>) -> Result<()> {
        let regular = self.regular().ok_or(Errno::EINVAL)?;
        let _writing = regular.writing.lock();
        regular.seals.check_write(0, 0)?;
        regular.store.punch(offsets.clone());
        invalidate(&self.shared.mappings, offsets);
        Ok(())
    }

    fn id(&self) -> u64 {
        // Given when the file was opened, and only an open file is mapped.
        self.mapping_id.get().copied().unwrap_or(0)
    }
}
