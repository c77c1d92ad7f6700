//! The interval timers of a process (`man 2 setitimer`).

use std::sync::Arc;

use locks::Mutex;

use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::timers::timer::{Setting, Start, Timer, TimerClock};
use crate::time::clock_id::CpuPart;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `ITIMER_REAL`: SIGALRM.
    Real = 0,
    /// `ITIMER_VIRTUAL`: user time, SIGVTALRM.
    Virtual = 1,
    /// `ITIMER_PROF`: processor time, SIGPROF.
    Prof = 2,
}

/// The three timers, made when first set.
#[derive(Debug, Default)]
pub struct IntervalTimers {
    timers: Mutex<[Option<Timer>; 3]>,
}

impl IntervalTimers {
    pub(super) fn clear(&self) {
        let timers = std::mem::take(&mut *self.timers.lock());
        drop(timers);
    }
}

fn make(group: &Arc<ThreadGroup>, which: Which) -> Timer {
    let weak = Arc::downgrade(group);
    let (clock, signal) = match which {
        Which::Real => (TimerClock::Monotonic, Signal::SIGALRM),
        Which::Virtual => (
            TimerClock::Process(weak.clone(), CpuPart::User),
            Signal::SIGVTALRM,
        ),
        Which::Prof => (
            TimerClock::Process(weak.clone(), CpuPart::All),
            Signal::SIGPROF,
        ),
    };
    let on_expiry = move |_| {
        if let Some(group) = weak.upgrade() {
            send::send_to_group(&group, SignalInfo::kernel(signal));
        }
    };
    Timer::new(group.kernel(), clock, Box::new(on_expiry))
}

impl ThreadGroup {
    /// Sets a timer; how it was set.
    pub fn set_interval_timer(self: &Arc<Self>, which: Which, setting: Setting) -> Setting {
        let mut timers = self.timers.interval.timers.lock();
        let timer = timers[which as usize].get_or_insert_with(|| make(self, which));
        timer.set(setting, Start::Relative)
    }

    /// How a timer is set.
    #[must_use]
    pub fn interval_timer(&self, which: Which) -> Setting {
        let timers = self.timers.interval.timers.lock();
        timers[which as usize]
            .as_ref()
            .map_or_else(Setting::default, Timer::get)
    }
}
