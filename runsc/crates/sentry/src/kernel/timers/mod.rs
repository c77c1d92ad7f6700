//! Timers: `setitimer(2)`, `timer_create(2)`, `RLIMIT_CPU`, and what timerfd is made of.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`queue`] | the kernel's one timer thread and what it waits for |
//! | [`timer`] | a timer on any clock, with a period |
//! | [`interval`] | the three of `setitimer(2)` |
//! | [`posix`] | those of `timer_create(2)` |
//! | [`cpu_limit`] | `RLIMIT_CPU` |
//!
//! Locks: a timer's own lock, then the queue's. No signal is sent under either.

pub mod cpu_limit;
pub mod interval;
pub mod posix;
pub mod queue;
pub mod timer;

pub use interval::Which;
pub use queue::TimerQueue;
pub use timer::{Setting, Timer, TimerClock};

use crate::kernel::thread_group::ThreadGroup;

/// The timers of a thread group.
#[derive(Debug, Default)]
pub struct GroupTimers {
    interval: interval::IntervalTimers,
    posix: posix::PosixTimers,
    cpu_limit: cpu_limit::CpuLimit,
}

impl GroupTimers {
    /// About how many bytes they take.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.posix.held_bytes()
    }
}

/// The group ended: its timers go.
pub fn release(group: &ThreadGroup) {
    group.timers.interval.clear();
    group.timers.posix.clear();
    group.timers.cpu_limit.clear();
}

/// The group runs another program: timers of `timer_create(2)` go.
pub fn release_posix(group: &ThreadGroup) {
    group.timers.posix.clear();
}
