//! Huge pages: zeroed memory of private areas in blocks that the host can map as one.
//!
//! What the host allows for the guest's memory is taken as the guest's own rule
//! (`/sys/kernel/mm/transparent_hugepage/enabled`, Documentation/admin-guide/mm/transhuge.rst).

use std::ops::Range;
use std::sync::atomic::Ordering;

use memory::{HUGE_PAGE, HugePages, Kind, Placement};

use super::address_space::AddressSpace;
use super::pages::{Active, Pages};
use super::vma::{Vma, VmaFlags};

impl AddressSpace {
    /// Makes a whole huge page around an address, if the area may have one and nothing is in the way; whether it did.
    pub(crate) fn populate_huge(
        &self,
        active: &mut Active,
        vma: &Vma,
        gap: &Range<usize>,
        address: usize,
    ) -> bool {
        if !self.allows_huge_pages(vma) {
            return false;
        }
        let Some(block) = block(gap, address) else {
            return false;
        };
        let placement = Placement::Growing(block.start as u64);
        let Ok(frames) = self.memory.allocate(HUGE_PAGE, Kind::Anonymous, placement) else {
            return false;
        };
        self.memory.make_huge(frames);
        active.pages.insert(block, Pages::owned(frames, vma.access));
        true
    }

    fn allows_huge_pages(&self, vma: &Vma) -> bool {
        let area_allows = match self.memory.huge_pages() {
            HugePages::Never => false,
            HugePages::Advised => vma.flags.contains(VmaFlags::HUGE_PAGE),
            HugePages::Always => !vma.flags.contains(VmaFlags::NO_HUGE_PAGE),
        };
        area_allows && !self.huge_pages_disabled()
    }

    /// `PR_GET_THP_DISABLE`: whether there shall be none here.
    #[must_use]
    pub fn huge_pages_disabled(&self) -> bool {
        self.huge_pages_disabled.load(Ordering::Relaxed)
    }

    /// `PR_SET_THP_DISABLE`; kept by fork and execve.
    pub fn disable_huge_pages(&self, disabled: bool) {
        self.huge_pages_disabled.store(disabled, Ordering::Relaxed);
    }
}

/// The block around an address, if it lies within `gap`.
fn block(gap: &Range<usize>, address: usize) -> Option<Range<usize>> {
    let len = usize::try_from(HUGE_PAGE).ok()?;
    let start = address & !(len - 1);
    let end = start.checked_add(len)?;
    (gap.start <= start && end <= gap.end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::block;

    const BLOCK: usize = 2 << 20;

    #[test]
    fn block_is_within_the_gap_or_there_is_none() {
        let cases = [
            (0..4 * BLOCK, 5 * BLOCK / 2, Some(2 * BLOCK..3 * BLOCK)),
            (BLOCK..2 * BLOCK, 2 * BLOCK - 1, Some(BLOCK..2 * BLOCK)),
            (BLOCK + 4096..4 * BLOCK, BLOCK + 4096, None),
            (BLOCK..2 * BLOCK - 4096, BLOCK, None),
            (0..usize::MAX, usize::MAX - 1, None),
        ];
        for (gap, address, expected) in cases {
            assert_eq!(block(&gap, address), expected, "{gap:x?} {address:x}");
        }
    }
}
