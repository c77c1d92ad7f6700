//! The page tables of one address space, as the processor reads them, and a map of them.

use super::chunks::{Chunks, Table};
use super::layout::{PAGE, WINDOW};
use crate::{Access, Result};
use std::collections::{BTreeMap, btree_map};
use std::ops::Range;
use std::sync::atomic::Ordering;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const NOT_EXECUTABLE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Where in the root table ring 0 is.
const RING0_INDEX: usize = 511;
/// Above this many tables a space begins again: an application that touches a page here and a page
/// there would otherwise hold host memory without end.
const MOST_TABLES: usize = 32768;

/// A leaf entry: a guest-physical page and what may be done with it, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    /// Nothing.
    pub(super) const NONE: Entry = Entry(0);

    /// A page of the application's; what can be written or executed can be read.
    pub(super) fn user(page: u64, access: Access) -> Entry {
        let mut bits = PRESENT | USER | ACCESSED | DIRTY;
        if access.contains(Access::WRITE) {
            bits |= WRITABLE;
        }
        if !access.contains(Access::EXECUTE) {
            bits |= NOT_EXECUTABLE;
        }
        Entry(page & ADDRESS | bits)
    }

    /// A page of ring 0.
    pub(super) fn ring0(page: u64, access: Access) -> Entry {
        Entry(Entry::user(page, access).0 & !USER)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// The guest-physical page.
    pub(super) fn page(self) -> u64 {
        self.0 & ADDRESS
    }

    pub(super) fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether everything that `self` allows on its page, `other` allows on the same page.
    pub(super) fn is_within(self, other: Entry) -> bool {
        !self.is_present()
            || (other.is_present()
                && self.page() == other.page()
                && self.0 & WRITABLE <= other.0 & WRITABLE
                && other.0 & NOT_EXECUTABLE <= self.0 & NOT_EXECUTABLE)
    }

    /// Whether the access of a page fault's error code is allowed.
    pub(super) fn allows(self, error_code: u64) -> bool {
        const WRITE: u64 = 2;
        const FETCH: u64 = 16;
        self.is_present()
            && (error_code & WRITE == 0 || self.0 & WRITABLE != 0)
            && (error_code & FETCH == 0 || self.0 & NOT_EXECUTABLE == 0)
    }
}

/// The page tables of a space. Tables are only added; what leads to a table never changes.
#[derive(Debug)]
pub(super) struct Tables {
    root: Table,
    /// By what they map: 512 GiB, 1 GiB, and 2 MiB each.
    upper: BTreeMap<usize, Table>,
    middle: BTreeMap<usize, Table>,
    leaves: BTreeMap<usize, Table>,
}

impl Tables {
    /// Tables that map ring 0, which the entry `ring0` leads to, and nothing else.
    ///
    /// # Errors
    /// Of making a table.
    pub(super) fn new(chunks: &Chunks, ring0: u64) -> Result<Tables> {
        let root = chunks.table()?;
        root.entry(RING0_INDEX)
            .store(leading_to(ring0), Ordering::SeqCst);
        Ok(Tables {
            root,
            upper: BTreeMap::new(),
            middle: BTreeMap::new(),
            leaves: BTreeMap::new(),
        })
    }

    /// The root's guest-physical address: `CR3`.
    pub(super) fn root(&self) -> u64 {
        self.root.address()
    }

    /// Whether a fresh tree is due.
    pub(super) fn are_many(&self) -> bool {
        self.leaves.len() > MOST_TABLES
    }

    /// How many last-level tables there are.
    pub(super) fn nr_leaves(&self) -> usize {
        self.leaves.len()
    }

    /// Makes the tables for an address.
    ///
    /// # Errors
    /// Of making a table.
    pub(super) fn reach(&mut self, chunks: &Chunks, address: usize) -> Result<()> {
        if self.leaves.contains_key(&(address >> 21)) {
            return Ok(());
        }
        let levels = [
            (&mut self.upper, 39),
            (&mut self.middle, 30),
            (&mut self.leaves, 21),
        ];
        let mut above = &self.root;
        for (tables, shift) in levels {
            let index = address >> shift;
            above = match tables.entry(index) {
                btree_map::Entry::Occupied(there) => there.into_mut(),
                btree_map::Entry::Vacant(place) => {
                    let table = chunks.table()?;
                    let entry = leading_to(table.address());
                    above.entry(index % 512).store(entry, Ordering::SeqCst);
                    place.insert(table)
                }
            };
        }
        Ok(())
    }

