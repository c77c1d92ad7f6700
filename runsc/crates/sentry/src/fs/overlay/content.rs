//! Contents: the lower file's until the first change, then our own.

use std::os::fd::AsFd;
use std::sync::Arc;

use abi::{Errno, PAGE_SIZE};
use mm::mapping_set::Invalidate;

use super::inode::OverlayInode;
use crate::error::Result;
use crate::fs::gofer::{END, Use};
use crate::fs::page_store::PageStore;
use crate::vfs::attr::FileType;
use crate::vfs::inode::Inode;
use crate::vfs::io::Sink;

impl OverlayInode {
    /// Our own contents, if the file has been copied up.
    pub(super) fn own_content(&self) -> Option<Arc<PageStore>> {
        self.content.lock().clone()
    }

    /// Our own contents, copied from the first `keep` bytes of the lower file if there are none yet.
    /// Open files and mappings of the lower file show them from then on.
    pub(super) fn copy_up(&self, keep: u64) -> Result<Arc<PageStore>> {
        let mut content = self.content.lock();
        if let Some(store) = &*content {
            return Ok(store.clone());
        }
        let store = Arc::new(PageStore::new(
            self.core.memory.clone(),
            self.core.quota.clone(),
        ));
        if let Some(lower) = self.lower() {
            let size = lower.host_attr()?.size.min(keep);
            if size > 0 {
                store.fill_from_host(lower.host_file(Use::Read)?.as_fd(), size)?;
            }
        }
        *content = Some(store.clone());
        drop(content);
        // From here on the attributes are our own too: the contents must not be forgotten.
        self.with_own(|_| ())?;
        self.shared()
            .mappings
            .invalidate(0..END, Invalidate::FilePages);
        Ok(store)
    }

    /// Sets the size.
    pub(super) fn resize(&self, size: u64) -> Result<()> {
        match self.file_type() {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        self.copy_up(size)?.resize(size)?;
        let from = size
            .checked_next_multiple_of(PAGE_SIZE as u64)
            .ok_or(Errno::EFBIG)?;
        self.shared()
            .mappings
            .invalidate(from..END, Invalidate::CopiesToo);
        Ok(())
    }

    /// Reads contents from `offset` on.
    pub(super) fn read_into(&self, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        let len = match (self.own_content(), self.lower()) {
            (Some(store), _) => store.read(sink, offset)?,
            (None, Some(lower)) => lower.read_into(sink, offset)?,
            (None, None) => 0,
        };
        self.if_own(super::own_attr::OwnAttr::accessed);
        Ok(len)
    }

    /// The size of the contents.
    pub(super) fn content_size(&self) -> Result<u64> {
        match (self.own_content(), self.lower()) {
            (Some(store), _) => Ok(store.size()),
            (None, Some(lower)) => Ok(lower.host_attr()?.size),
            (None, None) => Ok(0),
        }
    }
}
