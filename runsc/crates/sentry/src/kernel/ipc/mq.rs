//! POSIX message queues (`man 7 mq_overview`).
//!
//! Queues have names in an IPC namespace; a descriptor is an open file that refers to one. A queue that was
//! unlinked lives as long as a descriptor.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use super::of;
use super::permission::Permission;
use crate::error::{Restart, Result, SysError};
use crate::fs::proc::SysctlValues;
use crate::kernel::blocking::Unslept;
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::signal::info::{Detail, code};
use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::time::Deadline;
use crate::vfs::file::File;
use crate::vfs::io::Sink;

/// The most that a priority may be, plus 1 (`MQ_PRIO_MAX`).
pub const PRIORITIES: u32 = 32_768;
/// The longest name.
const NAME_MAX: usize = 255;
/// The most that anyone may ask for (`HARD_MSGMAX`, `HARD_MSGSIZEMAX`).
const HARD_MESSAGES: usize = 65_536;
const HARD_SIZE: usize = 16 << 20;
/// Queues of a namespace.
const MAX_QUEUES: &str = "fs/mqueue/queues_max";
/// What Linux counts for each message against `RLIMIT_MSGQUEUE` besides its bytes.
const MESSAGE_OVERHEAD: usize = 48 + 48;

/// The named queues of a namespace.
#[derive(Debug, Default)]
pub struct NamedQueues(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    queues: BTreeMap<Vec<u8>, Arc<MessageQueue>>,
    made: u64,
}

/// How large a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Messages.
    pub messages: usize,
    /// Bytes of each.
    pub message_len: usize,
}

/// Whom the arrival of a message is told.
#[derive(Debug)]
struct Notification {
    group: Weak<ThreadGroup>,
    /// None: nobody, but others can't ask for it.
    signal: Option<Signal>,
    value: u64,
}

#[derive(Debug, Default)]
struct State {
    /// By falling priority, then in the order in which they came.
    messages: BTreeMap<(u32, u64), Vec<u8>>,
    sequence: u64,
    receivers: usize,
    notification: Option<Notification>,
}

/// A queue.
#[derive(Debug)]
pub struct MessageQueue {
    /// Its inode number.
    ino: u64,
    size: Size,
    permission: Mutex<Permission>,
    state: Mutex<State>,
    changed: WaitQueue,
}

/// What `mq_open(2)` asks for.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest {
    /// The permissions that its mode needs: of [`super::permission::READ`] and `WRITE`.
    pub wanted: u32,
    /// Make it with these permissions and this size, if it is missing.
    pub create: Option<(u32, Option<Size>)>,
    /// It must be missing.
    pub exclusive: bool,
}

fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() {
        Err(Errno::ENOENT)
    } else if name.len() > NAME_MAX {
        Err(Errno::ENAMETOOLONG)
    } else if name.contains(&b'/') || name == b"." || name == b".." {
        Err(Errno::EACCES)
    } else {
        Ok(())
    }
}

/// `mq_open(2)`: EEXIST, ENOENT, EACCES, EINVAL, ENOSPC, EMFILE.
pub fn open(task: &Task, name: &[u8], request: &OpenRequest) -> Result<Arc<MessageQueue>> {
    check_name(name)?;
    let namespace = of(task);
    let mut names = namespace.named.0.lock();
    if let Some(queue) = names.queues.get(name) {
        if request.create.is_some() && request.exclusive {
            return Err(Errno::EEXIST);
        }
        let permission = *queue.permission.lock();
        permission.check(&task.credentials(), request.wanted)?;
        return Ok(queue.clone());
    }
    let (mode, size) = request.create.ok_or(Errno::ENOENT)?;
    let size = check_size(task, size)?;
    let most = task.kernel().sysctl.size_at(MAX_QUEUES, 0);
    if names.queues.len() >= most && !task.has_capability(Capability::SysResource) {
        return Err(Errno::ENOSPC);
    }
    check_limit(task, &names.queues, size)?;
    task.kernel().memory().check_lasting(Errno::ENOSPC)?;
    let permission = Permission::new(&task.credentials(), 0, mode);
    Ok(names.make(name, permission, size))
}

impl Names {
    fn make(&mut self, name: &[u8], permission: Permission, size: Size) -> Arc<MessageQueue> {
        self.made += 1;
        let queue = Arc::new(MessageQueue {
            // 1 is the directory's.
            ino: self.made + 1,
            size,
            permission: Mutex::new(permission),
            state: Mutex::default(),
            changed: WaitQueue::new(),
        });
        self.queues.insert(name.to_vec(), queue.clone());
        queue
    }
}

