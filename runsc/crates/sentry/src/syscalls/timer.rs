//! Timers: `man 2 setitimer`, `man 2 alarm`, `man 2 timer_create`, `man 2 timer_settime`,
//! `man 2 timer_getoverrun`, `man 2 timer_delete`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use abi::time::{
    Itimerspec, Itimerval, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, Sigevent,
    Timespec, Timeval,
};
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::kernel::timers::posix::{self, Notify, Value};
use crate::kernel::timers::timer::Start;
use crate::kernel::timers::{Setting, TimerClock, Which};
use crate::syscalls::declare::calls;
use crate::time::NANOS_PER_SEC;
use crate::time::clock_id::{self, ClockId};

calls! {
    36 getitimer(which: i32 as OneOf(time::INTERVAL), to: UserPtr<Itimerval> as Out(time::itimerval))
        => full ["time::interval_timer_query", "time::interval_timer_errors"];
    38 setitimer(
        which: i32 as OneOf(time::INTERVAL),
        new: UserPtr<Itimerval> as In(time::itimerval),
        old: UserPtr<Itimerval> as Out(time::itimerval),
    )
        => full ["time::interval_timer_errors", "signal::alarm_kills"];
    37 alarm(seconds: u32) => full ["time::alarm_replaces_and_reports"];
    222 timer_create(
        clock: i32 as OneOf(time::CLOCK),
        event: UserPtr<Sigevent> as In(time::sigevent),
        id_to: UserPtr<i32> as Out(id::int),
    )
        => full ["time::posix_timer_errors", "time::posix_timer_query_and_delete"];
    223 timer_settime(
        id: i32,
        flags: u32 as Flags(time::TIMER),
        new: UserPtr<Itimerspec> as In(time::itimerspec),
        old: UserPtr<Itimerspec> as Out(time::itimerspec),
    )
        => full ["time::posix_timer_errors", "time::posix_timer_signals"];
    224 timer_gettime(id: i32, to: UserPtr<Itimerspec> as Out(time::itimerspec))
        => full ["time::posix_timer_query_and_delete", "time::posix_timers_are_not_inherited"];
    225 timer_getoverrun(id: i32) => full ["time::posix_timer_errors", "time::posix_timer_value_and_overrun"];
    226 timer_delete(id: i32) => full ["time::posix_timer_query_and_delete"];
}

fn decode(raw: i32) -> Result<Which> {
    match raw {
        0 => Ok(Which::Real),
        1 => Ok(Which::Virtual),
        2 => Ok(Which::Prof),
        _ => Err(Errno::EINVAL),
    }
}

/// Rounded up to the microsecond, so that an armed timer never reads as 0.
fn to_itimerval(setting: Setting) -> Itimerval {
    let timeval = |ns: u64| Timeval::from_nanos(ns.saturating_add(999));
    Itimerval {
        interval: timeval(setting.interval_ns),
        value: timeval(setting.value_ns),
    }
}

fn getitimer(task: &Task, which: i32, to: UserPtr<Itimerval>) -> SyscallResult {
    let which = decode(which)?;
    let setting = task.group().interval_timer(which);
    to.write(&task.mm(), &to_itimerval(setting))?;
    Ok(0)
}

fn setitimer(
    task: &Task,
    which: i32,
    new: UserPtr<Itimerval>,
    old: UserPtr<Itimerval>,
) -> SyscallResult {
    let mm = task.mm();
    // Linux takes a NULL value as 0.
    let value = if new.is_null() {
        Itimerval::default()
    } else {
        new.read(&mm)?
    };
    let setting = Setting {
        value_ns: value.value.to_nanos().ok_or(Errno::EINVAL)?,
        interval_ns: value.interval.to_nanos().ok_or(Errno::EINVAL)?,
    };
    let before = task.group().set_interval_timer(decode(which)?, setting);
    if !old.is_null() {
        old.write(&mm, &to_itimerval(before))?;
    }
    Ok(0)
}

fn alarm(task: &Task, seconds: u32) -> SyscallResult {
    let setting = Setting {
        value_ns: u64::from(seconds) * NANOS_PER_SEC,
        interval_ns: 0,
    };
    let before = task.group().set_interval_timer(Which::Real, setting);
    // Rounded to the nearest second, but never down to 0.
    let rounded = before.value_ns.saturating_add(NANOS_PER_SEC / 2) / NANOS_PER_SEC;
    Ok(rounded.max(u64::from(before.value_ns != 0)))
}

