//! Locks whose word names the owner: `FUTEX_LOCK_PI`, `FUTEX_UNLOCK_PI`, `FUTEX_TRYLOCK_PI`,
//! `FUTEX_WAIT_REQUEUE_PI`, `FUTEX_CMP_REQUEUE_PI`.
//!
//! The kernel hands a contended lock over: it writes the next owner's id into the word before it wakes it.
//! Priorities are not inherited, since tasks have none here. Deadlocks over more than one lock are not
//! detected (Linux: EDEADLK); they last until a signal or the time-out.

use std::sync::Arc;

use abi::Errno;
use abi::futex::{OWNER_DIED, TID_MASK, WAITERS};
use mm::AddressSpace;
use mm::address_space::FutexKey;

use super::wait::{Expected, enqueue};
use super::wake::Word;
use super::{Bucket, Kind, PiWaiter, Waiter, WakeList};
use crate::error::{Restart, Result, SysError};
use crate::kernel::blocking::{TaskWaker, Unslept};
use crate::kernel::task::Task;
use crate::time::Deadline;

/// What came of an attempt to take a lock.
enum Attempt {
    Taken,
    /// This thread has it; the word says that there are waiters.
    OwnedBy(u32),
}

/// Takes the lock for `tid` if nobody has it, else marks it as waited for. EDEADLK: `tid` has it.
fn attempt(mm: &AddressSpace, address: usize, tid: u32, others_wait: bool) -> Result<Attempt> {
    loop {
        let value = mm.load_u32(address)?;
        let owner = value & TID_MASK;
        if owner == tid {
            return Err(Errno::EDEADLK);
        }
        let new = if owner == 0 {
            tid | value & OWNER_DIED | if others_wait { WAITERS } else { 0 }
        } else {
            value | WAITERS
        };
        if new == value || mm.compare_exchange_u32(address, value, new)? == value {
            return Ok(if owner == 0 {
                Attempt::Taken
            } else {
                Attempt::OwnedBy(owner)
            });
        }
    }
}

/// `FUTEX_TRYLOCK_PI`: EAGAIN if someone has it.
pub fn try_lock(task: &Task, word: Word) -> Result<()> {
    let mm = task.mm();
    let key = word.key(&mm)?;
    mm.load_u32(word.address)?;
    let bucket = task.kernel().futexes.bucket(&key);
    match attempt(&mm, word.address, task.tid(), bucket.has_pi(&key))? {
        Attempt::Taken => Ok(()),
        Attempt::OwnedBy(_) => Err(Errno::EAGAIN),
    }
}

/// `FUTEX_LOCK_PI` and `FUTEX_LOCK_PI2`. EDEADLK, ESRCH: the word names a thread that does not exist;
/// ETIMEDOUT.
pub fn lock(
    task: &Task,
    word: Word,
    deadline: Option<Deadline>,
) -> core::result::Result<(), SysError> {
    let mm = task.mm();
    let key = word.key(&mm)?;
    let table = &task.kernel().futexes;
    let waker = TaskWaker::current();
    loop {
        mm.load_u32(word.address)?;
        let mut bucket = table.bucket(&key);
        let owner = match attempt(&mm, word.address, task.tid(), bucket.has_pi(&key))? {
            Attempt::Taken => return Ok(()),
            Attempt::OwnedBy(owner) => owner,
        };
        match owner_state(task, owner) {
            OwnerState::Gone => return Err(Errno::ESRCH.into()),
            OwnerState::Exiting => {
                drop(bucket);
                wait_for_exit(task, deadline)?;
                continue;
            }
            OwnerState::Alive => {}
        }
        let pi = PiWaiter {
            tid: task.tid(),
            mm: mm.clone(),
            address: word.address,
        };
        let waiter = Waiter::new(key, Kind::Pi(pi), abi::futex::BITSET_ANY, &waker);
        bucket.waiters.push_back(waiter.clone());
        drop(bucket);
        let slept = task.sleep_until(&waker, deadline, || waiter.is_woken().then_some(()));
        return match slept {
            Ok(()) => Ok(()),
            Err(_) if !table.cancel(&waiter) => Ok(()),
            Err(unslept) => Err(unslept.into_error(Errno::ETIMEDOUT, Restart::Always)),
        };
    }
}

enum OwnerState {
    Alive,
    /// It is about to hand over what it has.
    Exiting,
    Gone,
}

fn owner_state(task: &Task, owner: u32) -> OwnerState {
    use crate::kernel::task::RunState;
    let Some(owner) = task.pid_namespace().task(owner) else {
        return OwnerState::Gone;
    };
    match owner.run_state() {
        RunState::Zombie | RunState::Dead => OwnerState::Gone,
        _ if owner.has_left_signals() => OwnerState::Exiting,
        _ => OwnerState::Alive,
    }
}

/// Waits a little for an owner that is exiting.
fn wait_for_exit(task: &Task, deadline: Option<Deadline>) -> core::result::Result<(), SysError> {
    const PAUSE_NS: u64 = 1_000_000;
    let clock = task.kernel().clock();
    if deadline.is_some_and(|deadline| clock.until(deadline).is_zero()) {
        return Err(Errno::ETIMEDOUT.into());
    }
    let waker = TaskWaker::current();
    let pause = Some(clock.after(PAUSE_NS));
    match task.sleep_until(&waker, pause, || None::<()>) {
        Err(Unslept::Interrupted) => Err(SysError::Restart(Restart::Always)),
        _ => Ok(()),
    }
}

