//! `RLIMIT_CPU` (`man 2 getrlimit`): SIGXCPU at the soft limit and every second from then on, SIGKILL at the
//! hard one.

use std::sync::Arc;

use locks::Mutex;

use crate::kernel::limits::{INFINITY, Resource};
use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::timers::timer::{Setting, Start, Timer, TimerClock};
use crate::time::NANOS_PER_SEC;
use crate::time::clock_id::CpuPart;

/// The watch over a group's limit, if it has one.
#[derive(Debug, Default)]
pub struct CpuLimit {
    timer: Mutex<Option<Timer>>,
}

impl CpuLimit {
    pub(super) fn clear(&self) {
        let timer = self.timer.lock().take();
        drop(timer);
    }
}

/// To be called when `RLIMIT_CPU` of `group` has changed, and for a new group that inherits one.
pub fn watch(group: &Arc<ThreadGroup>) {
    let limit = group.limits().get(Resource::Cpu);
    let mut slot = group.timers.cpu_limit.timer.lock();
    if limit.soft == INFINITY {
        let old = slot.take();
        drop(slot);
        drop(old);
        return;
    }
    let timer = slot.get_or_insert_with(|| make(group));
    // A limit of 0 counts as one second.
    let value_ns = limit.soft.max(1).saturating_mul(NANOS_PER_SEC);
    let setting = Setting {
        value_ns,
        interval_ns: NANOS_PER_SEC,
    };
    timer.set(setting, Start::Absolute);
}

fn make(group: &Arc<ThreadGroup>) -> Timer {
    let weak = Arc::downgrade(group);
    let clock = TimerClock::Process(weak.clone(), CpuPart::All);
    let on_expiry = move |_| {
        if let Some(group) = weak.upgrade() {
            let (user_ns, system_ns) = group.cpu_time();
            let hard = group.limits().get(Resource::Cpu).hard;
            let over = user_ns + system_ns >= hard.max(1).saturating_mul(NANOS_PER_SEC);
            let signal = if over {
                Signal::SIGKILL
            } else {
                Signal::SIGXCPU
            };
            send::send_to_group(&group, SignalInfo::kernel(signal));
        }
    };
    Timer::new(group.kernel(), clock, Box::new(on_expiry))
}
