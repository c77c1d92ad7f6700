//! Timers: `man 2 setitimer`, `man 2 alarm`, `man 2 timer_create`, `man 2 timer_settime`,
//! `man 2 timer_getoverrun`, `man 2 timer_delete`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use abi::time::{
    Itimerspec, Itimerval, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, Sigevent,
    Timespec, Timeval,
};

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::kernel::timers::posix::{self, Notify, Value};
use crate::kernel::timers::timer::Start;
use crate::kernel::timers::{Setting, TimerClock, Which};
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::time::NANOS_PER_SEC;
use crate::time::clock_id::{self, ClockId};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_getitimer, "getitimer", getitimer),
    Call::full(nr::__NR_setitimer, "setitimer", setitimer),
    Call::full(nr::__NR_alarm, "alarm", alarm),
    Call::full(nr::__NR_timer_create, "timer_create", timer_create),
    Call::full(nr::__NR_timer_settime, "timer_settime", timer_settime),
    Call::full(nr::__NR_timer_gettime, "timer_gettime", timer_gettime),
    Call::full(
        nr::__NR_timer_getoverrun,
        "timer_getoverrun",
        timer_getoverrun,
    ),
    Call::full(nr::__NR_timer_delete, "timer_delete", timer_delete),
];

fn which(raw: i32) -> Result<Which> {
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

fn getitimer(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (which, to): (_, UserPtr<Itimerval>) = (which(args.i32(0))?, args.ptr(1));
    let setting = task.group().interval_timer(which);
    to.write(&task.mm(), &to_itimerval(setting))?;
    Ok(0)
}

fn setitimer(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (raw_which, new, old): (_, UserPtr<Itimerval>, UserPtr<Itimerval>) =
        (args.i32(0), args.ptr(1), args.ptr(2));
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
    let before = task.group().set_interval_timer(which(raw_which)?, setting);
    if !old.is_null() {
        old.write(&mm, &to_itimerval(before))?;
    }
    Ok(0)
}

fn alarm(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let setting = Setting {
        value_ns: u64::from(args.u32(0)) * NANOS_PER_SEC,
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

fn timer_create(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (clock, event, id_to): (_, UserPtr<Sigevent>, UserPtr<i32>) =
        (ClockId::decode(args.i32(0))?, args.ptr(1), args.ptr(2));
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

fn timer_settime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (id, flags): (i32, u32) = (args.i32(0), args.u32(1));
    let (new, old): (UserPtr<Itimerspec>, UserPtr<Itimerspec>) = (args.ptr(2), args.ptr(3));
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

fn timer_gettime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (id, to): (_, UserPtr<Itimerspec>) = (args.i32(0), args.ptr(1));
    let setting = posix::get(task, id)?;
    to.write(&task.mm(), &to_itimerspec(setting))?;
    Ok(0)
}

fn timer_getoverrun(task: &Task, args: &SyscallArgs) -> SyscallResult {
    Ok(u64::from(posix::overrun(task, args.i32(0))?.unsigned_abs()))
}

fn timer_delete(task: &Task, args: &SyscallArgs) -> SyscallResult {
    posix::delete(task, args.i32(0))?;
    Ok(0)
}
