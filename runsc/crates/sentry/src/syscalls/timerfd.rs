//! `man 2 timerfd_create`: `timerfd_create`, `timerfd_settime`, `timerfd_gettime`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use abi::time::{Itimerspec, Timespec};
use mm::user_ptr::UserPtr;

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::anon::Anonymous;
use crate::fs::timerfd::TimerFd;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::kernel::timers::timer::{Setting, Start, TimerClock};
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::time::clock_id::ClockId;
use crate::vfs::file::{OpenFile, OpenFlags};

calls! {
    283 timerfd_create(clock_id: i32 as OneOf(time::CLOCK), flags: OpenFlags as Flags(time::TIMERFD_CREATE))
        => full ["openat::files_that_are_opened_are_large"];
    286 timerfd_settime(
        fd: Fd,
        flags: u32 as Flags(time::TIMERFD_SET),
        new: UserPtr<Itimerspec> as In(time::itimerspec),
        old: UserPtr<Itimerspec> as Out(time::itimerspec),
    )
        => partial("TFD_TIMER_CANCEL_ON_SET is accepted, but no change of the host's clock cancels") [
            "eventfd::timerfd_errors",
        ];
    287 timerfd_gettime(fd: Fd, current: UserPtr<Itimerspec> as Out(time::itimerspec))
        => full ["eventfd::timer_disarm_and_query"];
}

fn timerfd_create(task: &Task, clock_id: i32, flags: OpenFlags) -> SyscallResult {
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

fn timerfd_settime(
    task: &Task,
    fd: Fd,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SyscallResult {
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
    let open = task.files().get(fd)?;
    let before = of(&open)?.set(setting, start);
    if !old.is_null() {
        old.write(&task.mm(), &to_user(before))?;
    }
    Ok(0)
}

fn timerfd_gettime(task: &Task, fd: Fd, current: UserPtr<Itimerspec>) -> SyscallResult {
    let open = task.files().get(fd)?;
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
