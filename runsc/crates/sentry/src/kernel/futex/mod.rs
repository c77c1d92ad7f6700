//! Futexes (`man 2 futex`): words of user memory that tasks wait on.
//!
//! Waiters hang in hashed buckets. Whoever waits checks the word while it holds the bucket's lock, and
//! whoever wakes takes that lock, so that no wake-up between the check and the sleep is lost. A bucket's
//! lock is outside the lock order's chains: mm locks may be taken under it (the word may have to be
//! faulted in), no other. Two buckets are locked in the order of their index.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`wait`] | waiting, for one word or for several |
//! | [`wake`] | waking, requeueing, `FUTEX_WAKE_OP` |
//! | [`pi`] | locks whose word names the owner (priority is not inherited: tasks have none here) |
//! | [`robust`] | what happens to the locks of a task that exits |

pub mod pi;
pub mod robust;
pub mod wait;
pub mod wake;

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use locks::{Mutex, MutexGuard};
use mm::AddressSpace;
use mm::address_space::FutexKey;
pub use robust::exit_robust;
pub use wake::wake_address;

use crate::kernel::blocking::TaskWaker;

const BUCKETS: usize = 256;

/// The futexes of a kernel that someone waits for.
pub struct FutexTable {
    buckets: Box<[Mutex<Bucket>]>,
}

impl Default for FutexTable {
    fn default() -> FutexTable {
        FutexTable {
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl std::fmt::Debug for FutexTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FutexTable").finish_non_exhaustive()
    }
}

/// The waiters whose keys hash alike, first come first.
#[derive(Debug, Default)]
struct Bucket {
    waiters: VecDeque<Arc<Waiter>>,
}

/// A task that waits for one futex.
#[derive(Debug)]
struct Waiter {
    /// Where it hangs: changes under the locks of both buckets.
    place: Mutex<Place>,
    bitset: u32,
    waker: Arc<TaskWaker>,
    /// It was taken out of its bucket by a wake-up.
    woken: AtomicBool,
}

#[derive(Clone, Debug)]
struct Place {
    key: FutexKey,
    kind: Kind,
}

/// What a waiter waits for.
#[derive(Clone, Debug)]
enum Kind {
    /// A wake-up.
    Plain,
    /// To own the lock.
    Pi(PiWaiter),
    /// To be moved to the lock with this key, and then to own it.
    RequeuePi { target: FutexKey, lock: PiWaiter },
}

/// Who is to own a lock, and where its word is.
#[derive(Clone, Debug)]
struct PiWaiter {
    tid: u32,
    mm: Arc<AddressSpace>,
    address: usize,
}

impl Waiter {
    fn new(key: FutexKey, kind: Kind, bitset: u32, waker: &Arc<TaskWaker>) -> Arc<Waiter> {
        Arc::new(Waiter {
            place: Mutex::new(Place { key, kind }),
            bitset,
            waker: waker.clone(),
            woken: AtomicBool::new(false),
        })
    }

    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    fn key(&self) -> FutexKey {
        self.place.lock().key
    }

    fn kind(&self) -> Kind {
        self.place.lock().kind.clone()
    }

    /// The lock that it waits to own, if it does.
    fn pi(&self) -> Option<PiWaiter> {
        match &self.place.lock().kind {
            Kind::Pi(pi) => Some(pi.clone()),
            _ => None,
        }
    }
}

/// Wake-ups that are carried out once the bucket's lock is gone.
#[derive(Debug, Default)]
struct WakeList(Vec<Arc<TaskWaker>>);

impl WakeList {
    /// `waiter` was taken out of its bucket.
    fn add(&mut self, waiter: &Waiter) {
        waiter.woken.store(true, Ordering::Release);
        self.0.push(waiter.waker.clone());
    }

    fn wake(self) {
        self.0.iter().for_each(|waker| waker.wake());
    }
}

impl Bucket {
    fn remove(&mut self, waiter: &Arc<Waiter>) -> bool {
        let at = self
            .waiters
            .iter()
            .position(|other| Arc::ptr_eq(other, waiter));
        at.and_then(|at| self.waiters.remove(at)).is_some()
    }

    /// The first waiter for the lock `key`.
    fn first_pi(&self, key: &FutexKey) -> Option<(Arc<Waiter>, PiWaiter)> {
        let of_key = self.waiters.iter().filter(|waiter| waiter.key() == *key);
        of_key
            .filter_map(|waiter| waiter.pi().map(|pi| (waiter.clone(), pi)))
            .next()
    }

    fn has_pi(&self, key: &FutexKey) -> bool {
        self.first_pi(key).is_some()
    }
}

impl FutexTable {
    fn index(key: &FutexKey) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        usize::try_from(hash % BUCKETS as u64).unwrap_or(0)
    }

    fn bucket(&self, key: &FutexKey) -> MutexGuard<'_, Bucket> {
        self.buckets[FutexTable::index(key)].lock()
    }

    /// Locks the buckets of two keys, which may be the same.
    fn two_buckets(&self, first: &FutexKey, second: &FutexKey) -> TwoBuckets<'_> {
        let (a, b) = (FutexTable::index(first), FutexTable::index(second));
        match a.cmp(&b) {
            std::cmp::Ordering::Equal => TwoBuckets {
                first: self.buckets[a].lock(),
                second: None,
            },
            std::cmp::Ordering::Less => {
                let first = self.buckets[a].lock();
                let second = Some(self.buckets[b].lock());
                TwoBuckets { first, second }
            }
            std::cmp::Ordering::Greater => {
                let second = Some(self.buckets[b].lock());
                let first = self.buckets[a].lock();
                TwoBuckets { first, second }
            }
        }
    }

    /// Takes `waiter` out of wherever it hangs by now. Returns whether it still hung there: else it has
    /// been woken.
    fn cancel(&self, waiter: &Arc<Waiter>) -> bool {
        loop {
            let key = waiter.key();
            let mut bucket = self.bucket(&key);
            if waiter.key() == key {
                return bucket.remove(waiter);
            }
        }
    }
}

struct TwoBuckets<'a> {
    first: MutexGuard<'a, Bucket>,
    /// None if it is the first one.
    second: Option<MutexGuard<'a, Bucket>>,
}

impl TwoBuckets<'_> {
    fn second(&mut self) -> &mut Bucket {
        match &mut self.second {
            Some(second) => second,
            None => &mut self.first,
        }
    }
}
