//! Clocks (`man 7 time`, `man 2 clock_gettime`) and the page that the vDSO reads.

pub mod vdso;

use std::time::Duration;

use host::rustix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A point in time, in nanoseconds of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Of CLOCK_MONOTONIC as the application sees it.
    Monotonic(u64),
    /// Of CLOCK_REALTIME: follows changes of the host's clock.
    Realtime(u64),
}

/// The clocks of one kernel.
#[derive(Debug)]
pub struct Clock {
    /// The host's CLOCK_MONOTONIC when this kernel started: the zero of the application's.
    boot_ns: u64,
}

fn host_ns(id: ClockId) -> u64 {
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
            boot_ns: host_ns(ClockId::Monotonic),
        }
    }

    /// CLOCK_MONOTONIC and CLOCK_BOOTTIME.
    #[must_use]
    pub fn monotonic_ns(&self) -> u64 {
        host_ns(ClockId::Monotonic).saturating_sub(self.boot_ns)
    }

    /// CLOCK_REALTIME.
    #[must_use]
    pub fn realtime_ns(&self) -> u64 {
        host_ns(ClockId::Realtime)
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
