//! [`FrameRange`]: a page-aligned range of the memory file.

use std::fmt;

/// Bytes in a page, as file offsets count them.
pub(crate) const PAGE: u64 = 4096;

/// A page-aligned, half-open range of offsets into a [`MemoryFile`](crate::MemoryFile).
///
/// Holding one proves nothing about references; whoever keeps a range keeps a reference with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameRange {
    start: u64,
    end: u64,
}

impl FrameRange {
    /// The range from `start` to `end`, or nothing if they are not page-aligned and in order.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE) && start <= end {
            Some(Self { start, end })
        } else {
            None
        }
    }

    /// As [`new`](Self::new), where alignment and order follow from how the ends were made.
    pub(crate) const fn trusted(start: u64, end: u64) -> Self {
        debug_assert!(start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE) && start <= end);
        Self { start, end }
    }

    /// Offset of the first byte.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// Offset behind the last byte.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The parts before and behind `at` bytes, a multiple of the page size that is clamped to the length.
    #[must_use]
    pub fn split_at(self, at: u64) -> (Self, Self) {
        let middle = self.start + at.min(self.len());
        (
            Self::trusted(self.start, middle),
            Self::trusted(middle, self.end),
        )
    }

    /// The part from `from` to `to` bytes within the range, clamped to it.
    #[must_use]
    pub fn slice(self, from: u64, to: u64) -> Self {
        let to = to.min(self.len());
        Self::trusted(self.start + from.min(to), self.start + to)
    }

    /// Whether `other` begins where this range ends.
    #[must_use]
    pub const fn is_followed_by(self, other: Self) -> bool {
        self.end == other.start
    }
}

impl fmt::Debug for FrameRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frames {:#x}-{:#x}", self.start, self.end)
    }
}