impl NamedQueues {
    /// The queue of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Arc<MessageQueue>> {
        self.0.lock().queues.get(name).cloned()
    }

    /// The names in use.
    #[must_use]
    pub fn names(&self) -> Vec<Vec<u8>> {
        self.0.lock().queues.keys().cloned().collect()
    }

    /// Makes a queue of the default size; EEXIST, ENOSPC.
    pub fn make(&self, settings: &SysctlValues, name: &[u8], permission: Permission) -> Result<()> {
        let mut names = self.0.lock();
        if names.queues.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        if names.queues.len() >= settings.size_at(MAX_QUEUES, 0) {
            return Err(Errno::ENOSPC);
        }
        names.make(name, permission, default_size(settings));
        Ok(())
    }

    /// Takes the name from a queue; ENOENT.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        let removed = self.0.lock().queues.remove(name);
        removed.map(drop).ok_or(Errno::ENOENT)
    }
}

/// The most that the unprivileged may ask for.
fn most_size(settings: &SysctlValues) -> Size {
    Size {
        messages: settings.size_at("fs/mqueue/msg_max", 0),
        message_len: settings.size_at("fs/mqueue/msgsize_max", 0),
    }
}

/// What a queue made without attributes holds.
fn default_size(settings: &SysctlValues) -> Size {
    let most = most_size(settings);
    Size {
        messages: most
            .messages
            .min(settings.size_at("fs/mqueue/msg_default", 0)),
        message_len: most
            .message_len
            .min(settings.size_at("fs/mqueue/msgsize_default", 0)),
    }
}

fn check_size(task: &Task, size: Option<Size>) -> Result<Size> {
    let Some(size) = size else {
        return Ok(default_size(&task.kernel().sysctl));
    };
    let most = if task.has_capability(Capability::SysResource) {
        Size {
            messages: HARD_MESSAGES,
            message_len: HARD_SIZE,
        }
    } else {
        most_size(&task.kernel().sysctl)
    };
    let fits = (1..=most.messages).contains(&size.messages)
        && (1..=most.message_len).contains(&size.message_len);
    if fits { Ok(size) } else { Err(Errno::EINVAL) }
}

fn charge(size: Size) -> u64 {
    (size.messages as u64).saturating_mul((size.message_len + MESSAGE_OVERHEAD) as u64)
}

/// `RLIMIT_MSGQUEUE` counts the queues of a user; EMFILE.
fn check_limit(
    task: &Task,
    queues: &BTreeMap<Vec<u8>, Arc<MessageQueue>>,
    size: Size,
) -> Result<()> {
    let uid = task.credentials().uid;
    let own = queues
        .values()
        .filter(|queue| queue.permission.lock().creator_uid == uid)
        .map(|queue| charge(queue.size));
    let total = own.fold(charge(size), u64::saturating_add);
    if total > task.group().limits().get(Resource::MessageQueues).soft {
        Err(Errno::EMFILE)
    } else {
        Ok(())
    }
}

/// `mq_unlink(2)`: ENOENT; EACCES for queues of others, since names are in a sticky directory.
pub fn unlink(task: &Task, name: &[u8]) -> Result<()> {
    check_name(name)?;
    let namespace = of(task);
    let queue = namespace.named.get(name).ok_or(Errno::ENOENT)?;
    let credentials = task.credentials();
    let owner = queue.permission.lock().uid;
    if credentials.fsuid != owner && !credentials.has(Capability::Fowner) {
        return Err(Errno::EPERM);
    }
    namespace.named.remove(name)
}

impl MessageQueue {
    /// Its inode number.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// Who may use it.
    #[must_use]
    pub fn permission(&self) -> Permission {
        *self.permission.lock()
    }

    /// Changes who may use it (`fchmod(2)`, `fchown(2)`).
    pub fn set_permission(&self, uid: Option<u32>, gid: Option<u32>, mode: Option<u32>) {
        let mut permission = self.permission.lock();
        let Permission {
            uid: old_uid,
            gid: old_gid,
            mode: old_mode,
            ..
        } = *permission;
        permission.set(
            uid.unwrap_or(old_uid),
            gid.unwrap_or(old_gid),
            mode.unwrap_or(old_mode),
        );
    }

