//! Sequence numbers: they count bytes modulo 2^32 (RFC 9293, 3.4).

use std::ops::{Add, AddAssign, Sub};

/// A place in a stream. Places are compared within half of the circle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seq(pub(crate) u32);

impl Seq {
    /// How many bytes it is behind `earlier`, around the circle.
    pub(crate) fn since(self, earlier: Seq) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    pub(crate) fn is_before(self, other: Seq) -> bool {
        self.since(other) > u32::MAX / 2
    }

    pub(crate) fn is_after(self, other: Seq) -> bool {
        other.is_before(self)
    }

    pub(crate) fn is_within(self, first: Seq, last: Seq) -> bool {
        self.since(first) <= last.since(first)
    }

    pub(crate) fn max(self, other: Seq) -> Seq {
        if self.is_before(other) { other } else { self }
    }

    pub(crate) fn min(self, other: Seq) -> Seq {
        if self.is_before(other) { self } else { other }
    }

    pub(crate) fn plus(self, bytes: usize) -> Seq {
        self + u32_of(bytes)
    }
}

impl Add<u32> for Seq {
    type Output = Seq;

    fn add(self, bytes: u32) -> Seq {
        Seq(self.0.wrapping_add(bytes))
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;

    fn sub(self, bytes: u32) -> Seq {
        Seq(self.0.wrapping_sub(bytes))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, bytes: u32) {
        *self = *self + bytes;
    }
}

/// A count of bytes that fits, or the most that does.
pub(crate) fn u32_of(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A count of bytes of the wire as one of memory.
pub(crate) fn usize_of(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::Seq;

    #[test]
    fn places_are_compared_around_the_circle() {
        let before = Seq(u32::MAX - 1);
        let after = before + 5;
        assert_eq!(after, Seq(3));
        assert!(before.is_before(after) && after.is_after(before) && !before.is_before(before));
        assert_eq!(
            (before.max(after), before.min(after), after.since(before)),
            (after, before, 5)
        );
        assert!(Seq(0).is_within(before, after) && !Seq(4).is_within(before, after));
    }
}
