//! A host file as something to map.
//!
//! A page fault looks at the host descriptor under the locks of an address space, where nobody may wait
//! for the gofer. So a mapping holds a [`MappedFile`], and as long as there is one the descriptor stays
//! open.

use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use ::gofer::file;
use abi::{Errno, PAGE_SIZE};
use mm::mappable::{Extent, Mappable};
use mm::mapping_set::MappingSet;
use platform::Access;

use super::host_file::Use;
use super::inode::GoferInode;
use crate::error::Result;
use crate::vfs::inode::Inode;

/// A mapped inode, whose host descriptor stays open.
#[derive(Debug)]
pub(crate) struct MappedFile {
    inode: Arc<GoferInode>,
}

impl MappedFile {
    /// Opens the host descriptor if need be.
    ///
    /// # Errors
    /// The gofer's, when it opens the file.
    pub(crate) fn new(inode: Arc<GoferInode>) -> Result<Arc<MappedFile>> {
        inode.add_mapping()?;
        Ok(Arc::new(MappedFile { inode }))
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        self.inode.remove_mapping();
    }
}

impl Mappable for MappedFile {
    fn extent(&self, offsets: Range<u64>, access: Access) -> Result<(Extent, u64)> {
        // A writable shared mapping has an open file that writes, and so a writable descriptor.
        let wanted = if access.contains(Access::WRITE) {
            Use::Write
        } else {
            Use::Read
        };
        let host = self.inode.host_file(wanted)?;
        let size = file::attributes(host.as_fd())?.size;
        let end = size
            .checked_next_multiple_of(PAGE_SIZE as u64)
            .unwrap_or(u64::MAX);
        if offsets.start >= end {
            return Err(Errno::EFAULT);
        }
        let len = offsets.end.min(end).saturating_sub(offsets.start);
        Ok((Extent::Host(host, offsets.start), len))
    }

    fn mappings(&self) -> Option<&MappingSet> {
        Some(&self.inode.shared().mappings)
    }

    fn sync(&self, _offsets: Range<u64>) -> Result<()> {
        file::sync(self.inode.host_file(Use::Read)?.as_fd())
    }

    fn id(&self) -> u64 {
        // Given when the file was opened, and only an open file is mapped.
        self.inode.mapping_id.get().copied().unwrap_or(0)
    }
}
