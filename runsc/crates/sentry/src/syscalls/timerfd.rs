//! `man 2 timerfd_create`: `timerfd_create`, `timerfd_settime`, `timerfd_gettime`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use abi::time::{Itimerspec, Timespec};

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::anon::Anonymous;
use crate::fs::timerfd::TimerFd;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::kernel::timers::timer::{Setting, Start, TimerClock};
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::time::clock_id::ClockId;
use crate::vfs::file::{OpenFile, OpenFlags};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_timerfd_create, "timerfd_create", timerfd_create),
    Call::partial(
        nr::__NR_timerfd_settime,
        "timerfd_settime",
        timerfd_settime,
        "TFD_TIMER_CANCEL_ON_SET is accepted, but no change of the host's clock cancels",
    ),
    Call::full(nr::__NR_timerfd_gettime, "timerfd_gettime", timerfd_gettime),
];

fn timerfd_create(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (clock_id, flags) = (args.i32(0), args.open_flags(1));
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    let (clock, wakes) = match ClockId::decode(clock_id)? {
        ClockId::Realtime => (TimerClock::Realtime, false),
        ClockId::RealtimeAlarm => (TimerClock::Realtime, true),
        ClockId::Monotonic => (TimerClock::Monotonic, false),
        ClockId::Boottime => (TimerClock::Boottime, false),
        ClockId::BoottimeAlarm => (TimerClock::Boottime, true),
        _ => return Err(Errno::EINVAL.into()),
    };
    if wakes && !task.has_capability(Capability::WakeAlarm) {
        return Err(Errno::EPERM.into());
    }
    let file = TimerFd::new(task.kernel(), clock, clock_id);
    let what = Anonymous::Inode("[timerfd]");
    install::anonymous(task, what, file, flags | OpenFlags::RDWR)
}

fn timerfd_settime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(1);
    let (new, old): (UserPtr<Itimerspec>, UserPtr<Itimerspec>) = (args.ptr(2), args.ptr(3));
    let new = new.read(&task.mm())?;
    if flags & !(nr::TFD_TIMER_ABSTIME | nr::TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let setting = Setting {
        value_ns: new.value.to_nanos().ok_or(Errno::EINVAL)?,
        interval_ns: new.interval.to_nanos().ok_or(Errno::EINVAL)?,
    };
    let start = if flags & nr::TFD_TIMER_ABSTIME == 0 {
        Start::Relative
    } else {
        Start::Absolute
    };
    let open = task.files().get(args.i32(0))?;
    let before = of(&open)?.set(setting, start);
    if !old.is_null() {
        old.write(&task.mm(), &to_user(before))?;
    }
    Ok(0)
}

fn timerfd_gettime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let current: UserPtr<Itimerspec> = args.ptr(1);
    let open = task.files().get(args.i32(0))?;
    current.write(&task.mm(), &to_user(of(&open)?.get()))?;
    Ok(0)
}

fn of(open: &Arc<OpenFile>) -> Result<&TimerFd> {
    open.file_as::<TimerFd>().ok_or(Errno::EINVAL)
}

fn to_user(setting: Setting) -> Itimerspec {
    Itimerspec {
        interval: Timespec::from_nanos(setting.interval_ns),
        value: Timespec::from_nanos(setting.value_ns),
    }
}
