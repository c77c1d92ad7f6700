//! Wait queues: how anything that can be waited for tells those who wait.
//!
//! Everything that can be polled has one [`WaitQueue`]. Waiters are tasks that sleep
//! ([`super::blocking`]) and epoll instances.

use std::sync::Arc;

use bitflags::bitflags;
use locks::{Mutex, rank};

bitflags! {
    /// Readiness, with the bits of `poll(2)` and `epoll_ctl(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Events: u32 {
        /// POLLIN
        const IN = 0x1;
        /// POLLPRI
        const PRI = 0x2;
        /// POLLOUT
        const OUT = 0x4;
        /// POLLERR: always reported
        const ERR = 0x8;
        /// POLLHUP: always reported
        const HUP = 0x10;
        /// POLLNVAL
        const NVAL = 0x20;
        /// POLLRDNORM
        const RDNORM = 0x40;
        /// POLLRDBAND
        const RDBAND = 0x80;
        /// POLLWRNORM
        const WRNORM = 0x100;
        /// POLLWRBAND
        const WRBAND = 0x200;
        /// POLLRDHUP
        const RDHUP = 0x2000;
        /// What a reader waits for.
        const READABLE = 0x1 | 0x40 | 0x8 | 0x10 | 0x2000;
        /// What a writer waits for.
        const WRITABLE = 0x4 | 0x100 | 0x8 | 0x10;
        /// Events that are reported whether asked for or not.
        const ALWAYS = 0x8 | 0x10;
    }
}

/// Someone who waits.
pub trait Waiter: Send + Sync {
    /// Called with the queue's lock held: must not block or take locks left of *wait queue*.
    /// Returns whether an exclusive wake-up was used (false passes it to the next exclusive waiter).
    fn notify(&self, events: Events) -> bool;
}

/// Whether a wake-up meant for one may go to others too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// Every matching event wakes this waiter.
    Shared,
    /// Of the exclusive waiters, one wakes per event (`EPOLLEXCLUSIVE`, `accept`).
    Exclusive,
}

struct Entry {
    id: u64,
    waiter: Arc<dyn Waiter>,
    mask: Events,
    wakeup: Wakeup,
}

#[derive(Default)]
struct Entries {
    next_id: u64,
    list: Vec<Entry>,
}

/// The waiters of one object.
#[derive(Clone, Default)]
pub struct WaitQueue {
    entries: Arc<Mutex<Entries, rank::Queue>>,
}

impl std::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitQueue({})", self.entries.lock().list.len())
    }
}

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> WaitQueue {
        WaitQueue::default()
    }

    /// Adds a waiter for `mask` (and ERR and HUP) until the registration is dropped. The caller checks
    /// readiness *after* registering, or it may miss an event.
    #[must_use]
    pub fn register(&self, waiter: Arc<dyn Waiter>, mask: Events, wakeup: Wakeup) -> Registration {
        let mut entries = self.entries.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.list.push(Entry {
            id,
            waiter,
            mask: mask | Events::ALWAYS,
            wakeup,
        });
        Registration {
            queue: self.clone(),
            id,
        }
    }

    /// Tells every waiter that asked for one of `events` (one only of the exclusive ones).
    pub fn wake(&self, events: Events) {
        // A waiter may have a queue of its own, as sets of epoll have, which form no circle.
        let entries = self.entries.lock_nested();
        let mut exclusive_done = false;
        for entry in entries
            .list
            .iter()
            .filter(|entry| entry.mask.intersects(events))
        {
            match entry.wakeup {
                Wakeup::Shared => {
                    entry.waiter.notify(events);
                }
                Wakeup::Exclusive if !exclusive_done => {
                    exclusive_done = entry.waiter.notify(events);
                }
                Wakeup::Exclusive => {}
            }
        }
    }
}

/// Membership of a waiter in a queue; dropped, it ends.
#[derive(Debug)]
pub struct Registration {
    queue: WaitQueue,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.queue
            .entries
            .lock()
            .list
            .retain(|entry| entry.id != self.id);
    }
}
