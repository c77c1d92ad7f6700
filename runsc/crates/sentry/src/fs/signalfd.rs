//! Signals read from a descriptor (`man 2 signalfd`).
//!
//! A read takes the signals of the reader, whoever made the descriptor; readiness is that of the task that
//! asks ([`File::poll_as`]), or of the maker where nobody is known to ask (epoll).

use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::kernel::signal::info::Detail;
use crate::kernel::signal::{SignalInfo, SignalSet};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::{Events, Registration, WaitQueue, Waiter, Wakeup};
use crate::vfs::file::File;
use crate::vfs::io::Sink;

/// Bytes of a `struct signalfd_siginfo`.
const RECORD: usize = 128;

/// A descriptor that reads signals.
#[derive(Debug)]
pub struct SignalFd {
    mask: Mutex<SignalSet>,
    queue: WaitQueue,
    maker: Weak<Task>,
    /// The processes whose signals are passed on to `queue`.
    sources: Mutex<Vec<Source>>,
}

#[derive(Debug)]
struct Source {
    group: Weak<ThreadGroup>,
    _registration: Registration,
}

/// Passes an arrival on.
struct Forward(WaitQueue);

impl Waiter for Forward {
    fn notify(&self, events: Events) -> bool {
        self.0.wake(events);
        true
    }
}

impl SignalFd {
    /// A descriptor for the signals in `mask`, made by `task`.
    #[must_use]
    pub fn new(task: &Task, mask: SignalSet) -> Arc<SignalFd> {
        let maker = task.pid_namespace().task(task.tid());
        let file = Arc::new(SignalFd {
            mask: Mutex::new(mask),
            queue: WaitQueue::new(),
            maker: maker.as_ref().map(Arc::downgrade).unwrap_or_default(),
            sources: Mutex::default(),
        });
        file.listen_to(task.group());
        file
    }

    /// Reads other signals from now on.
    pub fn set_mask(&self, mask: SignalSet) {
        *self.mask.lock() = mask;
        self.queue.wake(Events::IN | Events::RDNORM);
    }

    fn mask(&self) -> SignalSet {
        *self.mask.lock()
    }

    /// Makes sure that signals for `group` are told to those who wait here.
    fn listen_to(&self, group: &Arc<ThreadGroup>) {
        let known = Arc::downgrade(group);
        let mut sources = self.sources.lock();
        if sources.iter().any(|source| source.group.ptr_eq(&known)) {
            return;
        }
        sources.retain(|source| source.group.strong_count() > 0);
        let forward = Arc::new(Forward(self.queue.clone()));
        let arrivals = group.signal_arrivals();
        sources.push(Source {
            group: known,
            _registration: arrivals.register(forward, Events::IN, Wakeup::Shared),
        });
    }

    fn readiness(&self, task: &Task) -> Events {
        if !task.pending_signals().and(self.mask()).is_empty() {
            Events::IN | Events::RDNORM
        } else {
            Events::empty()
        }
    }
}

impl File for SignalFd {
    fn read(&self, task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        if sink.remaining() < RECORD {
            return Err(Errno::EINVAL);
        }
        self.listen_to(task.group());
        let mut done = 0;
        while sink.remaining() >= RECORD {
            let Some(info) = task.take_signal(self.mask()) else {
                break;
            };
            match sink.write(&record(&info)) {
                Ok(len) => done += len,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        if done == 0 {
            return Err(Errno::EAGAIN);
        }
        Ok(done)
    }

    fn poll(&self) -> Events {
        self.maker
            .upgrade()
            .map_or(Events::empty(), |task| self.readiness(&task))
    }

    fn poll_as(&self, task: &Task) -> Events {
        self.listen_to(task.group());
        self.readiness(task)
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn fd_info(&self) -> String {
        format!("sigmask:\t{:016x}\n", self.mask().0)
    }
}

/// A `struct signalfd_siginfo`.
fn record(info: &SignalInfo) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &u32::from(info.signal.number()).to_ne_bytes());
    put(4, &info.errno.to_ne_bytes());
    put(8, &info.code.to_ne_bytes());
    match info.detail {
        Detail::None => {}
        Detail::Sender { pid, uid } => {
            put(12, &pid.to_ne_bytes());
            put(16, &uid.to_ne_bytes());
        }
        Detail::Value { pid, uid, value } => {
            put(12, &pid.to_ne_bytes());
            put(16, &uid.to_ne_bytes());
            put_value(&mut put, value);
        }
        Detail::Timer { id, overrun, value } => {
            put(24, &id.to_ne_bytes());
            put(32, &overrun.to_ne_bytes());
            put_value(&mut put, value);
        }
        Detail::Child {
            pid,
            uid,
            status,
            utime,
            stime,
        } => {
            put(12, &pid.to_ne_bytes());
            put(16, &uid.to_ne_bytes());
            put(40, &status.to_ne_bytes());
            put(56, &utime.to_ne_bytes());
            put(64, &stime.to_ne_bytes());
        }
        Detail::Fault { address } => put(72, &address.to_ne_bytes()),
        Detail::Poll { band, fd } => {
            put(20, &fd.to_ne_bytes());
            put(28, &band.to_ne_bytes()[..4]);
        }
        Detail::Syscall {
            address,
            number,
            arch,
        } => {
            put(84, &number.to_ne_bytes());
            put(88, &address.to_ne_bytes());
            put(96, &arch.to_ne_bytes());
        }
        Detail::Raw(bytes) => {
            // Laid out as `sigqueue` does: sender, then the value.
            put(12, &bytes[0..4]);
            put(16, &bytes[4..8]);
            put(44, &bytes[8..12]);
            put(48, &bytes[8..16]);
        }
    }
    out
}

/// The value as integer and as pointer.
fn put_value(put: &mut impl FnMut(usize, &[u8]), value: u64) {
    put(44, &value.to_ne_bytes()[..4]);
    put(48, &value.to_ne_bytes());
}
