//! File locks: `flock(2)`, record locks and open file description locks of `fcntl(2)`; and who writes
//! or executes a file (`ETXTBSY`).
//!
//! The calls try, and sleep on [`FileLocks::wait_queue`] when refused; [`waits`] finds the deadlocks
//! that record locks of processes report.

mod record;
mod text;
mod waits;
mod write_count;

use std::sync::Weak;

use parking_lot::Mutex;

use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::{Events, WaitQueue};

pub use record::{LockRange, RecordLock};
pub use text::LockedInodes;
pub use waits::LockWaits;
pub use write_count::{DenyWrite, WriteAccess, WriteCount};

use record::RecordLocks;

/// Shared or exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// `F_RDLCK`, `LOCK_SH`
    Read,
    /// `F_WRLCK`, `LOCK_EX`
    Write,
}

/// To whom a lock belongs: the address of what it dies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LockOwner {
    /// A descriptor table: locks of `F_SETLK`, gone when the process closes any descriptor of the file.
    Table(usize),
    /// An open file description: locks of `F_OFD_SETLK` and `flock`.
    OpenFile(usize),
}

/// The locks of one inode.
#[derive(Debug, Default)]
pub struct FileLocks {
    state: Mutex<Option<Box<State>>>,
}

#[derive(Debug, Default)]
struct State {
    records: RecordLocks,
    whole: Vec<(LockOwner, LockKind, Weak<ThreadGroup>)>,
    queue: WaitQueue,
}

/// A lock as `/proc/locks` lists it.
#[derive(Clone, Debug)]
pub enum ListedLock {
    /// Of `flock(2)`.
    Whole(LockKind, Weak<ThreadGroup>),
    /// Of `fcntl(2)`.
    Record(RecordLock),
}

impl FileLocks {
    /// Woken (with OUT) whenever a lock goes.
    #[must_use]
    pub fn wait_queue(&self) -> WaitQueue {
        let mut state = self.state.lock();
        state.get_or_insert_default().queue.clone()
    }

    /// A lock of another owner that `wanted` conflicts with, for `F_GETLK`.
    #[must_use]
    pub fn conflict(&self, wanted: &RecordLock) -> Option<RecordLock> {
        self.state.lock().as_ref()?.records.conflict(wanted)
    }

    /// Sets a record lock, replacing what its owner had there; or the lock in the way.
    pub fn set(&self, wanted: RecordLock) -> Result<(), RecordLock> {
        let mut guard = self.state.lock();
        let state = guard.get_or_insert_default();
        if let Some(other) = state.records.conflict(&wanted) {
            return Err(other);
        }
        // A write lock that becomes a read lock lets others in.
        state.records.set(wanted);
        state.queue.wake(Events::OUT);
        Ok(())
    }

    /// Takes away what `owner` has in `range`.
    pub fn clear(&self, owner: LockOwner, range: LockRange) {
        self.change(|state| state.records.clear(owner, range));
    }

    /// `flock(2)`: takes or converts the lock of the whole file. A conversion first gives up the old
    /// lock, as Linux's does. Returns whether it succeeded.
    pub fn lock_whole(&self, owner: LockOwner, kind: LockKind, by: Weak<ThreadGroup>) -> bool {
        let mut guard = self.state.lock();
        let state = guard.get_or_insert_default();
        let mine = state.whole.iter().position(|(other, ..)| *other == owner);
        if let Some(at) = mine {
            if state.whole[at].1 == kind {
                return true;
            }
            state.whole.swap_remove(at);
            state.queue.wake(Events::OUT);
        }
        let conflict = state
            .whole
            .iter()
            .any(|(_, held, _)| kind == LockKind::Write || *held == LockKind::Write);
        if !conflict {
            state.whole.push((owner, kind, by));
        }
        !conflict
    }

    /// `flock(2)` with `LOCK_UN`.
    pub fn unlock_whole(&self, owner: LockOwner) {
        self.change(|state| {
            let before = state.whole.len();
            state.whole.retain(|(other, ..)| *other != owner);
            before != state.whole.len()
        });
    }

    /// The owner is gone: so are its locks.
    pub fn release(&self, owner: LockOwner) {
        self.unlock_whole(owner);
        self.clear(owner, LockRange::ALL);
    }

    /// All locks, for `/proc/locks` and fdinfo.
    #[must_use]
    pub fn list(&self) -> Vec<ListedLock> {
        let guard = self.state.lock();
        let Some(state) = guard.as_ref() else {
            return Vec::new();
        };
        let whole = state
            .whole
            .iter()
            .map(|(_, kind, by)| ListedLock::Whole(*kind, by.clone()));
        let records = state.records.list().iter().cloned();
        whole.chain(records.map(ListedLock::Record)).collect()
    }

    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut guard = self.state.lock();
        let Some(state) = guard.as_mut() else { return };
        if change(state) {
            state.queue.wake(Events::OUT);
        }
    }
}
