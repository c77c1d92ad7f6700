//! Message queues (`man 2 msgop`).

use std::collections::VecDeque;
use std::sync::Arc;

use abi::Errno;
use locks::Mutex;

use super::permission::{Permission, READ, WRITE};
use super::table::{self, Lookup};
use super::{count, limits, now, of};
use crate::error::{Result, SysError};
use crate::kernel::blocking::Unslept;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type, above 0.
    pub kind: i64,
    /// Its text.
    pub text: Vec<u8>,
}

/// Which message `msgrcv` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The first.
    First,
    /// The first of this type.
    Type(i64),
    /// The first of another type (`MSG_EXCEPT`).
    Except(i64),
    /// The first of the lowest type up to this.
    UpTo(i64),
    /// A copy of the one at this place (`MSG_COPY`).
    CopyOf(usize),
}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: WaitQueue,
}

#[derive(Debug)]
struct State {
    permission: Permission,
    messages: VecDeque<Message>,
    bytes: usize,
    max_bytes: usize,
    sent: Stamp,
    received: Stamp,
    changed: i64,
    removed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stamp {
    seconds: i64,
    pid: u32,
}

fn stamp(task: &Task) -> Stamp {
    Stamp {
        seconds: now(task),
        pid: task.group().pid(),
    }
}

/// `msgget(2)`
pub fn get(task: &Task, key: i32, flags: u32) -> Result<i32> {
    let namespace = of(task);
    let credentials = task.credentials();
    let limits = table::Limits {
        objects: limits::queues(task),
        parts: 0,
    };
    let max_bytes = limits::queue_bytes(task);
    let mut queues = namespace.queues.lock();
    match queues.look_up(key, flags)? {
        Lookup::Found(id, queue) => {
            queue.state.lock().permission.check(&credentials, flags)?;
            Ok(id)
        }
        Lookup::Missing => queues.add(key, 0, limits, |sequence, _| {
            task.kernel().memory().check_lasting(Errno::ENOMEM)?;
            let mut permission = Permission::new(&credentials, key, flags);
            permission.sequence = sequence;
            Ok(Arc::new(Queue {
                state: Mutex::new(State {
                    permission,
                    messages: VecDeque::new(),
                    bytes: 0,
                    max_bytes,
                    sent: Stamp::default(),
                    received: Stamp::default(),
                    changed: now(task),
                    removed: false,
                }),
                changed: WaitQueue::new(),
            }))
        }),
    }
}

/// The queue of an identifier.
pub fn find(task: &Task, id: i32) -> Result<Arc<Queue>> {
    of(task).queues.lock().get(id)
}

/// `IPC_RMID`: those who wait find it gone.
pub fn remove(task: &Task, id: i32) -> Result<()> {
    let queue = find(task, id)?;
    {
        let mut state = queue.state.lock();
        state.permission.check_owner(&task.credentials())?;
        state.removed = true;
    }
    of(task).queues.lock().remove(id);
    queue.changed.wake(Events::all());
    Ok(())
}

impl Queue {
    /// Waits for `attempt` to say anything but EAGAIN, unless the call may not wait. A signal is EINTR,
    /// whatever the handler's flags (`man 7 signal`).
    fn wait<T>(
        &self,
        task: &Task,
        waits: bool,
        mut attempt: impl FnMut(&mut State) -> Result<T>,
    ) -> core::result::Result<T, SysError> {
        let mut attempt = || {
            let mut state = self.state.lock();
            if state.removed {
                return Err(Errno::EIDRM);
            }
            attempt(&mut state)
        };
        let first = attempt();
        if first.as_ref().err() != Some(&Errno::EAGAIN) || !waits {
            return Ok(first?);
        }
        let slept = task.wait_for(&[(&self.changed, Events::all())], None, || {
            match attempt() {
                Err(Errno::EAGAIN) => None,
                other => Some(other),
            }
        });
        match slept {
            Ok(outcome) => Ok(outcome?),
            Err(Unslept::Interrupted | Unslept::TimedOut) => Err(Errno::EINTR.into()),
        }
    }

    /// `msgsnd(2)`
    pub fn send(
        &self,
        task: &Task,
        message: Message,
        waits: bool,
    ) -> core::result::Result<(), SysError> {
        task.kernel().memory().check_lasting(Errno::ENOMEM)?;
        let mut message = Some(message);
        let len = message.as_ref().map_or(0, |message| message.text.len());
        self.wait(task, waits, |state| {
            state.permission.check(&task.credentials(), WRITE)?;
            let fits = state.bytes + len <= state.max_bytes
                && state.messages.len() < state.max_bytes.max(1);
            if !fits {
                return Err(Errno::EAGAIN);
            }
            state.bytes += len;
            state.messages.extend(message.take());
            state.sent = stamp(task);
            Ok(())
        })?;
        self.changed.wake(Events::IN);
        Ok(())
    }