    /// The entry of an address.
    pub(super) fn get(&self, address: usize) -> Entry {
        let leaf = self.leaves.get(&(address >> 21));
        leaf.map_or(Entry::NONE, |table| {
            Entry(table.entry(address >> 12 & 511).load(Ordering::SeqCst))
        })
    }

    /// Replaces the entry of an address whose table there is; what was there.
    pub(super) fn set(&self, address: usize, entry: Entry) -> Entry {
        let leaf = self.leaves.get(&(address >> 21));
        leaf.map_or(Entry::NONE, |table| {
            let place = table.entry(address >> 12 & 511);
            Entry(place.swap(entry.0, Ordering::SeqCst))
        })
    }

    /// Calls `visit` with every present entry in a range: its address, and the entry, which is
    /// replaced by what it returns.
    pub(super) fn update(
        &self,
        range: &Range<usize>,
        mut visit: impl FnMut(usize, Entry) -> Entry,
    ) {
        let (first, last) = (range.start >> 21, range.end.saturating_sub(1) >> 21);
        for (&index, table) in self.leaves.range(first..=last) {
            let base = index << 21;
            let from = range.start.max(base) >> 12;
            let to = range.end.min(base + (1 << 21)) >> 12;
            for page in from..to {
                let place = table.entry(page % 512);
                let old = Entry(place.load(Ordering::SeqCst));
                if old.is_present() {
                    let new = visit(page << 12, old);
                    if new != old {
                        place.store(new.0, Ordering::SeqCst);
                    }
                }
            }
        }
    }

    /// Gives the tables' memory back; no vCPU may use them again.
    pub(super) fn give_back(self) {
        let mut all = vec![self.root];
        all.extend(self.upper.into_values());
        all.extend(self.middle.into_values());
        all.extend(self.leaves.into_values());
        all.sort_by_key(Table::address);
        Table::give_back(all);
    }
}

/// An upper table's entry: all that is below decides.
pub(super) fn leading_to(table: u64) -> u64 {
    table & ADDRESS | PRESENT | WRITABLE | USER | ACCESSED
}

/// Guest-physical ranges, put together as they come.
#[derive(Debug, Default)]
pub(super) struct PageRanges {
    ranges: Vec<Range<u64>>,
}

impl PageRanges {
    /// Adds a page.
    pub(super) fn add(&mut self, page: u64) {
        match self.ranges.last_mut() {
            // Not across windows, which are mappings of their own.
            Some(last) if last.end == page && !page.is_multiple_of(WINDOW) => last.end += PAGE,
            Some(last) if last.contains(&page) => {}
            _ => self.ranges.push(page..page + PAGE),
        }
    }

    /// Adds others.
    pub(super) fn append(&mut self, others: PageRanges) {
        self.ranges.extend(others.ranges);
    }

    /// The ranges as they came.
    pub(super) fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// The ranges in their order, as few as possible, none across windows.
    pub(super) fn merged(&self) -> Vec<Range<u64>> {
        let mut all = self.ranges.clone();
        all.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::with_capacity(all.len());
        for range in all {
            match merged.last_mut() {
                Some(last)
                    if range.start / WINDOW == last.start / WINDOW && range.start <= last.end =>
                {
                    last.end = last.end.max(range.end);
                }
                _ => merged.push(range),
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_pages_are_merged_within_windows() {
        let mut ranges = PageRanges::default();
        for page in [5, 4, 3, 9, 9, 511, 512] {
            ranges.add(page * PAGE);
        }
        let pages = |range: &Range<u64>| (range.start / PAGE, range.end / PAGE);
        let merged: Vec<_> = ranges.merged().iter().map(pages).collect();
        assert_eq!(merged, [(3, 6), (9, 10), (511, 512), (512, 513)]);
    }
}
