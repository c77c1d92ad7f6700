//! Watching files (`man 7 inotify`).
//!
//! An [`Inotify`] owns its [`Watch`]es and the queue of events; an inode knows its watches weakly
//! ([`crate::vfs::notify`]).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use abi::raw::ioctl;
use bitflags::bitflags;
use locks::Mutex;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::kernel::user_count::{Charge, Total};
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile};
use crate::vfs::inode::InodeRef;
use crate::vfs::io::Sink;
use crate::vfs::notify::FileEvent;

/// Events that wait at an instance, as shown in `/proc/sys` when it is made.
const MAX_EVENTS: &str = "fs/inotify/max_queued_events";
/// Instances of a user, as shown in `/proc/sys`.
const MAX_INSTANCES: &str = "fs/inotify/max_user_instances";
/// Watches of a user, as shown in `/proc/sys`.
const MAX_WATCHES: &str = "fs/inotify/max_user_watches";
/// An event with a short name takes about so much.
const EVENT_BYTES: u64 = 96;
/// A watch takes about so much, with the inode that it keeps.
const WATCH_BYTES: u64 = 512;
/// Bytes of a `struct inotify_event` without its name; names are padded to a multiple of it.
const HEADER: usize = 16;

bitflags! {
    /// How a file is watched, beyond what for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WatchFlags: u32 {
        /// IN_ONLYDIR
        const ONLYDIR = 0x0100_0000;
        /// IN_DONT_FOLLOW
        const DONT_FOLLOW = 0x0200_0000;
        /// IN_EXCL_UNLINK
        const EXCL_UNLINK = 0x0400_0000;
        /// IN_MASK_CREATE
        const MASK_CREATE = 0x1000_0000;
        /// IN_MASK_ADD
        const MASK_ADD = 0x2000_0000;
        /// IN_ONESHOT
        const ONESHOT = 0x8000_0000;
    }
}

/// Events that can be watched for (`IN_ALL_EVENTS`).
pub const ALL_EVENTS: u32 = 0xfff;

/// The watch of one inode.
#[derive(Debug)]
pub struct Watch {
    number: i32,
    inotify: Weak<Inotify>,
    inode: InodeRef,
    /// Events and [`WatchFlags`].
    bits: AtomicU32,
    _charge: Charge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    watch: i32,
    mask: u32,
    cookie: u32,
    name: Vec<u8>,
}

impl Event {
    fn name_len(&self) -> usize {
        if self.name.is_empty() {
            0
        } else {
            (self.name.len() + 1).next_multiple_of(HEADER)
        }
    }

    fn encode(&self) -> Vec<u8> {
        let name_len = self.name_len();
        let mut bytes = Vec::with_capacity(HEADER + name_len);
        bytes.extend_from_slice(&self.watch.to_ne_bytes());
        bytes.extend_from_slice(&self.mask.to_ne_bytes());
        bytes.extend_from_slice(&self.cookie.to_ne_bytes());
        // At most NAME_MAX and padding.
        bytes.extend_from_slice(&u32::try_from(name_len).unwrap_or(0).to_ne_bytes());
        bytes.extend_from_slice(&self.name);
        bytes.resize(HEADER + name_len, 0);
        bytes
    }
}

impl Watch {
    /// What it watches for.
    #[must_use]
    pub fn mask(&self) -> u32 {
        // An inode that goes is told whether asked for or not: the watch ends with it.
        (self.bits.load(Ordering::Acquire) & ALL_EVENTS) | FileEvent::DELETE_SELF.bits()
    }

    /// Tells of an event, if it is asked for.
    pub fn tell(&self, event: FileEvent, cookie: u32, name: &[u8]) {
        let bits = self.bits.load(Ordering::Acquire);
        if bits & event.bits() & ALL_EVENTS == 0 {
            return;
        }
        let Some(inotify) = self.inotify.upgrade() else {
            return;
        };
        inotify.push(Event {
            watch: self.number,
            mask: event.bits(),
            cookie,
            name: name.to_vec(),
        });
        if WatchFlags::from_bits_truncate(bits).contains(WatchFlags::ONESHOT) {
            self.end();
        }
    }

    /// The inode is gone, or the watch has served.
    pub fn end(&self) {
        if let Some(inotify) = self.inotify.upgrade() {
            // It may have ended already.
            let _ = inotify.remove(self.number);
        }
    }
}

fn address(inode: &InodeRef) -> usize {
    Arc::as_ptr(inode).addr()
}

/// An inotify instance.
#[derive(Debug)]
pub struct Inotify {
    this: Weak<Inotify>,
    /// The watches of the user that made it.
    user_watches: Total,
    most_events: usize,
    state: Mutex<State>,
    queue: WaitQueue,
    _charge: Charge,
}

#[derive(Debug, Default)]
struct State {
    last: i32,
    watches: BTreeMap<i32, Arc<Watch>>,
    /// The numbers of the watches by their inodes' addresses, which stay theirs as long as they are watched.
    by_inode: HashMap<usize, i32>,
    events: VecDeque<Event>,
}

impl State {
    /// Takes a watch out.
    fn take(&mut self, number: i32) -> Option<Arc<Watch>> {
        let watch = self.watches.remove(&number)?;
        self.by_inode.remove(&address(&watch.inode));
        Some(watch)
    }
}

