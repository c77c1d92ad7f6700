//! The offset of an open file description, which can be looked at while a call that moves it is under way.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use locks::{Mutex, MutexGuard, rank};

/// A file offset. It is locked over reads and writes that use it, and those may ask for what it is: what is read may be
/// the very text that tells it (`man 5 proc`, *`/proc/pid/fdinfo`*). So there is a copy for those who only look.
#[derive(Debug, Default)]
pub struct Offset {
    locked: Mutex<u64, rank::Offset>,
    last: AtomicU64,
}

impl Offset {
    /// For a call that moves it.
    pub fn lock(&self) -> OffsetGuard<'_> {
        OffsetGuard {
            locked: self.locked.lock(),
            last: &self.last,
        }
    }

    /// What it was when the last call that moved it was over; waits for nobody.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }
}

/// The offset, locked.
#[derive(Debug)]
pub struct OffsetGuard<'a> {
    locked: MutexGuard<'a, u64>,
    last: &'a AtomicU64,
}

impl Deref for OffsetGuard<'_> {
    type Target = u64;

    fn deref(&self) -> &u64 {
        &self.locked
    }
}

impl DerefMut for OffsetGuard<'_> {
    fn deref_mut(&mut self) -> &mut u64 {
        &mut self.locked
    }
}

impl Drop for OffsetGuard<'_> {
    fn drop(&mut self) {
        self.last.store(*self.locked, Ordering::Release);
    }
}
