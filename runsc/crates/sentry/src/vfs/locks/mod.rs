//! File locks: `flock(2)`, record locks and open file description locks of `fcntl(2)`; and who writes
//! or executes a file (`ETXTBSY`).
//!
//! The calls try, and sleep on [`FileLocks::wait_queue`] when refused; [`waits`] finds the deadlocks
//! that record locks of processes report. Locks of files that the host's programs and other containers use too are
//! theirs as well: see [`HostLock`].

mod host;
mod record;
mod text;
mod waits;
mod write_count;

use std::sync::Weak;

use abi::Errno;
use locks::Mutex;

use crate::error::{Restart, Result, SysError};
use crate::kernel::blocking::Unslept;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::{Events, WaitQueue};

pub use host::{HostLock, Outside};
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
    /// Where the host holds record locks for this kernel, as long as there are some.
    host_records: Option<HostLock>,
    /// The same for the lock of the whole file.
    host_whole: Option<HostLock>,
}

/// Who is in the way of a record lock.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A task of this kernel, with this lock.
    Inside(RecordLock),
    /// Somebody outside.
    Outside,
}

impl Holder {
    /// On which side of the sandbox it is.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Holder::Inside(_) => Side::Inside,
            Holder::Outside => Side::Outside,
        }
    }
}

/// Where a lock is held that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// By a task of this kernel, which wakes those who wait.
    Inside,
    /// Outside, where nobody tells of its end.
    Outside,
}

/// What came of trying to take a lock.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<T> {
    /// It is over.
    Done(T),
    /// Another has it.
    Refused(Side),
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

    /// Sets a record lock, replacing what its owner had there; or who is in the way. `host` is where the host has its
    /// part of it, for a file that is the host's too.
    pub fn set(&self, wanted: RecordLock, host: Option<&HostLock>) -> Result<Option<Holder>> {
        let mut guard = self.state.lock();
        let state = guard.get_or_insert_default();
        if let Some(other) = state.records.conflict(&wanted) {
            return Ok(Some(Holder::Inside(other)));
        }
        if let Some(host) = host {
            let host = state.host_for_records(host)?;
            if !host.set_record(Some(wanted.kind), wanted.range)? {
                return Ok(Some(Holder::Outside));
            }
        }
        // A write lock that becomes a read lock lets others in.
        state.records.set(wanted);
        state.queue.wake(Events::OUT);
        Ok(None)
    }

    /// Takes away what `owner` has in `range`.
    pub fn clear(&self, owner: LockOwner, range: LockRange) {
        self.change(|state| {
            let changed = state.records.clear(owner, range);
            if changed {
                state.free_records(range);
            }
            changed
        });
    }

    /// `flock(2)`: takes or converts the lock of the whole file. A conversion first gives up the old
    /// lock, as Linux's does. Or on which side somebody is in the way. `host` as for [`FileLocks::set`].
    pub fn lock_whole(
        &self,
        owner: LockOwner,
        kind: LockKind,
        by: Weak<ThreadGroup>,
        host: Option<&HostLock>,
    ) -> Result<Option<Side>> {
        let mut guard = self.state.lock();
        let state = guard.get_or_insert_default();
        let mine = state.whole.iter().position(|(other, ..)| *other == owner);
        if let Some(at) = mine {
            if state.whole[at].1 == kind {
                return Ok(None);
            }
            state.whole.swap_remove(at);
            state.queue.wake(Events::OUT);
        }
        let conflict = state
            .whole
            .iter()
            .any(|(_, held, _)| kind == LockKind::Write || *held == LockKind::Write);
        if conflict {
            return Ok(Some(Side::Inside));
        }
        if let Some(host) = host {
            let host = state.host_whole.get_or_insert_with(|| host.clone());
            let locked = host.set_whole(Some(kind));
            if locked != Ok(true) {
                state.free_whole();
                return locked.map(|_| Some(Side::Outside));
            }
        }
        state.whole.push((owner, kind, by));
        Ok(None)
    }

    /// `flock(2)` with `LOCK_UN`.
    pub fn unlock_whole(&self, owner: LockOwner) {
        self.change(|state| {
            let before = state.whole.len();
            state.whole.retain(|(other, ..)| *other != owner);
            let changed = before != state.whole.len();
            if changed {
                state.free_whole();
            }
            changed
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

impl State {
    /// Where the host's record locks are to be taken: where they are, or, if an excluding one is wanted and none could be
    /// taken there, through `candidate`, which first takes what is held, all of it shared.
    fn host_for_records(&mut self, candidate: &HostLock) -> Result<&HostLock> {
        let current = self.host_records.as_ref();
        if current.is_none_or(|current| candidate.writable && !current.writable) {
            for held in self.records.list() {
                candidate.set_record(Some(held.kind), held.range)?;
            }
            self.host_records = Some(candidate.clone());
        }
        // It has just been set if there was none.
        self.host_records.as_ref().ok_or(Errno::ENOLCK)
    }

    /// Tells the host what nobody here holds any more of `range`.
    fn free_records(&mut self, range: LockRange) {
        let Some(host) = &self.host_records else {
            return;
        };
        for free in self.records.free_in(range) {
            // Giving up fails only for want of memory, for a split; the lock goes with the descriptor.
            let _ = host.set_record(None, free);
        }
        if self.records.list().is_empty() {
            self.host_records = None;
        }
    }

    /// Tells the host if nobody here holds the lock of the whole file any more.
    fn free_whole(&mut self) {
        if self.whole.is_empty()
            && let Some(host) = self.host_whole.take()
        {
            // It fails for no open file.
            let _ = host.set_whole(None);
        }
    }
}

/// Runs `attempt` until it is done, sleeping in between until a lock of the file goes; as long as somebody outside has
/// it, also every now and then.
pub fn wait<T>(
    task: &Task,
    locks: &FileLocks,
    mut attempt: impl FnMut() -> Attempt<T>,
) -> core::result::Result<T, SysError> {
    let queue = locks.wait_queue();
    let [mut pause, longest] = host::PAUSES;
    let mut side = Side::Outside;
    loop {
        let deadline = (side == Side::Outside).then(|| {
            let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            task.kernel().clock().after(pause_ns)
        });
        let changed = task.wait_for(&[(&queue, Events::OUT)], deadline, || match attempt() {
            Attempt::Refused(still) if still == side => None,
            changed => Some(changed),
        });
        match changed {
            Ok(Attempt::Done(value)) => return Ok(value),
            Ok(Attempt::Refused(other)) => side = other,
            Err(Unslept::TimedOut) => pause = (pause * 2).min(longest),
            Err(interrupted) => return Err(interrupted.into_error(Errno::EAGAIN, Restart::Sys)),
        }
    }
}
