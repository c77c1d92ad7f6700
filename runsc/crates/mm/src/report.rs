//! What `/proc` and core dumps are told of an address space: its areas, and what of them is there.

use std::ops::Range;

use super::address_space::AddressSpace;
use super::areas::PAGE;
use super::pages::{Source, cut};
use super::vma::Vma;

/// What is resident of one area, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resident {
    /// Pages of its own.
    pub anonymous: usize,
    /// Pages of files of the host.
    pub file: usize,
    /// Pages of files in the guest's memory.
    pub shared_memory: usize,
    /// Of the above, what another owner has too.
    pub shared: usize,
}

impl AddressSpace {
    /// The areas in order, copied: naming their files takes locks that come before ours.
    #[must_use]
    pub fn vmas(&self) -> Vec<(Range<usize>, Vma)> {
        self.areas
            .read()
            .vmas
            .iter()
            .map(|(range, vma)| (range, vma.clone()))
            .collect()
    }

    /// The entries of `/proc/[pid]/pagemap` for `nr_pages` pages from `first` on (`man 5 proc_pid_pagemap`): whether
    /// each is there, and whether it is a file's. Frames have no numbers that an application could use: 0, as
    /// for those without `CAP_SYS_ADMIN`.
    #[must_use]
    pub fn pagemap(&self, first: usize, nr_pages: usize) -> Vec<u64> {
        const PRESENT: u64 = 1 << 63;
        const FILE: u64 = 1 << 61;
        let mut entries = vec![0; nr_pages];
        let Some(start) = first.checked_mul(PAGE) else {
            return entries;
        };
        let end = start.saturating_add(nr_pages.saturating_mul(PAGE));
        let active = self.active.read();
        for (run, pages) in active.pages.overlapping(start..end) {
            let (part, _) = cut(&run, pages, start..end);
            let entry = PRESENT | if pages.owned { 0 } else { FILE };
            let from = (part.start - start) / PAGE;
            let to = (part.end - start).div_ceil(PAGE);
            if let Some(entries) = entries.get_mut(from..to.min(nr_pages)) {
                entries.fill(entry);
            }
        }
        entries
    }

    /// What is resident of a range of addresses.
    #[must_use]
    pub fn resident(&self, range: &Range<usize>) -> Resident {
        let active = self.active.read();
        let mut resident = Resident::default();
        for (run, pages) in active.pages.overlapping(range.clone()) {
            let (part, source) = cut(&run, pages, range.clone());
            match &source {
                _ if pages.owned => resident.anonymous += part.len(),
                Source::Memory(_) => resident.shared_memory += part.len(),
                Source::Host(..) => resident.file += part.len(),
            }
            let Some(mut frames) = source.frames(part.len()) else {
                continue;
            };
            while !frames.is_empty() {
                // The file's own reference on shared memory is not an address space's.
                let (owners, len) = self.memory.owners(frames);
                let alone = if pages.owned { 1 } else { 2 };
                if owners > alone {
                    resident.shared += usize::try_from(len).unwrap_or(0);
                }
                frames = frames.split_at(len.max(1)).1;
            }
        }
        resident
    }
}
