//! Tables of IPC objects: by identifier and by key.

use std::collections::{BTreeMap, HashMap};

use abi::Errno;

use crate::error::Result;

/// Identifiers are a slot and this many times the slot's reuse count.
const SLOTS: i32 = 32_768;

/// `IPC_CREAT`
pub const CREATE: u32 = 0o1000;
/// `IPC_EXCL`
pub const EXCLUSIVE: u32 = 0o2000;
/// `IPC_PRIVATE`
pub const PRIVATE: i32 = 0;

#[derive(Debug)]
struct Slot<T> {
    key: i32,
    parts: u64,
    sequence: u16,
    object: T,
}

/// Objects of one kind.
#[derive(Debug)]
pub struct Table<T> {
    slots: BTreeMap<i32, Slot<T>>,
    by_key: HashMap<i32, i32>,
    /// No slot below this is free.
    lowest_free: i32,
    next_sequence: u16,
    /// The parts of all objects.
    parts: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table {
            slots: BTreeMap::new(),
            by_key: HashMap::new(),
            lowest_free: 0,
            next_sequence: 0,
            parts: 0,
        }
    }
}

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Objects.
    pub objects: usize,
    /// What all of them consist of together: semaphores, pages.
    pub parts: u64,
}

/// What a `*get` call is to do.
#[derive(Debug)]
pub enum Lookup<T> {
    /// The object is there.
    Found(i32, T),
    /// It is to be made.
    Missing,
}

impl<T: Clone> Table<T> {
    /// The object of `key`, as the flags of a `*get` call have it: EEXIST, ENOENT.
    pub fn look_up(&self, key: i32, flags: u32) -> Result<Lookup<T>> {
        if key == PRIVATE {
            return Ok(Lookup::Missing);
        }
        let index = self.by_key.get(&key);
        let found = index.and_then(|index| self.slots.get_key_value(index));
        match found {
            Some(_) if flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE => Err(Errno::EEXIST),
            Some((index, slot)) => Ok(Lookup::Found(id(*index, slot), slot.object.clone())),
            None if flags & CREATE == 0 => Err(Errno::ENOENT),
            None => Ok(Lookup::Missing),
        }
    }

    /// Adds what `make` makes, an object of so many parts, which is told its reuse count and identifier; ENOSPC
    /// beyond the limits.
    pub fn add(
        &mut self,
        key: i32,
        parts: u64,
        limits: Limits,
        make: impl FnOnce(u16, i32) -> Result<T>,
    ) -> Result<i32> {
        let all = self.parts.saturating_add(parts);
        if self.slots.len() >= limits.objects || all > limits.parts {
            return Err(Errno::ENOSPC);
        }
        let free = (self.lowest_free..SLOTS).find(|index| !self.slots.contains_key(index));
        let index = free.ok_or(Errno::ENOSPC)?;
        let sequence = self.next_sequence;
        let id = i32::from(sequence) * SLOTS + index;
        let slot = Slot {
            key,
            parts,
            sequence,
            object: make(sequence, id)?,
        };
        self.slots.insert(index, slot);
        self.parts = all;
        self.lowest_free = index + 1;
        if key != PRIVATE {
            self.by_key.insert(key, index);
        }
        Ok(id)
    }

    /// The object of an identifier: EINVAL, EIDRM if its slot has another one now.
    pub fn get(&self, wanted: i32) -> Result<T> {
        if wanted < 0 {
            return Err(Errno::EINVAL);
        }
        let index = wanted % SLOTS;
        let slot = self.slots.get(&index).ok_or(Errno::EINVAL)?;
        if id(index, slot) == wanted {
            Ok(slot.object.clone())
        } else {
            Err(Errno::EIDRM)
        }
    }

    /// The object in a slot, with its identifier (`*_STAT`); EINVAL.
    pub fn at(&self, index: i32) -> Result<(i32, T)> {
        let slot = self.slots.get(&index).ok_or(Errno::EINVAL)?;
        Ok((id(index, slot), slot.object.clone()))
    }

