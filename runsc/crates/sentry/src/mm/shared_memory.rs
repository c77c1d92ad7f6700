//! [`SharedMemory`]: what shared anonymous mappings and System V segments map.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use memory::MemoryFile;
use platform::Access;

use super::mappable::{Extent, Mappable};
use super::mapping_set::{Invalidate, MappingSet};
use crate::error::Result;
use crate::fs::page_store::{PageStore, Quota};

/// Zeroed memory of a fixed size that several address spaces can map.
pub struct SharedMemory {
    store: PageStore,
    mappings: MappingSet,
    description: String,
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedMemory({} bytes)", self.store.size())
    }
}

impl SharedMemory {
    /// `size` zero bytes, shown as `description` in `/proc/[pid]/maps` (device, inode and path).
    ///
    /// # Errors
    /// EFBIG for more than a file may have.
    pub fn new(
        memory: &Arc<MemoryFile>,
        size: u64,
        description: String,
    ) -> Result<Arc<SharedMemory>> {
        let store = PageStore::new(Arc::clone(memory), Quota::new(None));
        store.resize(size)?;
        Ok(Arc::new(SharedMemory {
            store,
            mappings: MappingSet::default(),
            description,
        }))
    }

    /// What a shared anonymous mapping maps.
    ///
    /// # Errors
    /// EFBIG
    pub fn anonymous(memory: &Arc<MemoryFile>, size: u64) -> Result<Arc<SharedMemory>> {
        SharedMemory::new(memory, size, "00:01 1 /dev/zero (deleted)".to_owned())
    }

    /// How many bytes have pages.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.store.allocated()
    }
}

impl Mappable for SharedMemory {
    fn extent(&self, offsets: Range<u64>, _access: Access) -> Result<(Extent, u64)> {
        self.store.extent(offsets)
    }

    fn mappings(&self) -> Option<&MappingSet> {
        Some(&self.mappings)
    }

    fn punch_hole(&self, offsets: Range<u64>) -> Result<()> {
        self.store.punch(offsets.clone());
        self.mappings.invalidate(offsets, Invalidate::CopiesToo);
        Ok(())
    }

    fn id(&self) -> u64 {
        std::ptr::from_ref(self).addr() as u64
    }

    fn describe(&self) -> Option<String> {
        Some(self.description.clone())
    }
}
