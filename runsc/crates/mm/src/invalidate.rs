//! What happens to an address space when a file that it maps changes underneath.

use std::ops::Range;

use super::address_space::AddressSpace;
use super::mapping_set::{Invalidate, MappingSet};
use super::vma::VmaFlags;

impl AddressSpace {
    /// Drops the pages of a file at `offsets`; leaves the registry if nothing of the file is mapped.
    pub(crate) fn invalidate(&self, set: &MappingSet, offsets: &Range<u64>, what: Invalidate) {
        let areas = self.areas.read();
        if !areas.maps(set) {
            set.forget(self.me());
            return;
        }
        let mut active = self.active.write();
        for part in areas.mapping(set, offsets) {
            match what {
                Invalidate::CopiesToo => self.drop_pages(&mut active, part),
                Invalidate::FilePages => {
                    let of_file: Vec<Range<usize>> = active
                        .pages
                        .overlapping(part.clone())
                        .filter(|(_, pages)| !pages.owned)
                        .map(|(run, _)| run.start.max(part.start)..run.end.min(part.end))
                        .collect();
                    for run in of_file {
                        self.drop_pages(&mut active, run);
                    }
                }
            }
        }
    }

    /// Begins again with nothing mapped in the host, after [`platform::Exit::MappingFailed`].
    pub fn start_over(&self) {
        self.unmap_everything(&mut self.active.write());
    }

    /// Whether any area maps the file of this registry.
    pub(crate) fn maps_file(&self, set: &MappingSet) -> bool {
        self.areas.read().maps(set)
    }

    /// Whether an area maps the file of this registry shared and may be made writable.
    pub(crate) fn maps_file_writable(&self, set: &MappingSet) -> bool {
        let writable = VmaFlags::SHARED | VmaFlags::MAY_WRITE;
        self.areas
            .read()
            .vmas
            .iter()
            .any(|(_, vma)| vma.flags.contains(writable) && super::areas::maps(vma, set))
    }
}
