//! Locks that know their place in the kernel's order.
//!
//! [`Mutex`] and [`RwLock`] are `parking_lot`'s with a *rank* as their second type parameter. With debug assertions on, a
//! thread notes which locks it holds, and three rules are checked where they could be broken; in other builds nothing is
//! left of that.
//!
//! - A lock is taken only while the thread holds locks of its chain that come before it ([`rank`]). Two locks of one rank
//!   are taken together by [`Mutex::lock_nested`], whose caller says why that can't deadlock.
//! - Only sleeping locks are held across a request to the gofer ([`assert_may_sleep`]), and none across a wait that a
//!   signal can end ([`assert_none_held`]).
//! - No lock that a page fault takes is held while user memory is copied ([`assert_may_fault`]).
//!
//! What breaks a rule panics with both places of the source. A lock without a rank takes part in all but the first.
#![warn(missing_docs)]

mod held;
mod mutex;
pub mod rank;
mod rw_lock;

pub use held::{assert_may_fault, assert_may_sleep, assert_none_held};
pub use mutex::{Condvar, Mutex, MutexGuard};
pub use rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