/// `FUTEX_UNLOCK_PI`. EPERM: the caller does not have it.
pub fn unlock(task: &Task, word: Word) -> Result<()> {
    let mm = task.mm();
    let key = word.key(&mm)?;
    mm.load_u32(word.address)?;
    let mut list = WakeList::default();
    let mut bucket = task.kernel().futexes.bucket(&key);
    loop {
        let value = mm.load_u32(word.address)?;
        if value & TID_MASK != task.tid() {
            return Err(Errno::EPERM);
        }
        if bucket.has_pi(&key) {
            hand_over(&mut bucket, &key, &mm, word.address, 0, &mut list)?;
            break;
        }
        if mm.compare_exchange_u32(word.address, value, 0)? == value {
            break;
        }
    }
    drop(bucket);
    list.wake();
    Ok(())
}

/// Makes the first waiter the owner: its id goes into the word, with `extra` (`OWNER_DIED`), and it is woken.
pub(super) fn hand_over(
    bucket: &mut Bucket,
    key: &FutexKey,
    mm: &AddressSpace,
    address: usize,
    extra: u32,
    list: &mut WakeList,
) -> Result<()> {
    let Some((waiter, pi)) = bucket.first_pi(key) else {
        return Ok(());
    };
    bucket.remove(&waiter);
    let waiters = if bucket.has_pi(key) { WAITERS } else { 0 };
    let stored = mm.fetch_update_u32(address, |_| pi.tid | waiters | extra);
    // Woken even if the word is gone: it finds out by itself.
    list.add(&waiter);
    stored.map(|_| ())
}

/// `FUTEX_WAIT_REQUEUE_PI`: waits for `expected` until `FUTEX_CMP_REQUEUE_PI` moves it to `lock`, then until it
/// owns that. EAGAIN: woken by something else.
pub fn wait_requeue(
    task: &Task,
    expected: Expected,
    lock: Word,
    deadline: Option<Deadline>,
) -> core::result::Result<(), SysError> {
    let mm = task.mm();
    let key = mm.futex_key(expected.address, expected.private)?;
    let target = lock.key(&mm)?;
    if key == target {
        return Err(Errno::EINVAL.into());
    }
    let pi = PiWaiter {
        tid: task.tid(),
        mm: mm.clone(),
        address: lock.address,
    };
    let waker = TaskWaker::current();
    let kind = Kind::RequeuePi { target, lock: pi };
    let waiter = Waiter::new(key, kind, abi::futex::BITSET_ANY, &waker);
    let table = &task.kernel().futexes;
    enqueue(table, &mm, &expected, &key, &waiter)?;
    let slept = task.sleep_until(&waker, deadline, || waiter.is_woken().then_some(()));
    match slept {
        Ok(()) => Ok(()),
        Err(_) if !table.cancel(&waiter) => Ok(()),
        Err(Unslept::TimedOut) => Err(Errno::ETIMEDOUT.into()),
        // Requeued already: the wait may not start again.
        Err(Unslept::Interrupted) if waiter.pi().is_some() => Err(Errno::EAGAIN.into()),
        Err(Unslept::Interrupted) => Err(SysError::Restart(Restart::Always)),
    }
}

/// `FUTEX_CMP_REQUEUE_PI`: gives `lock` to the first waiter of `from` if it is free, and moves up to `requeue`
/// others to it. Returns how many were woken or moved. EAGAIN: the word is not `expected`; EINVAL: a
/// waiter does not wait for this lock.
pub fn requeue(task: &Task, from: Word, lock: Word, expected: u32, requeue: u32) -> Result<u32> {
    let mm = task.mm();
    let (from_key, lock_key) = (from.key(&mm)?, lock.key(&mm)?);
    if from_key == lock_key {
        return Err(Errno::EINVAL);
    }
    mm.load_u32(from.address)?;
    mm.load_u32(lock.address)?;
    let mut list = WakeList::default();
    let mut buckets = task.kernel().futexes.two_buckets(&from_key, &lock_key);
    if mm.load_u32(from.address)? != expected {
        return Err(Errno::EAGAIN);
    }
    let mut done = 0;
    let limit = requeue.saturating_add(1);
    while done < limit
        && let Some((waiter, pi)) = next_for(&buckets.first, &from_key, &lock_key)?
    {
        let others_wait = buckets.second().has_pi(&lock_key)
            || (limit > 1 && nr_of(&buckets.first, &from_key) > 1);
        let taken = if done == 0 {
            matches!(
                attempt(&mm, lock.address, pi.tid, others_wait)?,
                Attempt::Taken
            )
        } else {
            false
        };
        buckets.first.remove(&waiter);
        if taken {
            list.add(&waiter);
        } else {
            mm.fetch_update_u32(lock.address, |value| value | WAITERS)?;
            *waiter.place.lock() = super::Place {
                key: lock_key,
                kind: Kind::Pi(pi),
            };
            buckets.second().waiters.push_back(waiter);
        }
        done += 1;
    }
    drop(buckets);
    list.wake();
    Ok(done)
}

fn nr_of(bucket: &Bucket, key: &FutexKey) -> usize {
    let of_key = |waiter: &&Arc<Waiter>| waiter.key() == *key;
    bucket.waiters.iter().filter(of_key).count()
}

/// The first waiter of `from`, which must wait to be moved to `lock`.
fn next_for(
    bucket: &Bucket,
    from: &FutexKey,
    lock: &FutexKey,
) -> Result<Option<(Arc<Waiter>, PiWaiter)>> {
    let Some(waiter) = bucket.waiters.iter().find(|waiter| waiter.key() == *from) else {
        return Ok(None);
    };
    match waiter.kind() {
        Kind::RequeuePi { target, lock: pi } if target == *lock => Ok(Some((waiter.clone(), pi))),
        _ => Err(Errno::EINVAL),
    }
}
