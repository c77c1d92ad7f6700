//! Sleeping: `man 2 nanosleep`, `man 2 clock_nanosleep`.

use std::time::Duration;

use abi::Errno;
use abi::raw::general as nr;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;

use crate::error::{Restart, SysError, SyscallResult};
use crate::kernel::blocking::Unslept;
use crate::kernel::task::{RestartBlock, Task};
use crate::syscalls::declare::calls;
use crate::time::Deadline;
use crate::time::clock_id::ClockId;

calls! {
    35 nanosleep(request: UserPtr<Timespec> as In(time::timespec), remaining: UserPtr<u8>)
        => full ["time::nanosleep_sleeps", "time::nanosleep_errors"];
    230 clock_nanosleep(
        raw_clock: i32 as OneOf(time::CLOCK),
        flags: u32 as Flags(time::TIMER),
        request: UserPtr<Timespec> as In(time::timespec),
        remaining: UserPtr<u8>,
    )
        => full ["time::nanosleep_errors", "time::absolute_sleep_in_the_past"];
}

fn nanosleep(task: &Task, request: UserPtr<Timespec>, remaining: UserPtr<u8>) -> SyscallResult {
    let remaining = remaining.address();
    let delay_ns = request.read(&task.mm())?.to_nanos().ok_or(Errno::EINVAL)?;
    sleep_on(task, task.kernel().clock().after(delay_ns), remaining)
}

/// Sleeps until a deadline that was relative: interrupted, it tells what is left and goes on if no handler
/// runs.
pub(super) fn sleep_on(task: &Task, deadline: Deadline, remaining: usize) -> SyscallResult {
    match sleep(task, deadline) {
        Ok(()) => Ok(0),
        Err(SysError::Restart(_)) => {
            if remaining != 0 {
                let left = task.kernel().clock().until(deadline);
                let left_ns = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
                task.mm()
                    .write_value(remaining, &Timespec::from_nanos(left_ns))?;
            }
            task.own.lock().restart_block = Some(RestartBlock::Sleep {
                deadline,
                remaining,
            });
            Err(SysError::Restart(Restart::Block))
        }
        Err(error) => Err(error),
    }
}

fn sleep(task: &Task, deadline: Deadline) -> Result<(), SysError> {
    match task.wait_for(&[], Some(deadline), || None::<()>) {
        Ok(()) | Err(Unslept::TimedOut) => Ok(()),
        Err(Unslept::Interrupted) => Err(SysError::Restart(Restart::NoHandler)),
    }
}

fn clock_nanosleep(
    task: &Task,
    raw_clock: i32,
    flags: u32,
    request: UserPtr<Timespec>,
    remaining: UserPtr<u8>,
) -> SyscallResult {
    let remaining = remaining.address();
    let absolute = flags & nr::TIMER_ABSTIME != 0;
    let clock = ClockId::decode(raw_clock)?;
    let time_ns = request.read(&task.mm())?.to_nanos().ok_or(Errno::EINVAL)?;
    let kernel_clock = task.kernel().clock();
    let deadline = match clock {
        ClockId::Thread { tid, .. } if tid != 0 => return Err(Errno::EINVAL.into()),
        ClockId::Thread { .. }
        | ClockId::MonotonicRaw
        | ClockId::MonotonicCoarse
        | ClockId::RealtimeCoarse => {
            return Err(Errno::EOPNOTSUPP.into());
        }
        ClockId::Process { .. } => return sleep_cpu(task, clock, time_ns, absolute),
        _ if !absolute => return sleep_on(task, kernel_clock.after(time_ns), remaining),
        ClockId::Realtime | ClockId::RealtimeAlarm | ClockId::Tai => Deadline::Realtime(time_ns),
        ClockId::Monotonic => Deadline::Monotonic(time_ns),
        ClockId::Boottime | ClockId::BoottimeAlarm => {
            kernel_clock.after(time_ns.saturating_sub(kernel_clock.boottime_ns()))
        }
    };
    sleep(task, deadline)?;
    Ok(0)
}

/// Sleeps until a process has used so much processor time.
fn sleep_cpu(task: &Task, clock: ClockId, time_ns: u64, absolute: bool) -> SyscallResult {
    const TICK: Duration = Duration::from_millis(1);
    let start_ns = clock.now(task)?;
    let end_ns = if absolute {
        time_ns
    } else {
        start_ns.saturating_add(time_ns)
    };
    loop {
        let now_ns = clock.now(task)?;
        if now_ns >= end_ns {
            return Ok(0);
        }
        // Several threads may use the time at once; how many is not worth finding out.
        let nap = Duration::from_nanos((end_ns - now_ns) / 8).max(TICK);
        let nap_ns = u64::try_from(nap.as_nanos()).unwrap_or(u64::MAX);
        sleep(task, task.kernel().clock().after(nap_ns))?;
    }
}