impl Inotify {
    /// An instance that watches nothing; EMFILE if the user has too many.
    pub fn new(task: &Task) -> Result<Arc<Inotify>> {
        let kernel = task.kernel();
        let uid = task.credentials().euid;
        let charge = kernel
            .inotify_instances
            .of(uid)
            .charge_within(1, kernel.sysctl.number(MAX_INSTANCES))
            .ok_or(Errno::EMFILE)?;
        let most_events = kernel.sysctl.number(MAX_EVENTS);
        Ok(Arc::new_cyclic(|this| Inotify {
            most_events: usize::try_from(most_events).unwrap_or(usize::MAX),
            this: this.clone(),
            user_watches: kernel.inotify_watches.of(uid),
            state: Mutex::default(),
            queue: WaitQueue::new(),
            _charge: charge,
        }))
    }

    /// Watches `inode` for the events in `mask`; the number of the watch. EEXIST with `MASK_CREATE`,
    /// ENOSPC.
    pub fn add(&self, task: &Task, inode: &InodeRef, mask: u32, flags: WatchFlags) -> Result<i32> {
        let kept = flags & (WatchFlags::ONESHOT | WatchFlags::EXCL_UNLINK);
        let bits = (mask & ALL_EVENTS) | kept.bits();
        let mut state = self.state.lock();
        let known = state.by_inode.get(&address(inode));
        let known = known.and_then(|number| state.watches.get(number)).cloned();
        if let Some(watch) = known {
            if flags.contains(WatchFlags::MASK_CREATE) {
                return Err(Errno::EEXIST);
            }
            if flags.contains(WatchFlags::MASK_ADD) {
                watch.bits.fetch_or(bits, Ordering::AcqRel);
            } else {
                watch.bits.store(bits, Ordering::Release);
            }
            drop(state);
            inode.shared().watches.update(None);
            return Ok(watch.number);
        }
        let most = task.kernel().sysctl.number(MAX_WATCHES);
        let charge = self.user_watches.charge_within(1, most);
        let charge = charge.ok_or(Errno::ENOSPC)?;
        state.last = state.last.checked_add(1).ok_or(Errno::ENOSPC)?;
        let watch = Arc::new(Watch {
            number: state.last,
            inotify: self.this.clone(),
            inode: inode.clone(),
            bits: AtomicU32::new(bits),
            _charge: charge,
        });
        state.watches.insert(watch.number, watch.clone());
        state.by_inode.insert(address(inode), watch.number);
        drop(state);
        inode.shared().watches.update(Some(&watch));
        Ok(watch.number)
    }

    /// Ends a watch, of which a last event tells; EINVAL.
    pub fn remove(&self, number: i32) -> Result<()> {
        let watch = self.state.lock().take(number).ok_or(Errno::EINVAL)?;
        watch.bits.store(0, Ordering::Release);
        let inode = watch.inode.clone();
        drop(watch);
        inode.shared().watches.update(None);
        self.push(Event {
            watch: number,
            mask: FileEvent::IGNORED.bits(),
            cookie: 0,
            name: Vec::new(),
        });
        Ok(())
    }

    fn push(&self, event: Event) {
        let mut state = self.state.lock();
        if state.events.back() == Some(&event) {
            return;
        }
        if state.events.len() > self.most_events {
            return;
        }
        if state.events.len() == self.most_events {
            state.events.push_back(Event {
                watch: -1,
                mask: FileEvent::OVERFLOW.bits(),
                cookie: 0,
                name: Vec::new(),
            });
        } else {
            state.events.push_back(event);
        }
        drop(state);
        self.queue.wake(Events::IN | Events::RDNORM);
    }

    /// The next event if `room` bytes hold it: EAGAIN, EINVAL.
    fn take(&self, room: usize) -> Result<Vec<u8>> {
        let mut state = self.state.lock();
        let first = state.events.front().ok_or(Errno::EAGAIN)?;
        if HEADER + first.name_len() > room {
            return Err(Errno::EINVAL);
        }
        let bytes = first.encode();
        state.events.pop_front();
        Ok(bytes)
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let watches = std::mem::take(&mut self.state.get_mut().watches);
        for watch in watches.into_values() {
            let inode = watch.inode.clone();
            drop(watch);
            inode.shared().watches.update(None);
        }
    }
}

impl File for Inotify {
    fn held_bytes(&self, _depth: u32) -> u64 {
        let state = self.state.try_lock();
        state.map_or(0, |state| {
            let events = state.events.len() as u64 * EVENT_BYTES;
            events + state.watches.len() as u64 * WATCH_BYTES
        })
    }

    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        let mut done = 0;
        loop {
            let event = match self.take(sink.remaining()) {
                Ok(event) => event,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => return Ok(done),
            };
            match sink.write(&event) {
                Ok(len) => done += len,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => return Ok(done),
            }
        }
    }

    fn poll(&self) -> Events {
        if self.state.lock().events.is_empty() {
            Events::empty()
        } else {
            Events::IN | Events::RDNORM
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        if command != ioctl::FIONREAD {
            return Err(Errno::ENOTTY.into());
        }
        let state = self.state.lock();
        let len: usize = state
            .events
            .iter()
            .map(|event| HEADER + event.name_len())
            .sum();
        drop(state);
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        task.mm().write_value(argument.address(), &len)?;
        Ok(0)
    }

    fn fd_info(&self) -> String {
        let state = self.state.lock();
        let lines = state.watches.values().map(|watch| {
            let ino = watch.inode.attr().map_or(0, |attr| attr.ino);
            let device = watch.inode.file_system().device().encode();
            let mask = watch.bits.load(Ordering::Relaxed);
            format!(
                "inotify wd:{:x} ino:{ino:x} sdev:{device:x} mask:{mask:x} ignored_mask:0\n",
                watch.number
            )
        });
        lines.collect()
    }
}
