//! A timer on any clock: it expires at a time, then again every period if it has one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use locks::Mutex;

use crate::kernel::kernel::Kernel;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::timers::queue::{Armed, Expire};
use crate::time::LONGEST_REALTIME_NAP;
use crate::time::clock_id::CpuPart;

/// What a timer counts.
#[derive(Clone, Debug)]
pub enum TimerClock {
    /// `CLOCK_MONOTONIC`
    Monotonic,
    /// `CLOCK_BOOTTIME`
    Boottime,
    /// `CLOCK_REALTIME`
    Realtime,
    /// `CLOCK_TAI`
    Tai,
    /// Processor time of a process.
    Process(Weak<ThreadGroup>, CpuPart),
    /// Processor time of a thread.
    Thread(Weak<Task>, CpuPart),
}

/// How often a timer on processor time is looked at, at most.
const CPU_TICK: Duration = Duration::from_millis(1);
/// How seldom, at least, while no thread of the process runs.
const IDLE_TICK: Duration = Duration::from_millis(50);

impl TimerClock {
    /// The time that it shows, in nanoseconds; none if what it counts is gone.
    fn now(&self, kernel: &Kernel) -> Option<u64> {
        let clock = kernel.clock();
        Some(match self {
            TimerClock::Monotonic => clock.monotonic_ns(),
            TimerClock::Boottime => clock.boottime_ns(),
            TimerClock::Realtime => clock.realtime_ns(),
            TimerClock::Tai => clock.tai_ns(),
            TimerClock::Process(group, part) => part.of(group.upgrade()?.cpu_time()),
            TimerClock::Thread(task, part) => part.of(task.upgrade()?.cpu_time()),
        })
    }

    /// How long to wait before looking again, when `left_ns` is left.
    fn nap(&self, left_ns: u64) -> Duration {
        let left = Duration::from_nanos(left_ns);
        match self {
            TimerClock::Monotonic | TimerClock::Boottime => left,
            TimerClock::Realtime | TimerClock::Tai => left.min(LONGEST_REALTIME_NAP),
            TimerClock::Process(group, _) => {
                let tasks = group.upgrade().map_or_else(Vec::new, |group| group.tasks());
                let running = tasks.iter().filter(|task| !task.cpu.is_idle()).count();
                cpu_nap(left, running)
            }
            TimerClock::Thread(task, _) => {
                let running = task.upgrade().is_some_and(|task| !task.cpu.is_idle());
                cpu_nap(left, usize::from(running))
            }
        }
    }
}

/// With `running` threads, the time left passes that much faster.
fn cpu_nap(left: Duration, running: usize) -> Duration {
    match u32::try_from(running) {
        Ok(0) => left.max(IDLE_TICK),
        Ok(running) => (left / running).max(CPU_TICK),
        Err(_) => CPU_TICK,
    }
}

/// When a timer expires: both 0 if it is not armed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Nanoseconds to the next expiry, 0 for none.
    pub value_ns: u64,
    /// Nanoseconds between expiries, 0 for one expiry.
    pub interval_ns: u64,
}

/// How [`Timer::set`] takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From now.
    Relative,
    /// At this time of its clock.
    Absolute,
}

/// Called with the number of expiries since the last call.
pub type OnExpiry = Box<dyn Fn(u64) + Send + Sync>;

/// A timer. Dropped, it is disarmed.
#[derive(Debug)]
pub struct Timer {
    core: Arc<Core>,
}

struct Core {
    kernel: Weak<Kernel>,
    clock: TimerClock,
    on_expiry: OnExpiry,
    state: Mutex<State>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timer")
            .field("clock", &self.clock)
            .field("state", &*self.state.lock())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// The next expiry in nanoseconds of the clock.
    next_ns: Option<u64>,
    interval_ns: u64,
    armed: Option<Armed>,
}

impl State {
    /// How often it has expired by `now_ns`; moves on to the next expiry.
    fn expiries(&mut self, now_ns: u64) -> u64 {
        let Some(next_ns) = self.next_ns.filter(|next_ns| *next_ns <= now_ns) else {
            return 0;
        };
        if self.interval_ns == 0 {
            self.next_ns = None;
            return 1;
        }
        let times = (now_ns - next_ns) / self.interval_ns + 1;
        let passed = times.saturating_mul(self.interval_ns);
        self.next_ns = Some(next_ns.saturating_add(passed));
        times
    }