/// What a timer on `clock` counts; EINVAL, EPERM without `CAP_WAKE_ALARM`, EOPNOTSUPP.
fn timer_clock(task: &Task, clock: ClockId) -> Result<TimerClock> {
    let may_wake = task.has_capability(Capability::WakeAlarm);
    Ok(match clock {
        ClockId::RealtimeAlarm | ClockId::BoottimeAlarm if !may_wake => return Err(Errno::EPERM),
        ClockId::Realtime | ClockId::RealtimeAlarm => TimerClock::Realtime,
        ClockId::Tai => TimerClock::Tai,
        ClockId::Monotonic => TimerClock::Monotonic,
        ClockId::Boottime | ClockId::BoottimeAlarm => TimerClock::Boottime,
        ClockId::RealtimeCoarse | ClockId::MonotonicCoarse | ClockId::MonotonicRaw => {
            return Err(Errno::EOPNOTSUPP);
        }
        ClockId::Process { pid, part } => {
            TimerClock::Process(Arc::downgrade(&clock_id::process(task, pid)?), part)
        }
        ClockId::Thread { tid, part } => {
            let tid = if tid == 0 { task.tid() } else { tid };
            TimerClock::Thread(Arc::downgrade(&clock_id::thread(task, tid)?), part)
        }
    })
}

fn notify(task: &Task, event: &Sigevent) -> Result<Notify> {
    if event.notify == SIGEV_NONE {
        return Ok(Notify::Nothing);
    }
    let number = u64::try_from(event.signo).map_err(|_| Errno::EINVAL)?;
    let value = Value::Given(event.value);
    if event.notify == SIGEV_THREAD_ID {
        let tid = u32::try_from(event.thread_id).map_err(|_| Errno::EINVAL)?;
        let target = clock_id::thread(task, tid)?;
        let signal = Signal::new(number).ok_or(Errno::EINVAL)?;
        let task = Arc::downgrade(&target);
        return Ok(Notify::Thread {
            task,
            signal,
            value,
        });
    }
    match event.notify {
        SIGEV_SIGNAL | SIGEV_THREAD => {
            let signal = Signal::new(number).ok_or(Errno::EINVAL)?;
            Ok(Notify::Process { signal, value })
        }
        _ => Err(Errno::EINVAL),
    }
}

fn timer_create(
    task: &Task,
    clock: i32,
    event: UserPtr<Sigevent>,
    id_to: UserPtr<i32>,
) -> SyscallResult {
    let clock = ClockId::decode(clock)?;
    let mm = task.mm();
    let notify = if event.is_null() {
        Notify::Process {
            signal: Signal::SIGALRM,
            value: Value::Id,
        }
    } else {
        notify(task, &event.read(&mm)?)?
    };
    let id = posix::create(task, timer_clock(task, clock)?, notify)?;
    if let Err(errno) = id_to.write(&mm, &id) {
        posix::delete(task, id)?;
        return Err(errno.into());
    }
    Ok(0)
}

fn to_itimerspec(setting: Setting) -> Itimerspec {
    Itimerspec {
        interval: Timespec::from_nanos(setting.interval_ns),
        value: Timespec::from_nanos(setting.value_ns),
    }
}

fn timer_settime(
    task: &Task,
    id: i32,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SyscallResult {
    let mm = task.mm();
    if new.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let value = new.read(&mm)?;
    let setting = Setting {
        value_ns: value.value.to_nanos().ok_or(Errno::EINVAL)?,
        interval_ns: value.interval.to_nanos().ok_or(Errno::EINVAL)?,
    };
    let start = if flags & nr::TIMER_ABSTIME == 0 {
        Start::Relative
    } else {
        Start::Absolute
    };
    let before = posix::set(task, id, setting, start)?;
    if !old.is_null() {
        old.write(&mm, &to_itimerspec(before))?;
    }
    Ok(0)
}

fn timer_gettime(task: &Task, id: i32, to: UserPtr<Itimerspec>) -> SyscallResult {
    let setting = posix::get(task, id)?;
    to.write(&task.mm(), &to_itimerspec(setting))?;
    Ok(0)
}

fn timer_getoverrun(task: &Task, id: i32) -> SyscallResult {
    Ok(u64::from(posix::overrun(task, id)?.unsigned_abs()))
}

fn timer_delete(task: &Task, id: i32) -> SyscallResult {
    posix::delete(task, id)?;
    Ok(0)
}
