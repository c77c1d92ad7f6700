//! The way back from a file to the address spaces that map it.
//!
//! A file that shrinks, loses pages or moves to another host descriptor first makes the change, then
//! calls [`MappingSet::invalidate`]: faults that come later see the new state.

use std::ops::Range;
use std::sync::{Arc, Weak};

use locks::Mutex;

use super::AddressSpace;

/// What an invalidation takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidate {
    /// The file's own pages; private copies stay (its backing has moved, pages were evicted).
    FilePages,
    /// Private copies of them too (truncation, holes), as Linux does.
    CopiesToo,
}

/// The mappings of one file.
#[derive(Debug, Default)]
pub struct MappingSet {
    /// Address spaces that have mapped the file, and perhaps no longer do.
    spaces: Mutex<Vec<Weak<AddressSpace>>>,
}

impl MappingSet {
    /// Notes that an address space maps the file; called under its *mm mappings* lock.
    pub(crate) fn register(&self, mm: &Weak<AddressSpace>) {
        let mut spaces = self.spaces.lock();
        if !spaces.iter().any(|known| known.ptr_eq(mm)) {
            spaces.retain(|known| known.strong_count() > 0);
            spaces.push(Weak::clone(mm));
        }
    }

    /// Takes the pages at `offsets` (page-aligned) away from all address spaces. On return no
    /// application code can use them. No lock from *mm mappings* rightwards may be held.
    pub fn invalidate(&self, offsets: Range<u64>, what: Invalidate) {
        let spaces: Vec<Arc<AddressSpace>> = self
            .spaces
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for mm in spaces {
            mm.invalidate(self, &offsets, what);
        }
    }

    /// Notes that an address space no longer maps the file; called under its *mm mappings* lock.
    pub(crate) fn forget(&self, mm: &Weak<AddressSpace>) {
        self.spaces.lock().retain(|known| !known.ptr_eq(mm));
    }

    /// Whether a mapping exists, or may come to be by mprotect, through which the file is written.
    #[must_use]
    pub fn has_writable(&self) -> bool {
        let spaces: Vec<Arc<AddressSpace>> = self
            .spaces
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        spaces.iter().any(|mm| mm.maps_file_writable(self))
    }

    /// Whether any address space has the file mapped.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        let spaces: Vec<Arc<AddressSpace>> = self
            .spaces
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        spaces.iter().any(|mm| mm.maps_file(self))
    }
}
