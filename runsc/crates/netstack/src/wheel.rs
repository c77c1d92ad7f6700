//! One timer for everything in a stack that waits for a moment.
//!
//! A hierarchical wheel: level 0 has a slot for each of the next 64 ticks of a millisecond, level 1 for each 64 of these, and so
//! on. Adding and removing take the same short time however many there are, and the earliest moment is found from a bit mask of
//! each level, so that nothing runs when nothing is due. A timer of a higher level moves down when its slot's time comes.

use std::time::Duration;

/// Slots of a level, as a power of two.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// 64^6 ticks are two years.
const LEVELS: usize = 6;
const NONE: usize = usize::MAX;

/// A timer in the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: usize,
    /// Distinguishes it from others that had the same place.
    generation: u64,
}

/// Timers, each with what it is for.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    nodes: Vec<Node<T>>,
    free: Vec<usize>,
    /// The first node of each slot.
    heads: Vec<usize>,
    occupied: [u64; LEVELS],
    /// Ticks up to here are over.
    now: u64,
    generation: u64,
}

#[derive(Debug)]
struct Node<T> {
    value: Option<T>,
    tick: u64,
    slot: usize,
    previous: usize,
    next: usize,
    generation: u64,
}

impl<T> Wheel<T> {
    pub(crate) fn new(now: Duration) -> Wheel<T> {
        Wheel {
            nodes: Vec::new(),
            free: Vec::new(),
            heads: vec![NONE; SLOTS * LEVELS],
            occupied: [0; LEVELS],
            now: tick_of(now),
            generation: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// A timer for `value` at `moment`, or at once if that is over.
    pub(crate) fn insert(&mut self, moment: Duration, value: T) -> Key {
        self.generation += 1;
        let generation = self.generation;
        let node = Node {
            generation,
            value: Some(value),
            tick: tick_after(moment),
            slot: NONE,
            previous: NONE,
            next: NONE,
        };
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(place) = self.nodes.get_mut(index) {
                    *place = node;
                }
                index
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.link(index);
        Key { index, generation }
    }

    /// Takes a timer out that did not fire yet.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.nodes
            .get(key.index)
            .filter(|node| node.generation == key.generation && node.value.is_some())?;
        self.unlink(key.index);
        let value = self.nodes.get_mut(key.index)?.value.take()?;
        self.free.push(key.index);
        Some(value)
    }

    /// When something is due next, or has to be moved down.
    pub(crate) fn next(&self) -> Option<Duration> {
        let ticks = (0..LEVELS).filter_map(|level| self.next_of(level));
        ticks.min().map(Duration::from_millis)
    }

    /// Takes what is due at `moment` out.
    pub(crate) fn expire(&mut self, moment: Duration) -> Vec<T> {
        let end = tick_of(moment);
        let mut due = Vec::new();
        while let Some(tick) = (0..LEVELS).filter_map(|level| self.next_of(level)).min() {
            if tick > end {
                break;
            }
            self.now = self.now.max(tick);
            self.turn(tick, &mut due);
        }
        self.now = self.now.max(end);
        due
    }

    /// Empties the slots whose time begins with `tick`: into `due`, or further down.
    fn turn(&mut self, tick: u64, due: &mut Vec<T>) {
        for level in 0..LEVELS {
            if self.next_of(level) != Some(tick) {
                continue;
            }
            let slot = slot_of(level, tick);
            while let Some(&index) = self.heads.get(slot).filter(|head| **head != NONE) {
                self.unlink(index);
                let Some(node) = self.nodes.get_mut(index) else {
                    break;
                };
                if node.tick > tick {
                    self.link(index);
                    continue;
                }
                due.extend(node.value.take());
                self.free.push(index);
            }
        }
    }

    /// The first tick of the next occupied slot of a level.
    fn next_of(&self, level: usize) -> Option<u64> {
        let mask = *self.occupied.get(level)?;
        if mask == 0 {
            return None;
        }
        let shift = shift_of(level);
        let current = self.now >> shift;
        let offset = u64::from(
            mask.rotate_right(u32::try_from(current % 64).unwrap_or_default())
                .trailing_zeros(),
        );
        Some(((current + offset) << shift).max(self.now))
    }

    fn link(&mut self, index: usize) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let last = LEVELS - 1;
        let most = now + (1 << shift_of(LEVELS)) - (1 << shift_of(last));
        let tick = node.tick.clamp(now, most);
        let is_near = |level: &usize| (tick >> shift_of(*level)) - (now >> shift_of(*level)) < 64;
        let level = (0..last).find(is_near).unwrap_or(last);
        let slot = slot_of(level, tick);
        node.slot = slot;
        node.previous = NONE;
        let old = self.heads.get(slot).copied().unwrap_or(NONE);
        node.next = old;
        if let Some(old) = self.nodes.get_mut(old) {
            old.previous = index;
        }
        if let (Some(head), Some(mask)) = (self.heads.get_mut(slot), self.occupied.get_mut(level)) {
            *head = index;
            *mask |= 1 << (slot % SLOTS);
        }
    }

