//! Waking: `FUTEX_WAKE`, `FUTEX_WAKE_BITSET`, `FUTEX_REQUEUE`, `FUTEX_CMP_REQUEUE`, `FUTEX_WAKE_OP`.

use std::collections::VecDeque;

use abi::Errno;
use mm::AddressSpace;
use mm::address_space::FutexKey;

use super::{Bucket, Kind, WakeList};
use crate::error::Result;
use crate::kernel::task::Task;

/// A word and whether only its address space uses it.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Where it is.
    pub address: usize,
    /// `FUTEX_PRIVATE_FLAG`
    pub private: bool,
}

impl Word {
    pub(super) fn key(&self, mm: &AddressSpace) -> Result<FutexKey> {
        mm.futex_key(self.address, self.private)
    }
}

/// Wakes up to `count` waiters of `word` whose bitset meets `bitset`; how many. EINVAL: no bit, or the
/// word is a PI lock.
pub fn wake(task: &Task, word: Word, count: u32, bitset: u32) -> Result<u32> {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let key = word.key(&task.mm())?;
    let mut list = WakeList::default();
    let woken = take(
        &mut task.kernel().futexes.bucket(&key),
        &key,
        count,
        bitset,
        &mut list,
    );
    list.wake();
    woken
}

/// Wakes up to `count` waiters at `address` on behalf of an exiting task.
pub fn wake_address(task: &Task, address: usize, count: u32) {
    let word = Word {
        address,
        private: false,
    };
    // There is nobody to tell of a bad address.
    let _ = wake(task, word, count, abi::futex::BITSET_ANY);
}

fn take(
    bucket: &mut Bucket,
    key: &FutexKey,
    count: u32,
    bitset: u32,
    list: &mut WakeList,
) -> Result<u32> {
    let mut woken = 0;
    let mut at = 0;
    while woken < count
        && let Some(waiter) = bucket.waiters.get(at)
    {
        if waiter.key() != *key {
            at += 1;
            continue;
        }
        if !matches!(waiter.kind(), Kind::Plain) {
            return Err(Errno::EINVAL);
        }
        if waiter.bitset & bitset == 0 {
            at += 1;
            continue;
        }
        if let Some(waiter) = bucket.waiters.remove(at) {
            list.add(&waiter);
        }
        woken += 1;
    }
    Ok(woken)
}

/// `FUTEX_REQUEUE` and, with `expected`, `FUTEX_CMP_REQUEUE`: wakes up to `wake` waiters of `from` and makes
/// up to `requeue` others wait for `to`. Returns how many were woken and how many moved. EAGAIN: the word
/// does not hold what is expected.
pub fn requeue(
    task: &Task,
    from: Word,
    to: Word,
    expected: Option<u32>,
    wake: u32,
    requeue: u32,
) -> Result<(u32, u32)> {
    let mm = task.mm();
    let (from_key, to_key) = (from.key(&mm)?, to.key(&mm)?);
    if expected.is_some() {
        mm.load_u32(from.address)?;
    }
    let mut list = WakeList::default();
    let mut buckets = task.kernel().futexes.two_buckets(&from_key, &to_key);
    if let Some(expected) = expected
        && mm.load_u32(from.address)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    let any = abi::futex::BITSET_ANY;
    let woken = take(&mut buckets.first, &from_key, wake, any, &mut list)?;
    let moved = if from_key == to_key {
        count(&buckets.first, &from_key, requeue)
    } else {
        move_waiters(&mut buckets, &from_key, &to_key, requeue)?
    };
    drop(buckets);
    list.wake();
    Ok((woken, moved))
}

fn count(bucket: &Bucket, key: &FutexKey, limit: u32) -> u32 {
    let all = bucket.waiters.iter().filter(|waiter| waiter.key() == *key);
    u32::try_from(all.count()).unwrap_or(u32::MAX).min(limit)
}

