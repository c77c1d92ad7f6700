//! [`SharedMemory`]: what shared anonymous mappings and System V segments map.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use abi::{Errno, PAGE_SIZE};
use memory::MemoryFile;
use mm::mappable::{Extent, Mappable};
use mm::mapping_set::{Invalidate, MappingSet};
use platform::Access;

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

    /// What a shared anonymous mapping of `len` bytes maps.
    ///
    /// # Errors
    /// ENOMEM if its pages end beyond all addresses, EFBIG.
    pub fn anonymous(memory: &Arc<MemoryFile>, len: usize) -> Result<Arc<SharedMemory>> {
        let size = len
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(Errno::ENOMEM)?;
        SharedMemory::new(
            memory,
            size as u64,
            "00:01 1 /dev/zero (deleted)".to_owned(),
        )
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

#[cfg(test)]
mod tests {
    use memory::MemoryFile;
    use mm::AddressSpace;
    use mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
    use platform::{Access, Platform};

    use super::SharedMemory;

    const PAGE: usize = 4096;

    #[test]
    fn it_stays_shared_after_fork() {
        memory::install_fault_handler().unwrap();
        let memory = MemoryFile::new(None).unwrap();
        let request = MapRequest {
            at: MapAt::Hint(0),
            len: 4 * PAGE,
            access: Access::READ | Access::WRITE,
            max_access: Access::all(),
            private: false,
            backing: Backing::File {
                mappable: SharedMemory::anonymous(&memory, 4 * PAGE - 1).unwrap(),
                offset: 0,
                open: None,
            },
            grows_down: false,
            locked: false,
            no_reserve: false,
            populate: false,
            stack: false,
        };
        let limits = MmLimits {
            address_space: u64::MAX,
            data: u64::MAX,
            stack: 8 << 20,
            locked: u64::MAX,
        };
        let parent = AddressSpace::new(&memory, &Platform::mock()).unwrap();
        let at = parent.map(&request, &limits).unwrap();
        let child = parent.fork().unwrap();
        child.write_bytes(at + 3 * PAGE, b"shared").unwrap();
        let mut bytes = [0; 6];
        parent.read_bytes(at + 3 * PAGE, &mut bytes).unwrap();
        assert_eq!(&bytes, b"shared");
        assert_eq!(parent.futex_key(at, false), child.futex_key(at, false));
        assert_ne!(parent.futex_key(at, true), child.futex_key(at, true));
    }
}