    /// Takes an object out; none if it is not there any more.
    pub fn remove(&mut self, wanted: i32) -> Option<T> {
        self.get(wanted).ok()?;
        let index = wanted % SLOTS;
        let slot = self.slots.remove(&index)?;
        self.lowest_free = self.lowest_free.min(index);
        self.by_key.remove(&slot.key);
        self.parts -= slot.parts;
        // The next object in any slot has another identifier.
        self.next_sequence = (self.next_sequence + 1) & 0x7fff;
        Some(slot.object)
    }

    /// The key no longer leads to it; the identifier does.
    pub fn forget_key(&mut self, wanted: i32) {
        if self.get(wanted).is_ok()
            && let Some(slot) = self.slots.get_mut(&(wanted % SLOTS))
        {
            self.by_key.remove(&slot.key);
            slot.key = PRIVATE;
        }
    }

    /// The highest slot in use, 0 if none is (what the `*_INFO` commands return).
    pub fn highest(&self) -> u64 {
        let highest = self.slots.keys().next_back().copied().unwrap_or(0);
        u64::from(highest.unsigned_abs())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// All, by identifier.
    pub fn all(&self) -> Vec<(i32, T)> {
        let slots = self.slots.iter();
        slots
            .map(|(index, slot)| (id(*index, slot), slot.object.clone()))
            .collect()
    }
}

fn id<T>(index: i32, slot: &Slot<T>) -> i32 {
    i32::from(slot.sequence) * SLOTS + index
}

#[cfg(test)]
mod tests {
    use abi::Errno;

    use super::{CREATE, EXCLUSIVE, Limits, Lookup, Table};

    const LIMITS: Limits = Limits {
        objects: 10,
        parts: 5,
    };

    #[test]
    fn identifiers_of_removed_objects_do_not_come_back() {
        let mut table: Table<char> = Table::default();
        let first = table.add(7, 0, LIMITS, |_, _| Ok('a')).unwrap();
        assert_eq!(table.get(first), Ok('a'));
        assert_eq!(table.remove(first), Some('a'));
        assert_eq!(table.get(first), Err(Errno::EINVAL));
        let second = table.add(7, 0, LIMITS, |_, _| Ok('b')).unwrap();
        assert_ne!(first, second);
        assert_eq!(table.get(first), Err(Errno::EIDRM));
    }

    #[test]
    fn keys_are_found_as_the_flags_say() {
        let mut table: Table<char> = Table::default();
        assert!(matches!(table.look_up(7, 0), Err(Errno::ENOENT)));
        assert!(matches!(table.look_up(7, CREATE), Ok(Lookup::Missing)));
        let id = table.add(7, 0, LIMITS, |_, _| Ok('a')).unwrap();
        assert!(matches!(table.look_up(7, 0), Ok(Lookup::Found(found, 'a')) if found == id));
        assert!(matches!(
            table.look_up(7, CREATE | EXCLUSIVE),
            Err(Errno::EEXIST)
        ));
        assert!(matches!(table.look_up(0, 0), Ok(Lookup::Missing)));
    }

    #[test]
    fn objects_and_their_parts_are_limited() {
        let mut table: Table<char> = Table::default();
        let one = Limits {
            objects: 1,
            ..LIMITS
        };
        let id = table.add(7, 3, LIMITS, |_, _| Ok('a')).unwrap();
        assert_eq!(table.add(8, 1, one, |_, _| Ok('b')), Err(Errno::ENOSPC));
        assert_eq!(table.add(8, 3, LIMITS, |_, _| Ok('b')), Err(Errno::ENOSPC));
        let other = table.add(8, 2, LIMITS, |_, _| Ok('b')).unwrap();
        assert_eq!(table.add(9, 1, LIMITS, |_, _| Ok('c')), Err(Errno::ENOSPC));
        table.remove(id).unwrap();
        table.add(9, 3, LIMITS, |_, _| Ok('c')).unwrap();
        table.remove(other).unwrap();
    }
}
