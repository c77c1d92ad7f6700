//! The thread that turns the readiness of host descriptors into wake-ups of wait queues.
//!
//! A descriptor is armed for one report of what someone waits for, and not watched otherwise: streams
//! that flow cost nothing here.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;
use rustix::event::{EventfdFlags, PollFlags, epoll, eventfd};

use super::nudge::Nudger;
use crate::error::Result;
use crate::kernel::wait_queue::{Events, WaitQueue};

/// The key of the descriptor that ends the thread.
const STOP: u64 = 0;

/// Watches host descriptors for one kernel.
#[derive(Debug)]
pub(crate) struct HostWatcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    stop: OwnedFd,
    entries: Mutex<Entries>,
    nudger: Nudger,
}

#[derive(Debug, Default)]
struct Entries {
    last_key: u64,
    by_key: HashMap<u64, Weak<Entry>>,
}

#[derive(Debug)]
struct Entry {
    shared: Arc<Shared>,
    fd: Arc<OwnedFd>,
    key: u64,
    queue: WaitQueue,
    /// What is to be reported.
    armed: Mutex<Events>,
}

/// A descriptor that is watched as long as this lives.
#[derive(Debug)]
pub(crate) struct Watched(Arc<Entry>);

impl HostWatcher {
    /// Starts the thread.
    pub(crate) fn new() -> Result<HostWatcher> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(host::errno)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(host::errno)?;
        let data = epoll::EventData::new_u64(STOP);
        epoll::add(&epoll, &stop, data, epoll::EventFlags::IN).map_err(host::errno)?;
        let shared = Arc::new(Shared {
            epoll,
            stop,
            entries: Mutex::default(),
            nudger: Nudger::new()?,
        });
        let worker = shared.clone();
        std::thread::Builder::new()
            .name("host-watcher".into())
            .stack_size(128 << 10)
            .spawn(move || worker.run())
            .map_err(|_| Errno::EAGAIN)?;
        Ok(HostWatcher { shared })
    }

    /// Watches `fd`; EPERM for files that are always ready.
    pub(crate) fn watch(&self, fd: Arc<OwnedFd>) -> Result<Watched> {
        let mut entries = self.shared.entries.lock();
        entries.last_key += 1;
        let key = entries.last_key;
        let data = epoll::EventData::new_u64(key);
        let flags = epoll::EventFlags::ONESHOT;
        epoll::add(&self.shared.epoll, &fd, data, flags).map_err(host::errno)?;
        let entry = Arc::new(Entry {
            shared: self.shared.clone(),
            fd,
            key,
            queue: WaitQueue::new(),
            armed: Mutex::new(Events::empty()),
        });
        entries.by_key.insert(key, Arc::downgrade(&entry));
        Ok(Watched(entry))
    }
}

impl Drop for HostWatcher {
    fn drop(&mut self) {
        // The thread ends; if the write failed, it would only wait for ever.
        let _ = rustix::io::write(&self.shared.stop, &1_u64.to_ne_bytes());
    }
}

impl Watched {
    /// Woken when what it was armed for is there.
    pub(crate) fn queue(&self) -> &WaitQueue {
        &self.0.queue
    }

    /// Makes a host call that may block; EINTR if it does so for long.
    pub(super) fn nudged<T>(&self, call: impl FnOnce() -> T) -> T {
        self.0.shared.nudger.watch(call)
    }

    /// Asks for a report of `events`, besides what was asked for before.
    pub(crate) fn arm(&self, events: Events) {
        let mut armed = self.0.armed.lock();
        if !armed.contains(events) {
            *armed |= events;
            self.0.apply(*armed);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.entries.lock().by_key.remove(&self.key);
        // Closing would not be enough: the caller holds the same open file.
        let _ = epoll::delete(&self.shared.epoll, self.fd.as_fd());
    }
}

impl Entry {
    fn apply(&self, armed: Events) {
        let mut flags = epoll::EventFlags::ONESHOT;
        flags.set(epoll::EventFlags::IN, armed.contains(Events::IN));
        flags.set(epoll::EventFlags::RDHUP, armed.contains(Events::IN));
        flags.set(epoll::EventFlags::PRI, armed.contains(Events::IN));
        flags.set(epoll::EventFlags::OUT, armed.contains(Events::OUT));
        let data = epoll::EventData::new_u64(self.key);
        if epoll::modify(&self.shared.epoll, self.fd.as_fd(), data, flags).is_err() {
            // Those who wait look again, rather than sleep for ever.
            self.queue.wake(Events::READABLE | Events::WRITABLE);
        }
    }

    fn fired(&self, ready: Events) {
        let mut armed = self.armed.lock();
        let mut rest = *armed;
        if ready.intersects(Events::READABLE) {
            rest.remove(Events::IN);
        }
        if ready.intersects(Events::WRITABLE) {
            rest.remove(Events::OUT);
        }
        *armed = rest;
        if !rest.is_empty() {
            self.apply(rest);
        }
        drop(armed);
        self.queue.wake(ready);
    }
}

impl Shared {
    fn run(&self) {
        let mut buffer = Vec::with_capacity(32);
        loop {
            buffer.clear();
            let spare = rustix::buffer::spare_capacity(&mut buffer);
            match epoll::wait(&self.epoll, spare, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &buffer {
                let epoll::Event { flags, data } = *event;
                if data.u64() == STOP {
                    return;
                }
                let entry = self.entries.lock().by_key.get(&data.u64()).cloned();
                if let Some(entry) = entry.and_then(|entry| entry.upgrade()) {
                    entry.fired(epoll_events(flags));
                }
            }
        }
    }
}

fn epoll_events(flags: epoll::EventFlags) -> Events {
    Events::from_bits_truncate(flags.bits() & 0xffff)
}

/// Readiness as the guest sees it.
pub(crate) fn events(flags: PollFlags) -> Events {
    let mut events = Events::from_bits_truncate(u32::from(flags.bits()));
    events.set(Events::RDNORM, events.contains(Events::IN));
    events.set(Events::WRNORM, events.contains(Events::OUT));
    events
}
