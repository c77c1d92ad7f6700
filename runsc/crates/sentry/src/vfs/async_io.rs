//! SIGIO: telling a file's owner by a signal when it becomes ready (`man 2 fcntl`, *Managing signals*;
//! `O_ASYNC`).
//!
//! Wait queues must not send signals from within a wake-up (signals come before wait queues in the lock
//! order), so a thread of its own does, started with the first file in this mode.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use locks::Mutex;

use crate::kernel::job_control;
use crate::kernel::signal::info::Detail;
use crate::kernel::signal::send::{Origin, OutgoingSignal, post};
use crate::kernel::signal::{Signal, SignalInfo};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::{Events, Waiter, Wakeup};
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::owner::{FileOwner, OwnerTarget};

/// A file that has become ready.
type Report = (Weak<OpenFile>, Events);

/// The way to the thread that sends.
#[derive(Debug, Default)]
pub struct AsyncIo {
    reports: Mutex<Option<Sender<Report>>>,
}

/// Waits on a file's queue on behalf of its owner.
struct Watcher {
    open: Weak<OpenFile>,
    reports: Sender<Report>,
}

impl Waiter for Watcher {
    fn notify(&self, events: Events) -> bool {
        // The thread ends with the kernel only.
        let _ = self.reports.send((self.open.clone(), events));
        false
    }
}

/// The flags of `open` have changed: starts or stops watching it. `fd` is what the signal names.
pub fn update(task: &Task, open: &Arc<OpenFile>, fd: i32) {
    let wanted = open.flags().contains(OpenFlags::ASYNC);
    let mut registration = open.async_registration.lock();
    if wanted == registration.is_some() {
        return;
    }
    if !wanted {
        let old = registration.take();
        drop(registration);
        drop(old);
        return;
    }
    let Some(queue) = open.file().wait_queue() else {
        return;
    };
    open.owner.lock().fd = fd;
    let waiter = Arc::new(Watcher {
        open: Arc::downgrade(open),
        reports: task.kernel().vfs.async_io.sender(),
    });
    let events = Events::READABLE | Events::WRITABLE | Events::PRI;
    *registration = Some(queue.register(waiter, events, Wakeup::Shared));
}

impl AsyncIo {
    fn sender(&self) -> Sender<Report> {
        let mut reports = self.reports.lock();
        if let Some(sender) = &*reports {
            return sender.clone();
        }
        let (sender, receiver) = channel();
        *reports = Some(sender.clone());
        // Without the thread nobody is told, as if the signals had been lost.
        let _ = std::thread::Builder::new()
            .name("sigio".into())
            .stack_size(128 << 10)
            .spawn(move || run(&receiver));
        sender
    }
}

fn run(reports: &Receiver<Report>) {
    while let Ok((open, events)) = reports.recv() {
        if let Some(open) = open.upgrade() {
            let owner = open.owner.lock().clone();
            tell(&owner, events);
        }
    }
}

fn tell(owner: &FileOwner, events: Events) {
    let Some(info) = information(owner, events) else {
        return;
    };
    match &owner.target {
        OwnerTarget::None => {}
        OwnerTarget::Task(task) => {
            if let Some(task) = task.upgrade() {
                send(owner, task.group(), Some(&task), info);
            }
        }
        OwnerTarget::Process(group) => {
            if let Some(group) = group.upgrade() {
                send(owner, &group, None, info);
            }
        }
        OwnerTarget::Group(group) => {
            if let Some(group) = group.upgrade() {
                for member in job_control::members(&group) {
                    send(owner, &member, None, info);
                }
            }
        }
    }
}

fn send(owner: &FileOwner, group: &Arc<ThreadGroup>, task: Option<&Arc<Task>>, info: SignalInfo) {
    let Some(receiver) = task.cloned().or_else(|| group.leader()) else {
        return;
    };
    let credentials = receiver.credentials();
    let ids = [credentials.uid, credentials.suid];
    let allowed = owner.euid == 0 || ids.contains(&owner.euid) || ids.contains(&owner.uid);
    if allowed {
        // A full queue loses the signal, as on Linux.
        let _ = post(group, task, OutgoingSignal::new(info, Origin::Above));
    }
}

/// SIGIO without more, or the signal of `F_SETSIG` with what happened to which descriptor.
fn information(owner: &FileOwner, events: Events) -> Option<SignalInfo> {
    if owner.signal == 0 {
        return Some(SignalInfo::kernel(Signal::SIGIO));
    }
    let signal = Signal::new(u64::from(owner.signal))?;
    // POLL_HUP, POLL_ERR, POLL_PRI, POLL_IN, POLL_OUT and their bands.
    let (code, band) = if events.contains(Events::HUP) {
        (6, 0x18)
    } else if events.contains(Events::ERR) {
        (4, 0x8)
    } else if events.contains(Events::PRI) {
        (5, 0x82)
    } else if events.contains(Events::IN) {
        (1, 0x41)
    } else {
        (2, 0x304)
    };
    Some(SignalInfo {
        signal,
        errno: 0,
        code,
        detail: Detail::Poll { band, fd: owner.fd },
    })
}
