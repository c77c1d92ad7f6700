//! Clocks (`man 7 time`, `man 2 clock_gettime`) and the page that the vDSO reads.
//!
//! [`Clock`] has the clocks that a kernel has once; [`clock_id`] is what an application names a clock by,
//! the processor time of tasks included.

pub mod clock_id;
mod fit;
pub mod vdso;

use std::time::Duration;

use rustix::time::{ClockId as HostClock, clock_gettime};

pub use abi::time::NANOS_PER_SEC;

/// A point in time, in nanoseconds of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Of `CLOCK_MONOTONIC` as the application sees it.
    Monotonic(u64),
    /// Of `CLOCK_REALTIME`: follows changes of the host's clock.
    Realtime(u64),
}

/// The longest sleep towards a deadline of `CLOCK_REALTIME` before it is looked at again: the host does not
/// tell when its clock is set.
pub const LONGEST_REALTIME_NAP: Duration = Duration::from_secs(10);

impl Deadline {
    /// How long to sleep when `left` is left, before looking again.
    #[must_use]
    pub fn nap(self, left: Duration) -> Duration {
        match self {
            Deadline::Monotonic(_) => left,
            Deadline::Realtime(_) => left.min(LONGEST_REALTIME_NAP),
        }
    }
}

/// The clocks of one kernel.
#[derive(Clone, Debug)]
pub struct Clock {
    /// What the host's clocks showed when this kernel started: the zeroes of the application's.
    boot: BootTimes,
}

#[derive(Clone, Copy, Debug)]
struct BootTimes {
    monotonic_ns: u64,
    raw_ns: u64,
    boottime_ns: u64,
}

fn host_ns(id: HostClock) -> u64 {
    let now = clock_gettime(id);
    u64::try_from(now.tv_sec).unwrap_or(0) * NANOS_PER_SEC + u64::try_from(now.tv_nsec).unwrap_or(0)
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

impl Clock {
    /// Clocks that start now.
    #[must_use]
    pub fn new() -> Clock {
        Clock {
            boot: BootTimes {
                monotonic_ns: host_ns(HostClock::Monotonic),
                raw_ns: host_ns(HostClock::MonotonicRaw),
                boottime_ns: host_ns(HostClock::Boottime),
            },
        }
    }

    /// `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn monotonic_ns(&self) -> u64 {
        host_ns(HostClock::Monotonic).saturating_sub(self.boot.monotonic_ns)
    }

    /// `CLOCK_MONOTONIC_COARSE`.
    #[must_use]
    pub fn monotonic_coarse_ns(&self) -> u64 {
        host_ns(HostClock::MonotonicCoarse).saturating_sub(self.boot.monotonic_ns)
    }

    /// `CLOCK_MONOTONIC_RAW`: not slewed by NTP.
    #[must_use]
    pub fn monotonic_raw_ns(&self) -> u64 {
        host_ns(HostClock::MonotonicRaw).saturating_sub(self.boot.raw_ns)
    }

    /// `CLOCK_BOOTTIME`: `CLOCK_MONOTONIC` and the time that the host was suspended.
    #[must_use]
    pub fn boottime_ns(&self) -> u64 {
        host_ns(HostClock::Boottime).saturating_sub(self.boot.boottime_ns)
    }

    /// `CLOCK_REALTIME`.
    #[must_use]
    pub fn realtime_ns(&self) -> u64 {
        host_ns(HostClock::Realtime)
    }

    /// `CLOCK_REALTIME_COARSE`.
    #[must_use]
    pub fn realtime_coarse_ns(&self) -> u64 {
        host_ns(HostClock::RealtimeCoarse)
    }

    /// `CLOCK_TAI`, with the offset to `CLOCK_REALTIME` that a host has which nobody has told of leap seconds.
    #[must_use]
    pub fn tai_ns(&self) -> u64 {
        self.realtime_ns()
    }

    /// What the application's `CLOCK_MONOTONIC` shows when the host's shows `host_ns`.
    pub(crate) fn guest_monotonic_ns(&self, host_ns: u64) -> u64 {
        host_ns.saturating_sub(self.boot.monotonic_ns)
    }

    /// What the application's `CLOCK_BOOTTIME` shows when the host's shows `host_ns`.
    pub(crate) fn guest_boottime_ns(&self, host_ns: u64) -> u64 {
        host_ns.saturating_sub(self.boot.boottime_ns)
    }

    /// The time left until `deadline`; zero if it has passed.
    #[must_use]
    pub fn until(&self, deadline: Deadline) -> Duration {
        Duration::from_nanos(match deadline {
            Deadline::Monotonic(at) => at.saturating_sub(self.monotonic_ns()),
            Deadline::Realtime(at) => at.saturating_sub(self.realtime_ns()),
        })
    }

    /// The deadline `delay_ns` from now.
    #[must_use]
    pub fn after(&self, delay_ns: u64) -> Deadline {
        Deadline::Monotonic(self.monotonic_ns().saturating_add(delay_ns))
    }
}
