//! Timers of a process with a clock and a signal of their own (`man 2 timer_create`).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::kernel::limits::Resource;
use crate::kernel::signal::info::{Detail, code};
use crate::kernel::signal::queue::{Charge, TimerSignal};
use crate::kernel::signal::send::{Origin, OutgoingSignal, post};
use crate::kernel::signal::{Signal, SignalInfo};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::timers::timer::{Setting, Start, Timer, TimerClock};

/// What an expiry does.
#[derive(Clone, Debug)]
pub enum Notify {
    /// `SIGEV_NONE`
    Nothing,
    /// `SIGEV_SIGNAL` (and `SIGEV_THREAD`, which is the C library's business).
    Process { signal: Signal, value: Value },
    /// `SIGEV_THREAD_ID`
    Thread {
        task: Weak<Task>,
        signal: Signal,
        value: Value,
    },
}

/// What the signal carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The timer's id: no `sigevent` was given.
    Id,
    /// `sigev_value`
    Given(u64),
}

/// The timers of a process, by id.
#[derive(Debug, Default)]
pub struct PosixTimers {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: i32,
    timers: BTreeMap<i32, Arc<PosixTimer>>,
}

/// A timer takes about so much.
const TIMER_BYTES: u64 = 768;

#[derive(Debug)]
struct PosixTimer {
    timer: Timer,
    signal: Arc<TimerSignal>,
    /// The queue place that is kept for its signal.
    _charge: Charge,
}

impl PosixTimers {
    /// About how many bytes they take.
    pub(super) fn held_bytes(&self) -> u64 {
        self.table.lock().timers.len() as u64 * TIMER_BYTES
    }

    pub(super) fn clear(&self) {
        let timers = std::mem::take(&mut self.table.lock().timers);
        drop(timers);
    }
}

/// Makes a timer; its id. EAGAIN: `RLIMIT_SIGPENDING`.
pub fn create(task: &Task, clock: TimerClock, notify: Notify) -> Result<i32> {
    let group = task.group();
    let limit = group.limits().get(Resource::PendingSignals).soft;
    let charge = task
        .kernel()
        .queued_signals
        .charge(task.credentials().uid, limit)
        .ok_or(Errno::EAGAIN)?;
    let mut table = group.timers.posix.table.lock();
    let id = table.free_id()?;
    let signal = Arc::new(TimerSignal::default());
    let on_expiry = on_expiry(group, id, notify, &signal);
    let timer = Timer::new(task.kernel(), clock, on_expiry);
    let timer = PosixTimer {
        timer,
        signal,
        _charge: charge,
    };
    table.timers.insert(id, Arc::new(timer));
    Ok(id)
}

impl Table {
    fn free_id(&mut self) -> Result<i32> {
        for _ in 0..=self.timers.len() {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(0);
            if !self.timers.contains_key(&id) {
                return Ok(id);
            }
        }
        Err(Errno::EAGAIN)
    }
}

fn on_expiry(
    group: &Arc<ThreadGroup>,
    id: i32,
    notify: Notify,
    signal_state: &Arc<TimerSignal>,
) -> Box<dyn Fn(u64) + Send + Sync> {
    let (to, signal, value) = match notify {
        Notify::Nothing => return Box::new(|_| {}),
        Notify::Process { signal, value } => (None, signal, value),
        Notify::Thread {
            task,
            signal,
            value,
        } => (Some(task), signal, value),
    };
    let value = match value {
        Value::Id => u64::from(id.unsigned_abs()),
        Value::Given(value) => value,
    };
    let info = SignalInfo {
        signal,
        errno: 0,
        code: code::SI_TIMER,
        detail: Detail::Timer {
            id,
            overrun: 0,
            value,
        },
    };
    let group = Arc::downgrade(group);
    let signal_state = signal_state.clone();
    Box::new(move |times| {
        let task = to.as_ref().map(Weak::upgrade);
        if let Some(group) = group.upgrade()
            && !matches!(task, Some(None))
            && signal_state.expired(times)
        {
            let outgoing =
                OutgoingSignal::new(info, Origin::Above).from_timer(signal_state.clone());
            // A timer's place in the queue is reserved: this can't fail.
            let _ = post(&group, task.flatten().as_ref(), outgoing);
        }
    })
}

fn find(task: &Task, id: i32) -> Result<Arc<PosixTimer>> {
    let table = task.group().timers.posix.table.lock();
    table.timers.get(&id).cloned().ok_or(Errno::EINVAL)
}

/// `timer_settime(2)`; how it was set. EINVAL: no such timer.
pub fn set(task: &Task, id: i32, setting: Setting, start: Start) -> Result<Setting> {
    Ok(find(task, id)?.timer.set(setting, start))
}

/// `timer_gettime(2)`. EINVAL.
pub fn get(task: &Task, id: i32) -> Result<Setting> {
    Ok(find(task, id)?.timer.get())
}

/// `timer_getoverrun(2)`. EINVAL.
pub fn overrun(task: &Task, id: i32) -> Result<i32> {
    Ok(find(task, id)?.signal.last_overrun())
}

/// `timer_delete(2)`. EINVAL.
pub fn delete(task: &Task, id: i32) -> Result<()> {
    let gone = task.group().timers.posix.table.lock().timers.remove(&id);
    gone.map(drop).ok_or(Errno::EINVAL)
}
