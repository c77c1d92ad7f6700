//! Waiting: `FUTEX_WAIT`, `FUTEX_WAIT_BITSET`, `futex_waitv(2)`.

use std::sync::Arc;

use abi::Errno;
use mm::AddressSpace;
use mm::address_space::FutexKey;

use super::{FutexTable, Kind, Waiter};
use crate::error::{Restart, Result, SysError};
use crate::kernel::blocking::{TaskWaker, Unslept};
use crate::kernel::task::{RestartBlock, Task};
use crate::time::Deadline;

/// One word that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Where it is.
    pub address: usize,
    /// What it must hold for the wait to begin.
    pub value: u32,
    /// Only this address space uses it.
    pub private: bool,
}

/// `FUTEX_WAIT` and `FUTEX_WAIT_BITSET`: sleeps until woken by a wake-up whose bitset meets `bitset`. EAGAIN:
/// the word holds something else; ETIMEDOUT; EINVAL: no bit; EFAULT.
pub fn wait(
    task: &Task,
    expected: Expected,
    bitset: u32,
    deadline: Option<Deadline>,
) -> core::result::Result<(), SysError> {
    if bitset == 0 {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm();
    let key = mm.futex_key(expected.address, expected.private)?;
    let waker = TaskWaker::current();
    let waiter = Waiter::new(key, Kind::Plain, bitset, &waker);
    let table = &task.kernel().futexes;
    enqueue(table, &mm, &expected, &key, &waiter)?;
    let slept = task.sleep_until(&waker, deadline, || waiter.is_woken().then_some(()));
    match slept {
        Ok(()) => Ok(()),
        Err(_) if !table.cancel(&waiter) => Ok(()),
        Err(Unslept::TimedOut) => Err(Errno::ETIMEDOUT.into()),
        Err(Unslept::Interrupted) => Err(SysError::Restart(restart(
            task, &expected, bitset, deadline,
        ))),
    }
}

/// A wait without end starts again; one with a deadline goes on by `restart_syscall`.
fn restart(task: &Task, expected: &Expected, bitset: u32, deadline: Option<Deadline>) -> Restart {
    let Some(deadline) = deadline else {
        return Restart::Sys;
    };
    task.own.lock().restart_block = Some(RestartBlock::Futex {
        address: expected.address,
        value: expected.value,
        bitset,
        private: expected.private,
        deadline,
    });
    Restart::Block
}

/// Hangs `waiter` into its bucket if the word holds what is expected.
pub(super) fn enqueue(
    table: &FutexTable,
    mm: &AddressSpace,
    expected: &Expected,
    key: &FutexKey,
    waiter: &Arc<Waiter>,
) -> Result<()> {
    // Faults the page in before the lock is taken.
    mm.load_u32(expected.address)?;
    let mut bucket = table.bucket(key);
    if mm.load_u32(expected.address)? != expected.value {
        return Err(Errno::EAGAIN);
    }
    bucket.waiters.push_back(waiter.clone());
    Ok(())
}

/// `futex_waitv(2)`: sleeps until one of the words is woken, and tells which.
pub fn wait_many(
    task: &Task,
    words: &[Expected],
    deadline: Option<Deadline>,
) -> core::result::Result<usize, SysError> {
    let mm = task.mm();
    let keys: Vec<FutexKey> = words
        .iter()
        .map(|word| mm.futex_key(word.address, word.private))
        .collect::<Result<_>>()?;
    let table = &task.kernel().futexes;
    let waker = TaskWaker::current();
    let mut waiters: Vec<Arc<Waiter>> = Vec::with_capacity(words.len());
    for (word, key) in words.iter().zip(&keys) {
        let waiter = Waiter::new(*key, Kind::Plain, abi::futex::BITSET_ANY, &waker);
        if let Err(errno) = enqueue(table, &mm, word, key, &waiter) {
            // One of those before may have been woken meanwhile: that counts.
            return cancel_all(table, &waiters).ok_or(SysError::Errno(errno));
        }
        waiters.push(waiter);
    }
    let woken = || waiters.iter().position(|waiter| waiter.is_woken());
    let slept = task.sleep_until(&waker, deadline, woken);
    match (cancel_all(table, &waiters), slept) {
        (Some(index), _) | (None, Ok(index)) => Ok(index),
        (None, Err(Unslept::TimedOut)) => Err(Errno::ETIMEDOUT.into()),
        (None, Err(Unslept::Interrupted)) => Err(SysError::Restart(Restart::Sys)),
    }
}

/// Takes all waiters out. Returns the last one that had been woken.
fn cancel_all(table: &FutexTable, waiters: &[Arc<Waiter>]) -> Option<usize> {
    let mut woken = None;
    for (index, waiter) in waiters.iter().enumerate() {
        if !table.cancel(waiter) {
            woken = Some(index);
        }
    }
    woken
}
