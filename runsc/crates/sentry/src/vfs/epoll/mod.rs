//! Event polls (`man 7 epoll`).
//!
//! - [`Epoll`] is the file: a table of [`Item`]s, and the list of those that may be ready.
//! - An item waits in the watched file's queue; told of an event, it puts itself on the list and tells the
//!   epoll's own queue. Whether it really is ready is found out when events are collected.
//!
//! A watched file is held weakly: closed, it is simply not there any more when its item is looked at.
//!
//! # Locks
//! `interests` > `ready`. The queues' locks come after `interests` and before `ready`: an item is told
//! with the lock of the watched file's queue held, takes `ready` for a moment, then the lock of the
//! epoll's own queue. Since epolls never watch each other in a circle ([`nesting`]), that chain ends.

mod interest;
mod nesting;
mod wait;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use bitflags::bitflags;
use locks::Mutex;

use crate::kernel::user_count::{Charge, Total};
use crate::kernel::wait_queue::{Events, Registration, WaitQueue, Waiter};
use crate::vfs::file::{File, OpenFile};

pub use nesting::EpollGraph;
pub use wait::Ready;

bitflags! {
    /// How an interest is watched (`man 2 epoll_ctl`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Mode: u32 {
        /// EPOLLEXCLUSIVE
        const EXCLUSIVE = 1 << 28;
        /// EPOLLWAKEUP: accepted, means nothing without suspend
        const WAKEUP = 1 << 29;
        /// EPOLLONESHOT
        const ONESHOT = 1 << 30;
        /// EPOLLET
        const EDGE = 1 << 31;
    }
}

/// What is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interest {
    events: Events,
    mode: Mode,
    data: u64,
    /// A one-shot interest that has fired reports nothing until it is modified.
    spent: bool,
}

/// The watch of one descriptor.
#[derive(Debug)]
struct Item {
    epoll: Weak<Epoll>,
    file: Weak<OpenFile>,
    interest: Mutex<Interest>,
    /// It is on the list of ready items.
    listed: AtomicBool,
}

/// A watched file is known by its open file description and the number it had.
type Key = (usize, i32);

#[derive(Debug)]
struct Watch {
    item: Arc<Item>,
    _charge: Charge,
    /// The item's place in the file's queue.
    _registration: Registration,
}

/// A watch takes about so much, here and in the queue of the file.
const WATCH_BYTES: u64 = 320;

#[derive(Debug, Default)]
struct Interests {
    watches: HashMap<Key, Watch>,
    /// Size of the table after dead watches were last thrown out.
    swept: usize,
}

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll {
    this: Weak<Epoll>,
    /// The watches of the user that made it.
    user_watches: Total,
    interests: Mutex<Interests>,
    ready: Mutex<VecDeque<Arc<Item>>>,
    /// Tasks in `epoll_wait(2)`.
    sleepers: WaitQueue,
    /// Those who poll the epoll itself.
    queue: WaitQueue,
    /// Epolls that watch this one.
    parents: Mutex<Vec<Weak<Epoll>>>,
}

impl Epoll {
    /// An instance that watches nothing, of a user that has `user_watches`.
    #[must_use]
    pub fn new(user_watches: Total) -> Arc<Epoll> {
        Arc::new_cyclic(|this| Epoll {
            this: this.clone(),
            user_watches,
            interests: Mutex::default(),
            ready: Mutex::default(),
            sleepers: WaitQueue::new(),
            queue: WaitQueue::new(),
            parents: Mutex::default(),
        })
    }

    /// Puts an item on the list and tells those who wait; false if it was on it.
    fn enlist(&self, item: &Arc<Item>) -> bool {
        {
            let mut ready = self.ready.lock();
            if item.listed.swap(true, Ordering::AcqRel) {
                return false;
            }
            ready.push_back(item.clone());
        }
        self.sleepers.wake(Events::IN | Events::RDNORM);
        self.queue.wake(Events::IN | Events::RDNORM);
        true
    }
}

/// What stands in the watched file's queue for an item.
struct Watcher(Arc<Item>);

impl Waiter for Watcher {
    fn notify(&self, events: Events) -> bool {
        if !self.0.wants(events) {
            return false;
        }
        let epoll = self.0.epoll.upgrade();
        epoll.is_some_and(|epoll| epoll.enlist(&self.0))
    }
}

impl Item {
    fn wants(&self, events: Events) -> bool {
        let interest = self.interest.lock();
        !interest.spent && events.intersects(interest.events | Events::ALWAYS)
    }

    /// What it is ready for of what is asked; none if the file is closed.
    fn poll(&self) -> Option<(Events, Interest)> {
        let file = self.file.upgrade()?;
        let interest = *self.interest.lock();
        if interest.spent {
            return None;
        }
        let events = file.file().poll() & (interest.events | Events::ALWAYS);
        (!events.is_empty()).then_some((events, interest))
    }
}

/// `poll(2)` and epoll of an epoll.
impl File for Epoll {
    fn held_bytes(&self, _depth: u32) -> u64 {
        let interests = self.interests.try_lock();
        interests.map_or(0, |interests| interests.watches.len() as u64 * WATCH_BYTES)
    }

    fn poll(&self) -> Events {
        if self.has_ready() {
            Events::IN | Events::RDNORM
        } else {
            Events::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn fd_info(&self) -> String {
        self.describe()
    }
}

/// The epoll behind an open file, if it is one.
pub fn of(open: &OpenFile) -> Option<&Epoll> {
    open.file_as::<Epoll>()
}

/// The queue of a file that can be watched; EPERM for others.
fn queue_of(file: &OpenFile) -> Result<&WaitQueue, Errno> {
    file.file().wait_queue().ok_or(Errno::EPERM)
}