    fn unlink(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let (slot, previous, next) = (node.slot, node.previous, node.next);
        if slot == NONE {
            return;
        }
        (node.slot, node.previous, node.next) = (NONE, NONE, NONE);
        if let Some(next) = self.nodes.get_mut(next) {
            next.previous = previous;
        }
        if let Some(previous) = self.nodes.get_mut(previous) {
            previous.next = next;
        } else if let Some(head) = self.heads.get_mut(slot) {
            *head = next;
            if let Some(mask) = self.occupied.get_mut(slot / SLOTS).filter(|_| next == NONE) {
                *mask &= !(1 << (slot % SLOTS));
            }
        }
    }
}

fn shift_of(level: usize) -> u32 {
    BITS * u32::try_from(level).unwrap_or(u32::MAX)
}

fn slot_of(level: usize, tick: u64) -> usize {
    let within = (tick >> shift_of(level)) & (SLOTS as u64 - 1);
    level * SLOTS + usize::try_from(within).unwrap_or_default()
}

fn tick_of(moment: Duration) -> u64 {
    u64::try_from(moment.as_millis())
        .unwrap_or(u64::MAX >> 8)
        .min(u64::MAX >> 8)
}

/// The first tick that is not before a moment.
fn tick_after(moment: Duration) -> u64 {
    tick_of(moment) + u64::from(!moment.subsec_nanos().is_multiple_of(1_000_000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Wheel;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn nothing_is_due_in_an_empty_wheel() {
        let mut wheel = Wheel::<u8>::new(ms(5));
        assert_eq!(wheel.next(), None);
        assert!(wheel.expire(ms(1 << 40)).is_empty());
    }

    #[test]
    fn a_removed_timer_does_not_fire() {
        let mut wheel = Wheel::new(ms(0));
        let key = wheel.insert(ms(10), 1);
        wheel.insert(ms(10), 2);
        assert_eq!(wheel.remove(key), Some(1));
        assert_eq!(wheel.expire(ms(10)), [2]);
        assert_eq!(wheel.next(), None);
    }

    proptest! {
        #[test]
        fn timers_fire_when_they_are_due(start in 0u64..1 << 40, delays in prop::collection::vec(0u64..1 << 30, 1..60)) {
            let mut wheel = Wheel::new(ms(start));
            for delay in &delays {
                wheel.insert(ms(start + delay), *delay);
            }
            let mut fired = Vec::new();
            let mut steps = 0;
            while let Some(next) = wheel.next() {
                let due = wheel.expire(next);
                prop_assert!(due.iter().all(|delay| ms(start + delay) == next));
                fired.extend(due);
                steps += 1;
            }
            let mut sorted = delays.clone();
            sorted.sort_unstable();
            prop_assert_eq!(fired, sorted);
            prop_assert!(steps <= delays.len() * 6);
        }

        #[test]
        fn a_late_look_finds_all(delays in prop::collection::vec((0u64..5_000_000, any::<bool>()), 1..60), look in 0u64..5_000_000) {
            let mut wheel = Wheel::new(ms(0));
            let keys: Vec<_> = delays.iter().map(|(delay, _)| wheel.insert(ms(*delay), *delay)).collect();
            for (key, (delay, is_removed)) in keys.iter().zip(&delays) {
                if *is_removed {
                    prop_assert_eq!(wheel.remove(*key), Some(*delay));
                }
            }
            let mut fired = wheel.expire(ms(look));
            fired.sort_unstable();
            let mut expected: Vec<_> = delays.iter().filter(|(delay, gone)| *delay <= look && !gone).map(|(delay, _)| *delay).collect();
            expected.sort_unstable();
            prop_assert_eq!(fired, expected);
        }
    }
}
