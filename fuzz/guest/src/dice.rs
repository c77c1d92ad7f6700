//! Random numbers that a seed repeats.

/// A generator (splitmix64), small enough for every thread to have one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The generator of a seed.
    pub(crate) const fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The generator of a part of what a seed decides.
    pub(crate) fn of(seed: u64, part: u64) -> Dice {
        let mut dice = Dice(seed ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Dice(dice.next())
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`, which is not 0.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        (self.next() >> 16) % sides.max(1)
    }

    /// Whether something happens that happens once in `sides` times.
    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(all.len() as u64)).unwrap_or(0);
        all.get(index)
    }
}
