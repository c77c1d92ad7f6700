//! Record locks: byte ranges, split and joined as `man 2 fcntl` (*Advisory record locking*) says.

use std::sync::Weak;

use super::{LockKind, LockOwner};
use crate::kernel::thread_group::ThreadGroup;

/// A range of bytes, end excluded; up to `u64::MAX` means however long the file grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRange {
    /// First byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
}

impl LockRange {
    /// Every byte.
    pub const ALL: LockRange = LockRange {
        start: 0,
        end: u64::MAX,
    };

    fn overlaps(self, other: LockRange) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn touches(self, other: LockRange) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// A record lock.
#[derive(Clone, Debug)]
pub struct RecordLock {
    /// Shared or exclusive.
    pub kind: LockKind,
    /// What it covers.
    pub range: LockRange,
    /// Whose it is.
    pub owner: LockOwner,
    /// The process that set it.
    pub by: Weak<ThreadGroup>,
}

/// The record locks of one inode, by start.
#[derive(Debug, Default)]
pub(super) struct RecordLocks {
    locks: Vec<RecordLock>,
}

impl RecordLocks {
    pub(super) fn list(&self) -> &[RecordLock] {
        &self.locks
    }

    pub(super) fn conflict(&self, wanted: &RecordLock) -> Option<RecordLock> {
        let conflicts = |held: &&RecordLock| {
            held.owner != wanted.owner
                && held.range.overlaps(wanted.range)
                && (held.kind == LockKind::Write || wanted.kind == LockKind::Write)
        };
        self.locks.iter().find(conflicts).cloned()
    }

    /// Replaces what the owner has in the range; joins neighbours of the same kind.
    pub(super) fn set(&mut self, mut wanted: RecordLock) {
        self.clear(wanted.owner, wanted.range);
        self.locks.retain(|held| {
            let joins = held.owner == wanted.owner
                && held.kind == wanted.kind
                && held.range.touches(wanted.range);
            if joins {
                wanted.range.start = wanted.range.start.min(held.range.start);
                wanted.range.end = wanted.range.end.max(held.range.end);
            }
            !joins
        });
        let at = self
            .locks
            .partition_point(|held| held.range.start <= wanted.range.start);
        self.locks.insert(at, wanted);
    }

    /// The parts of a range in which nobody has a lock.
    pub(super) fn free_in(&self, range: LockRange) -> Vec<LockRange> {
        let mut free = Vec::new();
        let mut from = range.start;
        // They are in the order of their starts.
        for held in self.locks.iter().filter(|held| held.range.overlaps(range)) {
            if held.range.start > from {
                free.push(LockRange {
                    start: from,
                    end: held.range.start,
                });
            }
            from = from.max(held.range.end);
        }
        if from < range.end {
            free.push(LockRange {
                start: from,
                end: range.end,
            });
        }
        free
    }

    /// Takes away what `owner` has in `range`; whether there was anything.
    pub(super) fn clear(&mut self, owner: LockOwner, range: LockRange) -> bool {
        let mut tails = Vec::new();
        let mut changed = false;
        self.locks.retain_mut(|held| {
            if held.owner != owner || !held.range.overlaps(range) {
                return true;
            }
            changed = true;
            if held.range.end > range.end {
                let mut tail = held.clone();
                tail.range.start = range.end;
                tails.push(tail);
            }
            held.range.end = range.start;
            held.range.start < held.range.end
        });
        for tail in tails {
            let at = self
                .locks
                .partition_point(|held| held.range.start <= tail.range.start);
            self.locks.insert(at, tail);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::{LockKind, LockOwner, LockRange, RecordLock, RecordLocks, Weak};

    fn lock(owner: usize, kind: LockKind, start: u64, end: u64) -> RecordLock {
        RecordLock {
            kind,
            range: LockRange { start, end },
            owner: LockOwner::Table(owner),
            by: Weak::new(),
        }
    }

    fn ranges(locks: &RecordLocks) -> Vec<(u64, u64, LockKind)> {
        let range = |lock: &RecordLock| (lock.range.start, lock.range.end, lock.kind);
        locks.list().iter().map(range).collect()
    }

    #[test]
    fn unlocking_the_middle_splits() {
        let mut locks = RecordLocks::default();
        locks.set(lock(1, LockKind::Write, 0, 100));
        locks.clear(LockOwner::Table(1), LockRange { start: 10, end: 20 });
        assert_eq!(
            ranges(&locks),
            [(0, 10, LockKind::Write), (20, 100, LockKind::Write)]
        );
    }

    #[test]
    fn neighbours_of_one_kind_join() {
        let mut locks = RecordLocks::default();
        locks.set(lock(1, LockKind::Read, 0, 10));
        locks.set(lock(1, LockKind::Read, 10, 20));
        locks.set(lock(1, LockKind::Write, 5, 7));
        let (read, write) = (LockKind::Read, LockKind::Write);
        assert_eq!(ranges(&locks), [(0, 5, read), (5, 7, write), (7, 20, read)]);
    }

    #[test]
    fn what_nobody_holds_is_free() {
        let mut locks = RecordLocks::default();
        let range = |start, end| LockRange { start, end };
        assert_eq!(locks.free_in(range(5, 9)), [range(5, 9)]);
        locks.set(lock(1, LockKind::Read, 0, 10));
        locks.set(lock(2, LockKind::Read, 5, 20));
        locks.set(lock(2, LockKind::Write, 30, 40));
        assert_eq!(
            locks.free_in(LockRange::ALL),
            [range(20, 30), range(40, u64::MAX)]
        );
        assert_eq!(locks.free_in(range(3, 18)), []);
        assert_eq!(locks.free_in(range(35, 50)), [range(40, 50)]);
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let mut locks = RecordLocks::default();
        locks.set(lock(1, LockKind::Read, 0, 10));
        assert!(locks.conflict(&lock(2, LockKind::Read, 5, 6)).is_none());
        assert!(locks.conflict(&lock(2, LockKind::Write, 5, 6)).is_some());
        assert!(locks.conflict(&lock(2, LockKind::Write, 10, 11)).is_none());
        assert!(locks.conflict(&lock(1, LockKind::Write, 5, 6)).is_none());
    }
}
