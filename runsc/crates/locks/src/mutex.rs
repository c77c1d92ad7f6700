//! Mutual exclusion.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use parking_lot::WaitTimeoutResult;

use crate::held::{Held, How};
use crate::rank::{Rank, Unranked};

/// A mutex of a rank.
pub struct Mutex<T: ?Sized, R = Unranked> {
    rank: PhantomData<fn() -> R>,
    inner: parking_lot::Mutex<T>,
}

/// What a locked [`Mutex`] protects.
#[must_use = "it is locked only as long as the guard lives"]
pub struct MutexGuard<'a, T: ?Sized> {
    // Given back before the note of it goes.
    inner: parking_lot::MutexGuard<'a, T>,
    held: Held,
}

impl<T, R: Rank> Mutex<T, R> {
    /// A mutex that protects `value`.
    pub const fn new(value: T) -> Mutex<T, R> {
        Mutex {
            rank: PhantomData,
            inner: parking_lot::Mutex::new(value),
        }
    }

    /// What it protects, which nobody else can reach any more.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized, R: Rank> Mutex<T, R> {
    /// Waits for it and takes it.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock_as(How::Alone)
    }

    /// The same while others of the rank are held, which everybody takes in the same order as the caller.
    #[inline]
    #[track_caller]
    pub fn lock_nested(&self) -> MutexGuard<'_, T> {
        self.lock_as(How::Nested)
    }

    #[inline]
    #[track_caller]
    fn lock_as(&self, how: How) -> MutexGuard<'_, T> {
        let held = Held::new(&R::PLACE, self.address(), how);
        MutexGuard {
            inner: self.inner.lock(),
            held,
        }
    }

    /// Takes it if nobody has it.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        let held = Held::new(&R::PLACE, self.address(), How::Trying);
        Some(MutexGuard { inner, held })
    }

    /// What it protects, for its only owner.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: ?Sized> MutexGuard<'_, T> {
    /// Calls `f` while it is not locked.
    pub fn unlocked<U>(guard: &mut Self, f: impl FnOnce() -> U) -> U {
        let inner = &mut guard.inner;
        guard
            .held
            .suspended(|| parking_lot::MutexGuard::unlocked(inner, f))
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: Default, R: Rank> Default for Mutex<T, R> {
    fn default() -> Mutex<T, R> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug, R> fmt::Debug for Mutex<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Waits, with a mutex, for what others say by [`notify_one`](Self::notify_one) and [`notify_all`](Self::notify_all).
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar(parking_lot::Condvar::new())
    }

    /// Wakes one thread.
    pub fn notify_one(&self) -> bool {
        self.0.notify_one()
    }

    /// Wakes all threads.
    pub fn notify_all(&self) -> usize {
        self.0.notify_all()
    }

    /// Gives the mutex back, waits, and takes it again.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = &mut guard.inner;
        guard.held.suspended(|| self.0.wait(inner));
    }

    /// The same for so long at most.
    pub fn wait_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        let inner = &mut guard.inner;
        guard.held.suspended(|| self.0.wait_for(inner, timeout))
    }

    /// The same up to a moment.
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        moment: Instant,
    ) -> WaitTimeoutResult {
        let inner = &mut guard.inner;
        guard.held.suspended(|| self.0.wait_until(inner, moment))
    }
}

#[cfg(test)]
mod tests {
    use super::{Condvar, Mutex, MutexGuard};
    use crate::rank::{Dentry, Group, Mappings, Rename, TaskSet};
    use crate::{assert_may_fault, assert_may_sleep, assert_none_held};

    fn panics(f: impl FnOnce()) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err()
    }

    #[test]
    fn the_order_is_checked() {
        let rename = Mutex::<_, Rename>::new(());
        let (one, other) = (Mutex::<_, Dentry>::new(()), Mutex::<_, Dentry>::new(()));
        let tasks = Mutex::<_, TaskSet>::new(());
        {
            let _rename = rename.lock();
            let _one = one.lock();
            let _other = other.lock_nested();
            // Of another chain.
            let _tasks = tasks.lock();
        }
        let is_checked = cfg!(debug_assertions);
        let held = one.lock();
        assert_eq!(panics(|| drop(rename.lock())), is_checked);
        assert_eq!(panics(|| drop(other.lock())), is_checked);
        // Nobody waits for it.
        assert!(rename.try_lock().is_some());
        drop(held);
        assert!(!panics(|| drop(rename.lock())));
    }

    #[test]
    fn what_must_not_be_held_is_checked() {
        let is_checked = cfg!(debug_assertions);
        let (rename, mappings) = (Mutex::<_, Rename>::new(()), Mutex::<_, Mappings>::new(()));
        let group = Mutex::<_, Group>::new(());
        {
            let _rename = rename.lock();
            assert!(!panics(assert_may_sleep) && !panics(assert_may_fault));
            assert_eq!(panics(assert_none_held), is_checked);
        }
        {
            let _mappings = mappings.lock();
            assert_eq!(panics(assert_may_sleep), is_checked);
            assert_eq!(panics(assert_may_fault), is_checked);
        }
        let mut held = group.lock();
        assert_eq!(panics(assert_may_sleep), is_checked);
        MutexGuard::unlocked(&mut held, || assert!(!panics(assert_none_held)));
        assert_eq!(panics(assert_none_held), is_checked);
        drop(held);
        assert!(!panics(assert_none_held));
    }

    #[test]
    fn a_condition_is_waited_for_without_the_lock() {
        let (state, changed) = (Mutex::<_>::new(false), Condvar::new());
        std::thread::scope(|scope| {
            let mut ready = state.lock();
            scope.spawn(|| {
                *state.lock() = true;
                changed.notify_all();
            });
            while !*ready {
                changed.wait(&mut ready);
            }
        });
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_lock_is_not_taken_twice() {
        let lock = Mutex::<_>::new(());
        let _held = lock.lock();
        assert!(panics(|| drop(lock.lock())));
    }
}
