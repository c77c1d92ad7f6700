//! [`Pages`] and [`Active`]: what backs each part of an address space now, and what of it the
//! platform has mapped.
//!
//! Areas ([`super::vma`]) say what the application asked for; active pages are made from them on
//! demand and may be dropped whenever their content is kept elsewhere.

use std::ops::Range;
use std::sync::Arc;

use memory::{FrameRange, HostFile};
use platform::Access;

use super::range_map::{RangeMap, Segment};

/// Where the bytes of a run of pages are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In the memory file from this offset on; the run owns one reference on the frames.
    Memory(u64),
    /// In a host file from this offset on.
    Host(Arc<HostFile>, u64),
}

impl Source {
    /// The source of what is `delta` bytes further on.
    pub(crate) fn advance(&self, delta: usize) -> Source {
        match self {
            Source::Memory(offset) => Source::Memory(offset.saturating_add(delta as u64)),
            Source::Host(file, offset) => {
                Source::Host(Arc::clone(file), offset.saturating_add(delta as u64))
            }
        }
    }

    /// The frames of `len` bytes (page-aligned) from here on, if they are in the memory file.
    pub(crate) fn frames(&self, len: usize) -> Option<FrameRange> {
        match self {
            Source::Memory(offset) => FrameRange::new(*offset, offset.checked_add(len as u64)?),
            Source::Host(..) => None,
        }
    }

    fn continues_in(&self, len: usize, next: &Source) -> bool {
        match (self, next) {
            (Source::Memory(offset), Source::Memory(other)) => {
                offset.checked_add(len as u64) == Some(*other)
            }
            (Source::Host(file, offset), Source::Host(other, other_offset)) => {
                Arc::ptr_eq(file, other) && offset.checked_add(len as u64) == Some(*other_offset)
            }
            _ => false,
        }
    }
}

/// A run of pages of one source.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    /// Where they are.
    pub(crate) source: Source,
    /// What the application may do with them as they are: what the area allows, less than that where
    /// a fault has to do something first.
    pub(crate) access: Access,
    /// What they allow whatever the area says: no stores if they are to be copied first.
    pub(crate) limit: Access,
    /// They belong to this address space alone or to it and its forks: private memory, not a file's.
    pub(crate) owned: bool,
    /// What the platform has mapped; empty if nothing.
    pub(crate) mapped: Access,
}

impl Pages {
    /// Fresh frames of the address space's own.
    pub(crate) fn owned(frames: FrameRange, access: Access) -> Pages {
        Pages {
            source: Source::Memory(frames.start()),
            access,
            limit: Access::all(),
            owned: true,
            mapped: Access::empty(),
        }
    }
}

impl Segment for Pages {
    fn split_off(&mut self, at: usize) -> Self {
        Pages {
            source: self.source.advance(at),
            ..self.clone()
        }
    }

    fn continues_in(&self, len: usize, next: &Self) -> bool {
        self.access == next.access
            && self.limit == next.limit
            && self.owned == next.owned
            && self.mapped == next.mapped
            && self.source.continues_in(len, &next.source)
    }
}

/// All active pages of an address space.
#[derive(Debug, Default)]
pub(crate) struct Active {
    pub(crate) pages: RangeMap<Pages>,
}

impl Active {
    /// Whether the platform has anything mapped in `range`.
    pub(crate) fn is_mapped(&self, range: Range<usize>) -> bool {
        self.pages
            .overlapping(range)
            .any(|(_, pages)| !pages.mapped.is_empty())
    }

    /// The gap around an address that has no pages, within `bounds`.
    pub(crate) fn gap_around(&self, address: usize, bounds: Range<usize>) -> Range<usize> {
        let low = self
            .pages
            .before(address)
            .map_or(bounds.start, |(before, _)| before.end.max(bounds.start));
        let high = self
            .pages
            .after(address)
            .map_or(bounds.end, |(after, _)| after.start.min(bounds.end));
        low..high
    }

    /// Forgets everything that the platform has mapped.
    pub(crate) fn forget_mapped(&mut self) {
        self.pages
            .update(0..usize::MAX, |_, pages| pages.mapped = Access::empty());
    }
}

/// The part of the run that covers `range` which lies in `part`: its source there.
pub(crate) fn cut(
    range: &Range<usize>,
    pages: &Pages,
    part: Range<usize>,
) -> (Range<usize>, Source) {
    let start = part.start.max(range.start);
    let end = part.end.min(range.end).max(start);
    (start..end, pages.source.advance(start - range.start))
}

/// Whether `have` allows `need`. As on the processor, whatever can be stored to or executed can be
/// loaded from.
pub(crate) fn allows(have: Access, need: Access) -> bool {
    let have = if have.is_empty() {
        have
    } else {
        have | Access::READ
    };
    have.contains(need)
}
