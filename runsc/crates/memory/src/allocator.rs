//! [`Allocator`]: which frames are used, by how many, and where new ones come from.
//!
//! The file has two zones. The lower one is *packed*: requests go to the shortest gap that holds
//! them. In the upper one each growing area of a guest gets a slot of 2 MiB, at the place that its
//! address has within 2 MiB, so that later requests for its neighbours ([`Placement::At`]) find
//! theirs free and the host sees one mapping instead of many.
//!
//! A frame is free and zero, allocated, or *dirty*: freed and not yet given back to the host.

use std::collections::BTreeMap;

use crate::frame::{FrameRange, PAGE};
use crate::free::FreeSpace;
use crate::runs::{Counts, Runs};
use crate::{Errno, Result};

/// Bytes that a growing area reserves in its zone.
pub const SLOT: u64 = 2 << 20;
/// Alignment of packed requests that are at least as long.
const CHUNK: u64 = 64 << 10;

/// What frames are used for; counted apart for `/proc/meminfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Private memory of address spaces.
    Anonymous,
    /// Shared anonymous memory, tmpfs and memfd contents.
    Shared,
    /// Cached contents of files that could be dropped and read again.
    Cache,
}

/// Where in the file new frames should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Wherever they fit tightly.
    Packed,
    /// With room to grow: in a slot of their own, at the place that this address has within 2 MiB.
    /// A request that does not fit into the rest of its slot is packed.
    Growing(u64),
    /// At this offset if that is free, else as with [`Placement::Growing`].
    At(u64),
}

/// How much memory is in use, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Frames of [`Kind::Anonymous`].
    pub anonymous: u64,
    /// Frames of [`Kind::Shared`].
    pub shared: u64,
    /// Frames of [`Kind::Cache`].
    pub cache: u64,
    /// Frames that were freed and not yet given back to the host.
    pub dirty: u64,
}

impl Usage {
    /// All of it.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.anonymous + self.shared + self.cache + self.dirty
    }

    fn of(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Anonymous => &mut self.anonymous,
            Kind::Shared => &mut self.shared,
            Kind::Cache => &mut self.cache,
        }
    }
}

/// The state of all frames of a file.
#[derive(Debug)]
pub(crate) struct Allocator {
    runs: Runs,
    packed: FreeSpace,
    growing: FreeSpace,
    /// First offset of the zone of growing areas.
    boundary: u64,
    dirty: BTreeMap<u64, u64>,
    usage: Usage,
}

impl Allocator {
    /// An allocator for a file of `size` bytes, a multiple of twice the slot size.
    pub(crate) fn new(size: u64) -> Self {
        let boundary = size / 2;
        let (mut packed, mut growing) = (FreeSpace::default(), FreeSpace::default());
        packed.insert(FrameRange::trusted(0, boundary));
        growing.insert(FrameRange::trusted(boundary, size));
        Self {
            runs: Runs::default(),
            packed,
            growing,
            boundary,
            dirty: BTreeMap::new(),
            usage: Usage::default(),
        }
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    /// Zero frames of `len` bytes (a multiple of the page size, not 0), with one reference.
    pub(crate) fn allocate(
        &mut self,
        len: u64,
        kind: Kind,
        placement: Placement,
    ) -> Result<FrameRange> {
        if len == 0 || !len.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let range = self.place(len, placement).ok_or(Errno::ENOMEM)?;
        self.runs.insert(range, kind);
        *self.usage.of(kind) += len;
        Ok(range)
    }

    pub(crate) fn retain(&mut self, range: FrameRange) {
        self.update(range, |counts| {
            counts.refs = counts.refs.checked_add(1).expect("fewer than 2^32 owners");
        });
    }

    pub(crate) fn release(&mut self, range: FrameRange) {
        self.update(range, |counts| {
            counts.refs = counts
                .refs
                .checked_sub(1)
                .expect("a released frame has an owner");
        });
    }

    pub(crate) fn pin(&mut self, range: FrameRange) {
        self.update(range, |counts| {
            counts.pins = counts.pins.checked_add(1).expect("fewer than 2^32 pins");
        });
    }

    pub(crate) fn unpin(&mut self, range: FrameRange) {
        self.update(range, |counts| {
            counts.pins = counts
                .pins
                .checked_sub(1)
                .expect("an unpinned frame was pinned");
        });
    }

    /// The counts at the start of `range`, and for how many bytes of it they hold.
    pub(crate) fn prefix(&self, range: FrameRange) -> Option<(Counts, u64)> {
        self.runs.prefix(range)
    }

    /// Takes all dirty ranges, to be made zero and handed to [`put_clean`](Self::put_clean).
    pub(crate) fn take_dirty(&mut self) -> Vec<FrameRange> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .map(|(start, end)| FrameRange::trusted(start, end))
            .collect()
    }

    /// Makes a range that was taken by [`take_dirty`](Self::take_dirty) available again.
    pub(crate) fn put_clean(&mut self, range: FrameRange) {
        self.usage.dirty -= range.len();
        let (low, high) = range.split_at(self.boundary.saturating_sub(range.start()));
        for (part, zone) in [(low, &mut self.packed), (high, &mut self.growing)] {
            if !part.is_empty() {
                zone.insert(part);
            }
        }
    }

    /// Gives back a range that could not be made zero; it will be tried again.
    pub(crate) fn put_dirty(&mut self, range: FrameRange) {
        self.dirty.insert(range.start(), range.end());
    }

    fn update(&mut self, range: FrameRange, change: impl FnMut(&mut Counts)) {
        let Self {
            runs, dirty, usage, ..
        } = self;
        runs.update(range, change, |freed, kind| {
            *usage.of(kind) -= freed.len();
            usage.dirty += freed.len();
            add_dirty(dirty, freed);
        });
    }

    fn place(&mut self, len: u64, placement: Placement) -> Option<FrameRange> {
        let within = match placement {
            Placement::Packed => return self.place_packed(len),
            Placement::Growing(address) => address % SLOT,
            Placement::At(offset) => {
                if let Some(range) = self.take_exactly(offset, len) {
                    return Some(range);
                }
                offset % SLOT
            }
        };
        self.place_in_slot(within & !(PAGE - 1), len)
            .or_else(|| self.place_packed(len))
    }

    fn take_exactly(&mut self, offset: u64, len: u64) -> Option<FrameRange> {
        let range = FrameRange::new(offset, offset.checked_add(len)?)?;
        let zone = if offset < self.boundary {
            &mut self.packed
        } else {
            &mut self.growing
        };
        zone.take(range).then_some(range)
    }

    fn place_in_slot(&mut self, within: u64, len: u64) -> Option<FrameRange> {
        if within.checked_add(len)? > SLOT {
            return None;
        }
        let start = self.growing.find(SLOT, SLOT)? + within;
        self.take_exactly(start, len)
    }

    fn place_packed(&mut self, len: u64) -> Option<FrameRange> {
        let align = if len >= CHUNK { CHUNK } else { PAGE };
        let start = self
            .packed
            .find(len, align)
            .or_else(|| self.growing.find(len, align))?;
        self.take_exactly(start, len)
    }
}

/// Adds a range to the dirty ones, joining it with its predecessor if they touch.
fn add_dirty(dirty: &mut BTreeMap<u64, u64>, range: FrameRange) {
    let mut end = range.end();
    if let Some(after_end) = dirty.remove(&end) {
        end = after_end;
    }
    match dirty.range_mut(..range.start()).next_back() {
        Some((_, before_end)) if *before_end == range.start() => *before_end = end,
        _ => {
            dirty.insert(range.start(), end);
        }
    }
}

#[cfg(test)]
mod tests;
