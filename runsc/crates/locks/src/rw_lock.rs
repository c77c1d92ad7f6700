//! Exclusion of readers and writers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::held::{Held, How};
use crate::rank::{Rank, Unranked};

/// A lock of a rank that many may read under and one may write under.
pub struct RwLock<T: ?Sized, R = Unranked> {
    rank: PhantomData<fn() -> R>,
    inner: parking_lot::RwLock<T>,
}

/// What an [`RwLock`] protects, to read.
#[derive(Debug)]
#[must_use = "it is locked only as long as the guard lives"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    inner: parking_lot::RwLockReadGuard<'a, T>,
    _held: Held,
}

/// What an [`RwLock`] protects, to write.
#[derive(Debug)]
#[must_use = "it is locked only as long as the guard lives"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    inner: parking_lot::RwLockWriteGuard<'a, T>,
    _held: Held,
}

impl<T, R: Rank> RwLock<T, R> {
    /// A lock that protects `value`.
    pub const fn new(value: T) -> RwLock<T, R> {
        RwLock {
            rank: PhantomData,
            inner: parking_lot::RwLock::new(value),
        }
    }
}

impl<T: ?Sized, R: Rank> RwLock<T, R> {
    /// Waits until nobody writes.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let held = Held::new(&R::PLACE, self.address(), How::Alone);
        RwLockReadGuard {
            inner: self.inner.read(),
            _held: held,
        }
    }

    /// Waits until nobody else reads or writes.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = Held::new(&R::PLACE, self.address(), How::Alone);
        RwLockWriteGuard {
            inner: self.inner.write(),
            _held: held,
        }
    }

    /// What it protects, for its only owner.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: Default, R: Rank> Default for RwLock<T, R> {
    fn default() -> RwLock<T, R> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug, R> fmt::Debug for RwLock<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
