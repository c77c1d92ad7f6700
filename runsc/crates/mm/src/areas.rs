//! [`Areas`]: the areas of an address space, their totals, and where new ones find room.

use std::ops::Range;

use abi::Errno;

use super::mapping_set::MappingSet;
use super::range_map::RangeMap;
use super::vma::{Vma, VmaFlags};
use crate::Result;

/// Bytes in a page.
pub(crate) const PAGE: usize = abi::PAGE_SIZE;
/// Most areas of an address space (`vm.max_map_count`).
const MAX_AREAS: usize = 65530;
/// What stays free below a stack that grows (`stack_guard_gap`, 256 pages).
pub(crate) const GUARD_GAP: usize = 256 * PAGE;

/// Everything that the *mm mappings* lock protects.
#[derive(Debug, Default)]
pub(crate) struct Areas {
    pub(crate) vmas: RangeMap<Vma>,
    /// Where the heap starts, and the current break.
    pub(crate) brk: Range<usize>,
    /// New mappings are placed below this address.
    pub(crate) mmap_base: usize,
    /// Lowest and highest address that can be mapped.
    pub(crate) bounds: Range<usize>,
    /// `mlockall(MCL_FUTURE)` is in force.
    pub(crate) lock_future: bool,
    /// All bytes, those of data, those that are locked.
    pub(crate) total: usize,
    pub(crate) peak_total: usize,
    pub(crate) data: usize,
    pub(crate) locked: usize,
}

impl Areas {
    /// Adds an area where nothing is.
    pub(crate) fn add(&mut self, range: Range<usize>, vma: Vma) {
        self.count(&range, &vma, usize::wrapping_add);
        self.peak_total = self.peak_total.max(self.total);
        self.vmas.insert(range, vma);
    }

    /// Removes what lies in `range`.
    pub(crate) fn cut(&mut self, range: Range<usize>) -> Vec<(Range<usize>, Vma)> {
        let removed = self.vmas.remove(range);
        for (range, vma) in &removed {
            self.count(range, vma, usize::wrapping_sub);
        }
        removed
    }

    /// Changes what lies in `range`.
    pub(crate) fn change(&mut self, range: Range<usize>, change: impl Fn(&mut Vma)) {
        for (range, mut vma) in self.cut(range) {
            change(&mut vma);
            self.add(range, vma);
        }
    }

    fn count(&mut self, range: &Range<usize>, vma: &Vma, op: impl Fn(usize, usize) -> usize) {
        // What was added is subtracted once, so the sums never wrap.
        self.total = op(self.total, range.len());
        if vma.is_data() {
            self.data = op(self.data, range.len());
        }
        if vma.flags.contains(VmaFlags::LOCKED) {
            self.locked = op(self.locked, range.len());
        }
    }

    /// Bytes of areas that lie in `range`.
    pub(crate) fn bytes_in(&self, range: Range<usize>) -> usize {
        self.vmas
            .overlapping(range.clone())
            .map(|(found, _)| found.end.min(range.end) - found.start.max(range.start))
            .sum()
    }

    /// ENOMEM if `more` further areas are too many.
    pub(crate) fn room_for(&self, more: usize) -> Result<()> {
        if self.vmas.len() + more > MAX_AREAS {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    /// Whether all of `range` is covered by areas.
    pub(crate) fn covers(&self, range: Range<usize>) -> bool {
        self.vmas.gaps(range).is_empty()
    }

    /// Whether a new mapping can be at `range`.
    pub(crate) fn is_usable(&self, range: &Range<usize>) -> bool {
        if range.start < self.bounds.start
            || range.end > self.bounds.end
            || !self.vmas.is_free(range.clone())
        {
            return false;
        }
        // The guard gap of a stack above belongs to the stack.
        self.vmas
            .after(range.end)
            .is_none_or(|(next, vma)| next.start - range.end >= guard_below(vma))
    }

    /// A free place for `len` bytes: top down below the mmap base, else bottom up above it.
    pub(crate) fn find_gap(&self, len: usize, align: usize) -> Result<usize> {
        let below = self.bounds.start..self.mmap_base;
        let above = self.mmap_base..self.bounds.end;
        self.vmas
            .highest_gap(below, len, align, guard_below)
            .or_else(|| self.vmas.lowest_gap(above, len, align, guard_below))
            .ok_or(Errno::ENOMEM)
    }

    /// The lowest free place for `len` bytes within `bounds`.
    pub(crate) fn find_low_gap(&self, len: usize, bounds: Range<usize>) -> Result<usize> {
        self.vmas
            .lowest_gap(bounds, len, PAGE, guard_below)
            .ok_or(Errno::ENOMEM)
    }

    /// The parts of areas that map the file of this registry at `offsets`.
    pub(crate) fn mapping(&self, set: &MappingSet, offsets: &Range<u64>) -> Vec<Range<usize>> {
        let part = |(range, vma): (Range<usize>, &Vma)| {
            let file = vma.file.as_ref()?;
            if !file
                .mappable
                .mappings()
                .is_some_and(|other| std::ptr::eq(other, set))
            {
                return None;
            }
            let start = offsets.start.max(file.offset) - file.offset;
            let end = offsets
                .end
                .saturating_sub(file.offset)
                .min(range.len() as u64);
            let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
            (start < end).then(|| range.start + start..range.start + end)
        };
        self.vmas.iter().filter_map(part).collect()
    }

    /// Whether any area maps the file of this registry.
    pub(crate) fn maps(&self, set: &MappingSet) -> bool {
        self.vmas.iter().any(|(_, vma)| maps(vma, set))
    }
}

/// Whether an area maps the file of this registry.
pub(crate) fn maps(vma: &Vma, set: &MappingSet) -> bool {
    let registry = vma.file.as_ref().and_then(|file| file.mappable.mappings());
    registry.is_some_and(|other| std::ptr::eq(other, set))
}

/// How much stays free below an area.
pub(crate) fn guard_below(vma: &Vma) -> usize {
    if vma.flags.contains(VmaFlags::GROWS_DOWN) {
        GUARD_GAP
    } else {
        0
    }
}

/// `len` rounded up to pages; nothing if that is beyond any address space.
pub(crate) fn page_up(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(PAGE)
}

/// `address` rounded down to pages.
pub(crate) const fn page_down(address: usize) -> usize {
    address & !(PAGE - 1)
}

/// The page-aligned range of `len` bytes at a page-aligned address; EINVAL, or `beyond` if it does not
/// fit into the address space.
pub(crate) fn checked_range(address: usize, len: usize, beyond: Errno) -> Result<Range<usize>> {
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let end = page_up(len)
        .and_then(|len| address.checked_add(len))
        .ok_or(beyond)?;
    Ok(address..end)
}
