//! Locks of a task that exits (`man 2 set_robust_list`): their words say so, and someone is woken.

use abi::Errno;
use abi::futex::{OWNER_DIED, ROBUST_LIST_LIMIT, RobustListHead, TID_MASK, WAITERS};
use mm::AddressSpace;

use super::wake::{Word, wake_address};
use super::{FutexTable, Kind, WakeList, pi};
use crate::error::Result;
use crate::kernel::task::Task;

/// Walks the robust list of an exiting task, which may be hostile, and hands over the PI locks it has.
pub fn exit_robust(task: &Task) {
    let Some(mm) = task.mm_if_alive() else {
        return;
    };
    let head = std::mem::take(&mut task.own.lock().robust_list);
    if head != 0 {
        // A list that can't be read ends where it can't.
        let _ = walk(task, &mm, head);
    }
    hand_over_all(&task.kernel().futexes, task.tid());
}

/// An entry's address, and whether it is a PI lock.
fn split(raw: u64) -> (u64, bool) {
    (raw & !1, raw & 1 != 0)
}

fn walk(task: &Task, mm: &AddressSpace, head_at: usize) -> Result<()> {
    let head: RobustListHead = mm.read_value(head_at)?;
    let (pending, pending_is_pi) = split(head.pending);
    let word_of = |entry: u64| {
        let word = entry.wrapping_add_signed(head.futex_offset);
        usize::try_from(word).map_err(|_| Errno::EFAULT)
    };
    let (mut entry, mut is_pi) = split(head.next);
    for _ in 0..ROBUST_LIST_LIMIT {
        if entry == head_at as u64 {
            break;
        }
        // Read before the word changes, which may let others free the entry.
        let at = usize::try_from(entry).map_err(|_| Errno::EFAULT)?;
        let next = mm.read_value::<u64>(at);
        if entry != pending {
            owner_died(task, mm, word_of(entry)?, is_pi, false)?;
        }
        (entry, is_pi) = split(next?);
    }
    if pending != 0 {
        owner_died(task, mm, word_of(pending)?, pending_is_pi, true)?;
    }
    Ok(())
}

/// Marks a word that names the task, and wakes one waiter of a lock that is not PI.
fn owner_died(
    task: &Task,
    mm: &AddressSpace,
    address: usize,
    is_pi: bool,
    pending: bool,
) -> Result<()> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    loop {
        let value = mm.load_u32(address)?;
        if pending && !is_pi && value == 0 {
            // It died between unlocking the word and waking.
            wake_address(task, address, 1);
            return Ok(());
        }
        if value & TID_MASK != task.tid() {
            return Ok(());
        }
        let key = Word {
            address,
            private: false,
        }
        .key(mm)?;
        if is_pi && task.kernel().futexes.bucket(&key).has_pi(&key) {
            // Handed over with the others.
            return Ok(());
        }
        let new = value & WAITERS | OWNER_DIED;
        if mm.compare_exchange_u32(address, value, new)? == value {
            if !is_pi && value & WAITERS != 0 {
                wake_address(task, address, 1);
            }
            return Ok(());
        }
    }
}

/// Hands over every PI lock that `tid` has and someone waits for.
fn hand_over_all(table: &FutexTable, tid: u32) {
    for bucket in &table.buckets {
        let mut bucket = bucket.lock();
        let mut list = WakeList::default();
        let locks: Vec<_> = bucket
            .waiters
            .iter()
            .filter_map(|waiter| match waiter.kind() {
                Kind::Pi(pi) => Some((waiter.key(), pi)),
                _ => None,
            })
            .collect();
        for (key, lock) in locks {
            let owned = lock
                .mm
                .load_u32(lock.address)
                .is_ok_and(|value| value & TID_MASK == tid);
            if owned {
                // A word that can't be written is gone for its waiters as well.
                let _ = pi::hand_over(
                    &mut bucket,
                    &key,
                    &lock.mm,
                    lock.address,
                    OWNER_DIED,
                    &mut list,
                );
            }
        }
        drop(bucket);
        list.wake();
    }
}
