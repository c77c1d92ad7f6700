//! Contexts of asynchronous I/O (`man 7 aio`, `man 2 io_setup`): what has completed and was not fetched.
//!
//! As on Linux with a page cache, an operation on a file is done when it is submitted: only fetching the
//! events is apart from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use abi::Errno;
use locks::Mutex;
use zerocopy::{Immutable, IntoBytes};

use crate::error::Result;
use crate::kernel::wait_queue::{Events, WaitQueue};

/// The most events of all contexts (`/proc/sys/fs/aio-max-nr`), here of each process.
const MAX_EVENTS: usize = 65_536;

/// `struct io_event`
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct Completion {
    /// What the application gave.
    pub data: u64,
    /// The address of the request.
    pub request: u64,
    /// What the operation gave: a count, or a negative errno.
    pub result: i64,
    /// Always 0.
    pub second_result: i64,
}

/// One context.
#[derive(Debug)]
pub struct Context {
    room: usize,
    completed: Mutex<VecDeque<Completion>>,
    /// Told of completions, and of the end of the context.
    pub changed: WaitQueue,
}

/// The contexts of a process, by address.
#[derive(Debug, Default)]
pub struct Contexts(Mutex<BTreeMap<u64, Arc<Context>>>);

impl Contexts {
    /// EAGAIN if a context with room for so many events would be too many.
    pub fn check_room(&self, room: usize) -> Result<()> {
        let used: usize = self.0.lock().values().map(|context| context.room).sum();
        if used.saturating_add(room) > MAX_EVENTS {
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }

    /// About how many bytes they take.
    pub fn held_bytes(&self) -> u64 {
        let contexts = self.0.lock();
        let completed = contexts.values().map(|context| {
            let waiting = context.completed.try_lock();
            waiting.map_or(0, |waiting| waiting.len() * size_of::<Completion>())
        });
        (completed.sum::<usize>() + contexts.len() * size_of::<Context>()) as u64
    }

    /// Adds a context at `address`.
    pub fn add(&self, address: u64, room: usize) {
        let context = Arc::new(Context {
            room,
            completed: Mutex::default(),
            changed: WaitQueue::new(),
        });
        self.0.lock().insert(address, context);
    }

    /// The context at `address`; EINVAL.
    pub fn get(&self, address: u64) -> Result<Arc<Context>> {
        self.0.lock().get(&address).cloned().ok_or(Errno::EINVAL)
    }

    /// Removes the context at `address`; EINVAL.
    pub fn remove(&self, address: u64) -> Result<()> {
        let context = self.0.lock().remove(&address).ok_or(Errno::EINVAL)?;
        context.changed.wake(Events::all());
        Ok(())
    }

    /// The program that made them is gone.
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Context {
    /// Whether another event has room; EAGAIN.
    pub fn check_room(&self) -> Result<()> {
        if self.completed.lock().len() < self.room {
            Ok(())
        } else {
            Err(Errno::EAGAIN)
        }
    }

    /// An operation is done.
    pub fn complete(&self, completion: Completion) {
        self.completed.lock().push_back(completion);
        self.changed.wake(Events::IN);
    }

    /// Takes up to `most` events if there are `least`.
    pub fn take(&self, least: usize, most: usize) -> Option<Vec<Completion>> {
        let mut completed = self.completed.lock();
        if completed.len() < least {
            return None;
        }
        let count = most.min(completed.len());
        Some(completed.drain(..count).collect())
    }
}
