//! [`FreeSpace`]: the gaps of one zone of the memory file, found by place and by length.

use std::collections::{BTreeMap, BTreeSet};

use crate::frame::FrameRange;

/// How many gaps of about the right length are tried before one that fits with any alignment is taken.
const TRIES: usize = 16;

/// Disjoint gaps that never touch each other.
#[derive(Debug, Default)]
pub(crate) struct FreeSpace {
    end_by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
}

impl FreeSpace {
    /// Adds a range that was not free, joining it with the gaps it touches.
    pub(crate) fn insert(&mut self, range: FrameRange) {
        let (mut start, mut end) = (range.start(), range.end());
        if let Some((&before, &before_end)) = self.end_by_start.range(..start).next_back()
            && before_end == start
        {
            self.remove(before, before_end);
            start = before;
        }
        if let Some(&after_end) = self.end_by_start.get(&end) {
            self.remove(end, after_end);
            end = after_end;
        }
        self.add(start, end);
    }

    /// Takes exactly this range, if all of it is free.
    pub(crate) fn take(&mut self, range: FrameRange) -> bool {
        let Some((&start, &end)) = self.end_by_start.range(..=range.start()).next_back() else {
            return false;
        };
        if end < range.end() {
            return false;
        }
        self.remove(start, end);
        self.add(start, range.start());
        self.add(range.end(), end);
        true
    }

    /// The start of a free range of `len` bytes, aligned to `align` (a power of two), from the
    /// shortest gap that is easily found.
    pub(crate) fn find(&self, len: u64, align: u64) -> Option<u64> {
        let close = self.by_len.range((len, 0)..).take(TRIES);
        let sure = self.by_len.range((len.checked_add(align)?, 0)..).take(1);
        close.chain(sure).find_map(|&(gap_len, gap_start)| {
            let start = gap_start.checked_next_multiple_of(align)?;
            (start.checked_add(len)? <= gap_start + gap_len).then_some(start)
        })
    }

    fn add(&mut self, start: u64, end: u64) {
        if start < end {
            self.end_by_start.insert(start, end);
            self.by_len.insert((end - start, start));
        }
    }

    fn remove(&mut self, start: u64, end: u64) {
        self.end_by_start.remove(&start);
        self.by_len.remove(&(end - start, start));
    }
}
