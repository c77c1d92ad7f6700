//! The clocks that an application can name (`man 2 clock_gettime`, `man 3 clock_getcpuclockid`).

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockId {
    /// `CLOCK_REALTIME`
    Realtime,
    /// `CLOCK_REALTIME_COARSE`
    RealtimeCoarse,
    /// `CLOCK_REALTIME_ALARM`: as `CLOCK_REALTIME`; its timers need `CAP_WAKE_ALARM`
    RealtimeAlarm,
    /// `CLOCK_TAI`
    Tai,
    /// `CLOCK_MONOTONIC`
    Monotonic,
    /// `CLOCK_MONOTONIC_COARSE`
    MonotonicCoarse,
    /// `CLOCK_MONOTONIC_RAW`
    MonotonicRaw,
    /// `CLOCK_BOOTTIME`
    Boottime,
    /// `CLOCK_BOOTTIME_ALARM`: as `CLOCK_BOOTTIME`; its timers need `CAP_WAKE_ALARM`
    BoottimeAlarm,
    /// The processor time of a process, 0 for the caller's.
    Process { pid: u32, part: CpuPart },
    /// The processor time of a thread, 0 for the caller.
    Thread { tid: u32, part: CpuPart },
}

/// Which processor time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuPart {
    /// User time (`CPUCLOCK_VIRT`).
    User,
    /// User and system time (`CPUCLOCK_PROF`, `CPUCLOCK_SCHED`).
    All,
}

impl CpuPart {
    /// Of a pair of user and system time.
    #[must_use]
    pub fn of(self, (user_ns, system_ns): (u64, u64)) -> u64 {
        match self {
            CpuPart::User => user_ns,
            CpuPart::All => user_ns.saturating_add(system_ns),
        }
    }
}

/// Resolution of the coarse clocks: that of a kernel with 250 ticks a second, as distributions build it.
const COARSE_NS: u64 = 4_000_000;

impl ClockId {
    /// What a `clockid_t` means; EINVAL.
    pub fn decode(raw: i32) -> Result<ClockId> {
        let Ok(positive) = u32::try_from(raw) else {
            return decode_cpu(raw);
        };
        Ok(match positive {
            nr::CLOCK_REALTIME => ClockId::Realtime,
            nr::CLOCK_MONOTONIC => ClockId::Monotonic,
            nr::CLOCK_PROCESS_CPUTIME_ID => ClockId::Process {
                pid: 0,
                part: CpuPart::All,
            },
            nr::CLOCK_THREAD_CPUTIME_ID => ClockId::Thread {
                tid: 0,
                part: CpuPart::All,
            },
            nr::CLOCK_MONOTONIC_RAW => ClockId::MonotonicRaw,
            nr::CLOCK_REALTIME_COARSE => ClockId::RealtimeCoarse,
            nr::CLOCK_MONOTONIC_COARSE => ClockId::MonotonicCoarse,
            nr::CLOCK_BOOTTIME => ClockId::Boottime,
            nr::CLOCK_REALTIME_ALARM => ClockId::RealtimeAlarm,
            nr::CLOCK_BOOTTIME_ALARM => ClockId::BoottimeAlarm,
            nr::CLOCK_TAI => ClockId::Tai,
            _ => return Err(Errno::EINVAL),
        })
    }

    /// The resolution in nanoseconds.
    #[must_use]
    pub fn resolution_ns(self) -> u64 {
        match self {
            ClockId::RealtimeCoarse | ClockId::MonotonicCoarse => COARSE_NS,
            _ => 1,
        }
    }

    /// The time that it shows, in nanoseconds. EINVAL: no such process or thread.
    pub fn now(self, task: &Task) -> Result<u64> {
        let clock = task.kernel().clock();
        Ok(match self {
            ClockId::Realtime | ClockId::RealtimeAlarm => clock.realtime_ns(),
            ClockId::RealtimeCoarse => clock.realtime_coarse_ns(),
            ClockId::Tai => clock.tai_ns(),
            ClockId::Monotonic => clock.monotonic_ns(),
            ClockId::MonotonicCoarse => clock.monotonic_coarse_ns(),
            ClockId::MonotonicRaw => clock.monotonic_raw_ns(),
            ClockId::Boottime | ClockId::BoottimeAlarm => clock.boottime_ns(),
            ClockId::Process { pid, part } => part.of(process(task, pid)?.cpu_time()),
            ClockId::Thread { tid: 0, part } => part.of(task.cpu_time()),
            ClockId::Thread { tid, part } => part.of(thread(task, tid)?.cpu_time()),
        })
    }

    /// Whether it counts processor time.
    #[must_use]
    pub fn is_cpu(self) -> bool {
        matches!(self, ClockId::Process { .. } | ClockId::Thread { .. })
    }
}

/// Negative numbers hold a complemented id, and in the low three bits what it is and what counts.
fn decode_cpu(raw: i32) -> Result<ClockId> {
    const PER_THREAD: i32 = 4;
    const CLOCK_MASK: i32 = 3;
    let id = u32::try_from(!(raw >> 3)).map_err(|_| Errno::EINVAL)?;
    let part = match raw & CLOCK_MASK {
        1 => CpuPart::User,
        0 | 2 => CpuPart::All,
        // CLOCKFD: clocks behind descriptors, of which there are none here.
        _ => return Err(Errno::EINVAL),
    };
    Ok(if raw & PER_THREAD == 0 {
        ClockId::Process { pid: id, part }
    } else {
        ClockId::Thread { tid: id, part }
    })
}

/// The process with an id as `task` sees it, 0 for its own; EINVAL.
pub fn process(task: &Task, pid: u32) -> Result<Arc<ThreadGroup>> {
    if pid == 0 {
        return Ok(task.group().clone());
    }
    task.pid_namespace().group(pid).ok_or(Errno::EINVAL)
}

/// The thread of the caller's process with an id as `task` sees it; EINVAL.
pub fn thread(task: &Task, tid: u32) -> Result<Arc<Task>> {
    let thread = task.pid_namespace().task(tid).ok_or(Errno::EINVAL)?;
    if Arc::ptr_eq(thread.group(), task.group()) {
        Ok(thread)
    } else {
        Err(Errno::EINVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_clock_ids_hold_a_complemented_id() {
        // What clock_getcpuclockid(5) and pthread_getcpuclockid give.
        let process = (!5 << 3) | 2;
        let thread = (!7 << 3) | 6;
        assert_eq!(
            ClockId::decode(process),
            Ok(ClockId::Process {
                pid: 5,
                part: CpuPart::All
            })
        );
        assert_eq!(
            ClockId::decode(thread),
            Ok(ClockId::Thread {
                tid: 7,
                part: CpuPart::All
            })
        );
        assert_eq!(ClockId::decode((!3 << 3) | 3), Err(Errno::EINVAL));
        assert_eq!(ClockId::decode(12), Err(Errno::EINVAL));
        assert_eq!(ClockId::decode(10), Err(Errno::EINVAL));
    }
}