fn move_waiters(
    buckets: &mut super::TwoBuckets<'_>,
    from: &FutexKey,
    to: &FutexKey,
    limit: u32,
) -> Result<u32> {
    let mut moved = VecDeque::new();
    let mut at = 0;
    while (moved.len() as u64) < u64::from(limit)
        && let Some(waiter) = buckets.first.waiters.get(at)
    {
        if waiter.key() != *from {
            at += 1;
            continue;
        }
        if !matches!(waiter.kind(), Kind::Plain) {
            return Err(Errno::EINVAL);
        }
        moved.extend(buckets.first.waiters.remove(at));
    }
    let nr_moved = u32::try_from(moved.len()).unwrap_or(u32::MAX);
    for waiter in &moved {
        waiter.place.lock().key = *to;
    }
    buckets.second().waiters.append(&mut moved);
    Ok(nr_moved)
}

/// `FUTEX_WAKE_OP`: changes the word of `second` and wakes `wake` waiters of `first`, and `wake_second` of
/// `second` if its old value compares as `operation` says.
pub fn wake_op(
    task: &Task,
    first: Word,
    second: Word,
    wake: u32,
    wake_second: u32,
    operation: Operation,
) -> Result<u32> {
    let mm = task.mm();
    let (first_key, second_key) = (first.key(&mm)?, second.key(&mm)?);
    mm.load_u32(second.address)?;
    let mut list = WakeList::default();
    let mut buckets = task.kernel().futexes.two_buckets(&first_key, &second_key);
    let old = mm.fetch_update_u32(second.address, |old| operation.apply(old))?;
    let any = abi::futex::BITSET_ANY;
    let mut woken = take(&mut buckets.first, &first_key, wake, any, &mut list)?;
    if operation.compares(old) {
        woken += take(buckets.second(), &second_key, wake_second, any, &mut list)?;
    }
    drop(buckets);
    list.wake();
    Ok(woken)
}

/// The third value of `FUTEX_WAKE_OP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    kind: u32,
    argument: u32,
    compare: u32,
    compare_argument: i32,
}

impl Operation {
    /// Takes the encoded operation apart; ENOSYS for one that does not exist.
    pub fn decode(raw: u32) -> Result<Operation> {
        // FUTEX_OP_OPARG_SHIFT
        const SHIFTED: u32 = 8;
        let sign_extend = |bits: u32| (bits << 20).cast_signed() >> 20;
        let kind = raw >> 28;
        let argument = sign_extend((raw >> 12) & 0xfff).cast_unsigned();
        let argument = if kind & SHIFTED == 0 {
            argument
        } else {
            1 << (argument & 31)
        };
        let operation = Operation {
            kind: kind & !SHIFTED,
            argument,
            compare: (raw >> 24) & 0xf,
            compare_argument: sign_extend(raw & 0xfff),
        };
        if operation.kind > 4 || operation.compare > 5 {
            return Err(Errno::ENOSYS);
        }
        Ok(operation)
    }

    fn apply(self, old: u32) -> u32 {
        match self.kind {
            0 => self.argument,
            1 => old.wrapping_add(self.argument),
            2 => old | self.argument,
            3 => old & !self.argument,
            _ => old ^ self.argument,
        }
    }

    fn compares(self, old: u32) -> bool {
        let (old, with) = (old.cast_signed(), self.compare_argument);
        match self.compare {
            0 => old == with,
            1 => old != with,
            2 => old < with,
            3 => old <= with,
            4 => old > with,
            _ => old >= with,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_manual() {
        let encode = |op: u32, cmp: u32, oparg: u32, cmparg: u32| {
            op << 28 | cmp << 24 | (oparg & 0xfff) << 12 | cmparg & 0xfff
        };
        let cases = [
            (encode(0, 0, 7, 3), 3, 7, true),
            (encode(1, 1, 0xfff, 3), 3, 2, false),
            (encode(2, 4, 8, 0xfff), 0, 8, true),
            (encode(3, 2, 1, 0), 3, 2, false),
            (encode(4, 5, 3, 1), 1, 2, true),
            (encode(8 | 2, 3, 4, 1), 1, 17, true),
        ];
        for (raw, old, new, compares) in cases {
            let operation = Operation::decode(raw).unwrap();
            assert_eq!(
                (operation.apply(old), operation.compares(old)),
                (new, compares),
                "{raw:#x}"
            );
        }
        assert_eq!(Operation::decode(encode(5, 0, 0, 0)), Err(Errno::ENOSYS));
        assert_eq!(Operation::decode(encode(0, 6, 0, 0)), Err(Errno::ENOSYS));
    }
}