    fn setting(&self, now_ns: u64) -> Setting {
        Setting {
            // An armed timer that is about to expire shows the least there is.
            value_ns: self
                .next_ns
                .map_or(0, |next_ns| next_ns.saturating_sub(now_ns).max(1)),
            interval_ns: self.interval_ns,
        }
    }
}

impl Timer {
    /// A timer that is not armed.
    #[must_use]
    pub fn new(kernel: &Arc<Kernel>, clock: TimerClock, on_expiry: OnExpiry) -> Timer {
        Timer {
            core: Arc::new(Core {
                kernel: Arc::downgrade(kernel),
                clock,
                on_expiry,
                state: Mutex::default(),
            }),
        }
    }

    /// Arms it, or disarms it with a value of 0; how it was set.
    pub fn set(&self, setting: Setting, start: Start) -> Setting {
        let Some((kernel, now_ns)) = self.core.now() else {
            return Setting::default();
        };
        let mut state = self.core.state.lock();
        let before = state.setting(now_ns);
        if let Some(armed) = state.armed.take() {
            kernel.timer_queue.disarm(armed);
        }
        state.interval_ns = setting.interval_ns;
        state.next_ns = match (setting.value_ns, start) {
            (0, _) => None,
            (delay_ns, Start::Relative) => Some(now_ns.saturating_add(delay_ns)),
            (at_ns, Start::Absolute) => Some(at_ns),
        };
        self.core.arm(&kernel, &mut state, now_ns);
        before
    }

    /// How it is set.
    #[must_use]
    pub fn get(&self) -> Setting {
        let Some((_, now_ns)) = self.core.now() else {
            return Setting::default();
        };
        let state = self.core.state.lock();
        if state.interval_ns != 0
            && let Some(next_ns) = state.next_ns.filter(|next_ns| *next_ns <= now_ns)
        {
            // Late, not expired twice: shows the time to the expiry after that.
            let late = (now_ns - next_ns) % state.interval_ns;
            let shown = State {
                next_ns: Some(now_ns + state.interval_ns - late),
                interval_ns: state.interval_ns,
                armed: None,
            };
            return shown.setting(now_ns);
        }
        state.setting(now_ns)
    }

    /// Looks at the clock now rather than when the timer thread does; for timers that are read.
    pub fn check(&self) {
        self.core.clone().expire();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let armed = {
            let mut state = self.core.state.lock();
            state.next_ns = None;
            state.armed.take()
        };
        if let (Some(armed), Some(kernel)) = (armed, self.core.kernel.upgrade()) {
            kernel.timer_queue.disarm(armed);
        }
    }
}

impl Core {
    fn now(&self) -> Option<(Arc<Kernel>, u64)> {
        let kernel = self.kernel.upgrade()?;
        let now_ns = self.clock.now(&kernel)?;
        Some((kernel, now_ns))
    }

    fn arm(self: &Arc<Self>, kernel: &Kernel, state: &mut State, now_ns: u64) {
        if let Some(next_ns) = state.next_ns {
            let myself: Arc<dyn Expire> = self.clone();
            let nap = self.clock.nap(next_ns.saturating_sub(now_ns));
            state.armed = Some(kernel.timer_queue.arm(nap, Arc::downgrade(&myself)));
        }
    }
}

impl Expire for Core {
    fn expire(self: Arc<Self>) {
        let Some((kernel, now_ns)) = self.now() else {
            return;
        };
        let times = {
            let mut state = self.state.lock();
            if let Some(armed) = state.armed.take() {
                kernel.timer_queue.disarm(armed);
            }
            let times = state.expiries(now_ns);
            self.arm(&kernel, &mut state, now_ns);
            times
        };
        if times > 0 {
            (self.on_expiry)(times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_that_passed_are_counted_and_kept_in_step() {
        let mut state = State {
            next_ns: Some(100),
            interval_ns: 10,
            armed: None,
        };
        assert_eq!(state.expiries(99), 0);
        assert_eq!(state.expiries(125), 3);
        assert_eq!(state.next_ns, Some(130));
        assert_eq!(state.setting(126).value_ns, 4);
    }

    #[test]
    fn one_shot_expires_once() {
        let mut state = State {
            next_ns: Some(100),
            interval_ns: 0,
            armed: None,
        };
        assert_eq!(state.expiries(1000), 1);
        assert_eq!(state.expiries(2000), 0);
        assert_eq!(state.setting(2000), Setting::default());
    }
}
