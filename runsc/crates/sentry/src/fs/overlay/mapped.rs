//! A file of an overlay as something to map.

use std::ops::Range;
use std::sync::Arc;

use abi::Errno;
use mm::mappable::{Extent, Mappable};
use mm::mapping_set::MappingSet;
use platform::Access;

use super::inode::OverlayInode;
use crate::error::Result;
use crate::fs::gofer::MappedFile;
use crate::vfs::inode::Inode;

/// A mapped inode, with the lower file if that was its content when it was mapped.
#[derive(Debug)]
pub(super) struct MappedOverlay {
    inode: Arc<OverlayInode>,
    lower: Option<Arc<MappedFile>>,
}

impl MappedOverlay {
    pub(super) fn new(inode: Arc<OverlayInode>) -> Result<Arc<MappedOverlay>> {
        let lower = match (inode.own_content(), inode.lower()) {
            (None, Some(lower)) => Some(MappedFile::new(lower.clone())?),
            _ => None,
        };
        Ok(Arc::new(MappedOverlay { inode, lower }))
    }
}

impl Mappable for MappedOverlay {
    fn extent(&self, offsets: Range<u64>, access: Access) -> Result<(Extent, u64)> {
        match (self.inode.own_content(), &self.lower) {
            (Some(store), _) => store.extent(offsets),
            // A shared writable mapping has an open file that writes, and so contents of our own.
            (None, Some(lower)) => lower.extent(offsets, access - Access::WRITE),
            (None, None) => Err(Errno::EFAULT),
        }
    }

    fn mappings(&self) -> Option<&MappingSet> {
        Some(&self.inode.shared().mappings)
    }

    fn id(&self) -> u64 {
        // Given when the file was opened, and only an open file is mapped.
        self.inode.mapping_id.get().copied().unwrap_or(0)
    }
}