    /// `msgrcv(2)`: E2BIG if the text is longer than `max` and may not be cut off; ENOMSG.
    pub fn receive(
        &self,
        task: &Task,
        max: usize,
        selection: Selection,
        cuts: bool,
        waits: bool,
    ) -> core::result::Result<Message, SysError> {
        let taken = self.wait(task, waits, |state| {
            state.permission.check(&task.credentials(), READ)?;
            let at = state.select(selection).ok_or(Errno::EAGAIN)?;
            let len = state
                .messages
                .get(at)
                .map_or(0, |message| message.text.len());
            if len > max && !cuts {
                return Err(Errno::E2BIG);
            }
            if let Selection::CopyOf(_) = selection {
                return state.messages.get(at).cloned().ok_or(Errno::ENOMSG);
            }
            state.bytes -= len;
            state.received = stamp(task);
            state.messages.remove(at).ok_or(Errno::EAGAIN)
        });
        let mut message = match taken {
            Err(SysError::Errno(Errno::EAGAIN)) => return Err(Errno::ENOMSG.into()),
            other => other?,
        };
        self.changed.wake(Events::OUT);
        message.text.truncate(max);
        Ok(message)
    }

    /// `IPC_STAT`: a `struct msqid64_ds`; `wanted` is what must be allowed.
    pub fn stat(&self, task: &Task, wanted: u32) -> Result<Vec<u8>> {
        let state = self.state.lock();
        state.permission.check(&task.credentials(), wanted)?;
        Ok(state
            .permission
            .encode()
            .signed(state.sent.seconds)
            .signed(state.received.seconds)
            .signed(state.changed)
            .word(state.bytes as u64)
            .word(state.messages.len() as u64)
            .word(state.max_bytes as u64)
            .half(state.sent.pid)
            .half(state.received.pid)
            .word(0)
            .word(0)
            .finish())
    }

    /// Its line in `/proc/sysvipc/msg`.
    pub(crate) fn line(&self, id: i32) -> String {
        let state = self.state.lock();
        let owner = &state.permission;
        format!(
            "{:10} {id:10}  {:4o}  {:10} {:10} {:5} {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10}\n",
            owner.key,
            owner.mode,
            state.bytes,
            state.messages.len(),
            state.sent.pid,
            state.received.pid,
            owner.uid,
            owner.gid,
            owner.creator_uid,
            owner.creator_gid,
            state.sent.seconds,
            state.received.seconds,
            state.changed,
        )
    }

    /// `IPC_SET`: owner, mode, size; EPERM above `kernel.msgmnb` without `CAP_SYS_RESOURCE`.
    pub fn set(&self, task: &Task, owner: (u32, u32), mode: u32, max_bytes: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.permission.check_owner(&task.credentials())?;
        let max_bytes = usize::try_from(max_bytes).map_err(|_| Errno::EINVAL)?;
        if max_bytes > limits::queue_bytes(task) && !task.has_capability(Capability::SysResource) {
            return Err(Errno::EPERM);
        }
        state.permission.set(owner.0, owner.1, mode);
        state.max_bytes = max_bytes;
        state.changed = now(task);
        drop(state);
        self.changed.wake(Events::all());
        Ok(())
    }
}

impl State {
    fn select(&self, selection: Selection) -> Option<usize> {
        let mut messages = self.messages.iter();
        match selection {
            Selection::First => (!self.messages.is_empty()).then_some(0),
            Selection::Type(kind) => messages.position(|message| message.kind == kind),
            Selection::Except(kind) => messages.position(|message| message.kind != kind),
            Selection::UpTo(most) => {
                let fitting = messages
                    .enumerate()
                    .filter(|(_, message)| message.kind <= most);
                fitting
                    .min_by_key(|(_, message)| message.kind)
                    .map(|(at, _)| at)
            }
            Selection::CopyOf(at) => (at < self.messages.len()).then_some(at),
        }
    }
}

/// `MSG_INFO` and `IPC_INFO`: a `struct msginfo`, and the highest slot in use.
#[must_use]
pub fn info(task: &Task, used: bool) -> (Vec<u8>, u64) {
    let namespace = of(task);
    let queues = namespace.queues.lock();
    let all = queues.all();
    let states = || all.iter().map(|(_, queue)| queue.state.lock());
    let messages: usize = states().map(|state| state.messages.len()).sum();
    let bytes: usize = states().map(|state| state.bytes).sum();
    let (pool, map, total) = if used {
        (count(queues.count()), count(messages), count(bytes))
    } else {
        (512_000, 16_384, 16_384)
    };
    let bytes = super::Encoder::default()
        .half(pool)
        .half(map)
        .half(count(limits::message_len(task)))
        .half(count(limits::queue_bytes(task)))
        .half(count(limits::queues(task)))
        .half(16)
        .half(total)
        .half(0xffff)
        .finish();
    (bytes, queues.highest())
}