    /// How large it is.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// How many messages are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().messages.len()
    }

    /// Whether no message is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn wait<T>(
        &self,
        task: &Task,
        waits: bool,
        deadline: Option<Deadline>,
        attempt: impl FnMut() -> Option<T>,
    ) -> core::result::Result<T, SysError> {
        let mut attempt = attempt;
        if !waits {
            return attempt().ok_or(Errno::EAGAIN.into());
        }
        let slept = task.wait_for(&[(&self.changed, Events::all())], deadline, attempt);
        slept.map_err(|unslept: Unslept| unslept.into_error(Errno::ETIMEDOUT, Restart::Sys))
    }

    /// `mq_timedsend(2)`: EMSGSIZE, EAGAIN, ETIMEDOUT.
    pub fn send(
        &self,
        task: &Task,
        message: Vec<u8>,
        priority: u32,
        waits: bool,
        deadline: Option<Deadline>,
    ) -> core::result::Result<(), SysError> {
        task.kernel().memory().check_lasting(Errno::ENOMEM)?;
        let mut message = Some(message);
        let told = self.wait(task, waits, deadline, || {
            let mut state = self.state.lock();
            if state.messages.len() >= self.size.messages {
                return None;
            }
            let message = message.take()?;
            let was_empty = state.messages.is_empty() && state.receivers == 0;
            state.sequence += 1;
            let key = (u32::MAX - priority, state.sequence);
            state.messages.insert(key, message);
            Some(if was_empty {
                state.notification.take()
            } else {
                None
            })
        })?;
        self.changed.wake(Events::IN | Events::RDNORM);
        if let Some(notification) = told {
            notification.tell(task);
        }
        Ok(())
    }

    /// `mq_timedreceive(2)`: the oldest message of the highest priority, and that; EAGAIN, ETIMEDOUT.
    pub fn receive(
        &self,
        task: &Task,
        waits: bool,
        deadline: Option<Deadline>,
    ) -> core::result::Result<(Vec<u8>, u32), SysError> {
        self.state.lock().receivers += 1;
        let received = self.wait(task, waits, deadline, || {
            let ((rank, _), message) = self.state.lock().messages.pop_first()?;
            Some((message, u32::MAX - rank))
        });
        self.state.lock().receivers -= 1;
        if received.is_ok() {
            self.changed.wake(Events::OUT | Events::WRNORM);
        }
        received
    }

    /// `mq_notify(2)`: the caller is told once of a message that comes into the empty queue; EBUSY.
    pub fn register(&self, task: &Task, signal: Option<Signal>, value: u64) -> Result<()> {
        let mut state = self.state.lock();
        let taken = state
            .notification
            .as_ref()
            .and_then(|notification| notification.group.upgrade())
            .is_some_and(|group| !group.is_zombie());
        if taken {
            return Err(Errno::EBUSY);
        }
        state.notification = Some(Notification {
            group: Arc::downgrade(task.group()),
            signal,
            value,
        });
        Ok(())
    }

    /// The caller is not told any more, if it was to be.
    pub fn unregister(&self, group: &Arc<ThreadGroup>) {
        let mut state = self.state.lock();
        let own = state.notification.as_ref().is_some_and(|notification| {
            std::ptr::eq(notification.group.as_ptr(), Arc::as_ptr(group))
        });
        if own {
            state.notification = None;
        }
    }
}

impl Notification {
    fn tell(&self, sender: &Task) {
        let (Some(group), Some(signal)) = (self.group.upgrade(), self.signal) else {
            return;
        };
        let namespace = group.leader().map(|leader| leader.pid_namespace());
        let pid = namespace.map_or(0, |namespace| sender.group().pid_in(&namespace));
        let info = SignalInfo {
            signal,
            errno: 0,
            code: code::SI_MESGQ,
            detail: Detail::Value {
                pid,
                uid: sender.credentials().uid,
                value: self.value,
            },
        };
        send::send_to_group(&group, info);
    }
}

/// An open message queue.
#[derive(Debug)]
pub struct QueueFile {
    queue: Arc<MessageQueue>,
}

impl QueueFile {
    /// Of this queue.
    #[must_use]
    pub fn new(queue: Arc<MessageQueue>) -> QueueFile {
        QueueFile { queue }
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &Arc<MessageQueue> {
        &self.queue
    }
}

impl File for QueueFile {
    /// What a file of the mqueue file system tells.
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        let text = {
            let state = self.queue.state.lock();
            let bytes: usize = state.messages.values().map(Vec::len).sum();
            let notification = state.notification.as_ref();
            let signal = notification.and_then(|told| told.signal);
            format!(
                "QSIZE:{bytes:<10} NOTIFY:{:<5} SIGNO:{:<5} NOTIFY_PID:{:<6}\n",
                // SIGEV_SIGNAL, SIGEV_NONE
                u8::from(notification.is_some() && signal.is_none()),
                signal.map_or(0, Signal::number),
                notification
                    .and_then(|told| told.group.upgrade())
                    .map_or(0, |group| group.pid()),
            )
        };
        sink.write_from(text.as_bytes(), offset)
    }

    fn poll(&self) -> Events {
        let len = self.queue.len();
        let mut events = Events::empty();
        if len > 0 {
            events |= Events::IN | Events::RDNORM;
        }
        if len < self.queue.size.messages {
            events |= Events::OUT | Events::WRNORM;
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue.changed)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    /// Closing a descriptor takes back what its process asked for.
    fn flush(&self, task: &Task) -> Result<()> {
        self.queue.unregister(task.group());
        Ok(())
    }
}
