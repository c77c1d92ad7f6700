//! [`RangeMap`]: disjoint address ranges with a value each, split and merged as they change.

use std::collections::BTreeMap;
use std::ops::Range;

/// A value that belongs to a range and follows it when the range is cut or joined.
pub(crate) trait Segment: Clone {
    /// The value of what begins `at` bytes behind the start; `self` stays with what is before.
    fn split_off(&mut self, at: usize) -> Self;

    /// Whether `next`, whose range begins where the range of `self` of `len` bytes ends, continues it.
    fn continues_in(&self, len: usize, next: &Self) -> bool;
}

/// Disjoint, non-empty ranges in order.
#[derive(Clone, Debug)]
pub(crate) struct RangeMap<V> {
    by_start: BTreeMap<usize, (usize, V)>,
}

impl<V> Default for RangeMap<V> {
    fn default() -> Self {
        Self {
            by_start: BTreeMap::new(),
        }
    }
}

impl<V: Segment> RangeMap<V> {
    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.by_start.len()
    }

    /// The range that holds an address.
    pub(crate) fn at(&self, address: usize) -> Option<(Range<usize>, &V)> {
        let (&start, &(end, ref value)) = self.by_start.range(..=address).next_back()?;
        (address < end).then_some((start..end, value))
    }

    /// The last range that ends at or below an address.
    pub(crate) fn before(&self, address: usize) -> Option<(Range<usize>, &V)> {
        let (&start, &(end, ref value)) = self.by_start.range(..address).next_back()?;
        (end <= address).then_some((start..end, value))
    }

    /// The first range that starts at or above an address.
    pub(crate) fn after(&self, address: usize) -> Option<(Range<usize>, &V)> {
        let (&start, &(end, ref value)) = self.by_start.range(address..).next()?;
        Some((start..end, value))
    }

    /// All ranges in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (Range<usize>, &V)> {
        self.by_start
            .iter()
            .map(|(&start, &(end, ref value))| (start..end, value))
    }

    /// The ranges that have something in common with `range`, uncut.
    pub(crate) fn overlapping(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = (Range<usize>, &V)> {
        let first = self
            .at(range.start)
            .map_or(range.start, |(found, _)| found.start);
        let last = range.end.max(first);
        self.by_start
            .range(first..last)
            .map(|(&start, &(end, ref value))| (start..end, value))
            .filter(move |(found, _)| found.end > range.start)
    }

    /// What lies in `range` and in no range of the map.
    pub(crate) fn gaps(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for (found, _) in self.overlapping(range.clone()) {
            if found.start > at {
                gaps.push(at..found.start);
            }
            at = found.end;
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// Whether nothing is in `range`.
    pub(crate) fn is_free(&self, range: Range<usize>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Adds a range that is free, and joins it with its neighbours where they continue each other.
    pub(crate) fn insert(&mut self, range: Range<usize>, value: V) {
        if range.is_empty() {
            return;
        }
        debug_assert!(self.is_free(range.clone()));
        self.by_start.insert(range.start, (range.end, value));
        self.merge_at(range.end);
        self.merge_at(range.start);
    }

    /// Takes out what lies in `range`, cutting ranges at its ends.
    pub(crate) fn remove(&mut self, range: Range<usize>) -> Vec<(Range<usize>, V)> {
        if range.is_empty() || self.is_free(range.clone()) {
            return Vec::new();
        }
        self.split_at(range.start);
        self.split_at(range.end);
        let starts: Vec<usize> = self
            .by_start
            .range(range)
            .map(|(&start, _)| start)
            .collect();
        let take = |start| {
            self.by_start
                .remove(&start)
                .map(|(end, value)| (start..end, value))
        };
        starts.into_iter().filter_map(take).collect()
    }

    /// Changes the values in `range`, cutting ranges at its ends and joining them afterwards.
    pub(crate) fn update(
        &mut self,
        range: Range<usize>,
        mut change: impl FnMut(Range<usize>, &mut V),
    ) {
        if range.is_empty() || self.is_free(range.clone()) {
            return;
        }
        self.split_at(range.start);
        self.split_at(range.end);
        let mut starts = Vec::new();
        for (&start, (end, value)) in self.by_start.range_mut(range.clone()) {
            change(start..*end, value);
            starts.push(start);
        }
        for start in starts {
            self.merge_at(start);
        }
        self.merge_at(range.end);
    }

    /// The highest free range of `len` bytes within `bounds` that starts at a multiple of `align` and
    /// ends `guard` bytes before the next range.
    pub(crate) fn highest_gap(
        &self,
        bounds: Range<usize>,
        len: usize,
        align: usize,
        guard: impl Fn(&V) -> usize,
    ) -> Option<usize> {
        let guarded = |start: usize, value: &V| start.saturating_sub(guard(value));
        let above = self
            .after(bounds.end)
            .map_or(usize::MAX, |(next, value)| guarded(next.start, value));
        let mut end = bounds.end.min(above);
        for (&start, (used_end, value)) in self.by_start.range(..bounds.end).rev() {
            if let Some(found) = fit_high((*used_end).max(bounds.start)..end, len, align) {
                return Some(found);
            }
            end = end.min(guarded(start, value));
            if end <= bounds.start {
                return None;
            }
        }
        fit_high(bounds.start..end, len, align)
    }

    /// The lowest free range of `len` bytes within `bounds` that starts at a multiple of `align` and
    /// ends `guard` bytes before the next range.
    pub(crate) fn lowest_gap(
        &self,
        bounds: Range<usize>,
        len: usize,
        align: usize,
        guard: impl Fn(&V) -> usize,
    ) -> Option<usize> {
        let guarded = |start: usize, value: &V| start.saturating_sub(guard(value));
        let mut at = bounds.start;
        for (used, value) in self.overlapping(bounds.clone()) {
            if let Some(found) = fit_low(at..guarded(used.start, value), len, align) {
                return Some(found);
            }
            at = at.max(used.end);
        }
        let above = self
            .after(bounds.end)
            .map_or(usize::MAX, |(next, value)| guarded(next.start, value));
        fit_low(at..bounds.end.min(above), len, align)
    }

    fn split_at(&mut self, at: usize) {
        let Some((&start, (end, value))) = self.by_start.range_mut(..at).next_back() else {
            return;
        };
        if *end > at {
            let tail = (*end, value.split_off(at - start));
            *end = at;
            self.by_start.insert(at, tail);
        }
    }

    fn merge_at(&mut self, at: usize) {
        let Some((right_end, right)) = self.by_start.get(&at) else {
            return;
        };
        let Some((&left_start, (left_end, left))) = self.by_start.range(..at).next_back() else {
            return;
        };
        if *left_end != at || !left.continues_in(at - left_start, right) {
            return;
        }
        let right_end = *right_end;
        self.by_start.remove(&at);
        if let Some((end, _)) = self.by_start.get_mut(&left_start) {
            *end = right_end;
        }
    }
}

fn fit_high(gap: Range<usize>, len: usize, align: usize) -> Option<usize> {
    let start = gap.end.checked_sub(len)? & !(align - 1);
    (start >= gap.start).then_some(start)
}

fn fit_low(gap: Range<usize>, len: usize, align: usize) -> Option<usize> {
    let start = gap.start.checked_next_multiple_of(align)?;
    (start.checked_add(len)? <= gap.end).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::{RangeMap, Segment};

    /// An offset that advances with the address, and a colour.
    #[derive(Clone, Debug, PartialEq)]
    struct Piece(usize, char);

    impl Segment for Piece {
        fn split_off(&mut self, at: usize) -> Self {
            Piece(self.0 + at, self.1)
        }

        fn continues_in(&self, len: usize, next: &Self) -> bool {
            self.1 == next.1 && self.0 + len == next.0
        }
    }

    fn dump(map: &RangeMap<Piece>) -> Vec<(usize, usize, usize, char)> {
        map.iter()
            .map(|(range, piece)| (range.start, range.end, piece.0, piece.1))
            .collect()
    }

    #[test]
    fn removal_cuts_and_insertion_joins() {
        let mut map = RangeMap::default();
        map.insert(10..20, Piece(0, 'a'));
        map.insert(20..30, Piece(10, 'a'));
        assert_eq!(dump(&map), [(10, 30, 0, 'a')]);
        let removed = map.remove(15..18);
        assert_eq!(removed, [(15..18, Piece(5, 'a'))]);
        assert_eq!(dump(&map), [(10, 15, 0, 'a'), (18, 30, 8, 'a')]);
        map.insert(15..18, Piece(5, 'a'));
        assert_eq!(dump(&map), [(10, 30, 0, 'a')]);
    }

    #[test]
    fn update_cuts_at_both_ends_and_joins_again() {
        let mut map = RangeMap::default();
        map.insert(10..30, Piece(0, 'a'));
        map.update(15..20, |_, piece| piece.1 = 'b');
        assert_eq!(
            dump(&map),
            [(10, 15, 0, 'a'), (15, 20, 5, 'b'), (20, 30, 10, 'a')]
        );
        map.update(0..40, |_, piece| piece.1 = 'a');
        assert_eq!(dump(&map), [(10, 30, 0, 'a')]);
    }

    #[test]
    fn gaps_are_found_from_both_ends() {
        let mut map = RangeMap::default();
        map.insert(10..20, Piece(0, 'a'));
        map.insert(40..50, Piece(0, 'a'));
        assert_eq!(map.gaps(0..60), [0..10, 20..40, 50..60]);
        assert_eq!(map.gaps(12..45), vec![20..40]);
        assert_eq!(map.highest_gap(0..60, 16, 1, |_| 0), Some(24));
        assert_eq!(map.highest_gap(0..45, 16, 1, |_| 0), Some(24));
        assert_eq!(map.highest_gap(0..60, 8, 4, |_| 0), Some(52));
        assert_eq!(map.lowest_gap(12..60, 8, 8, |_| 0), Some(24));
        assert_eq!(map.lowest_gap(12..60, 21, 1, |_| 0), None);
        assert_eq!(map.highest_gap(15..60, 21, 1, |_| 0), None);
    }

    #[test]
    fn neighbours_of_an_address_are_found() {
        let mut map = RangeMap::default();
        map.insert(10..20, Piece(0, 'a'));
        assert!(map.at(9).is_none() && map.at(20).is_none());
        assert_eq!(map.at(19).unwrap().0, 10..20);
        assert_eq!(map.before(20).unwrap().0, 10..20);
        assert!(map.before(19).is_none());
        assert_eq!(map.after(5).unwrap().0, 10..20);
        assert!(map.is_free(0..10) && !map.is_free(0..11));
    }
}
