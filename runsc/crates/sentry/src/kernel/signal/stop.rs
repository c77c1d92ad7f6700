//! Stops: how a group stops and goes on, and what its parent hears of it (`man 7 signal`, *Execution of
//! stop signals*; `man 2 wait`, WUNTRACED and WCONTINUED).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::signal::SaFlags;

use crate::kernel::signal::info::{Detail, code};
use crate::kernel::signal::send::{StopNotice, send_to_group};
use crate::kernel::signal::{Handler, Signal, SignalInfo};
use crate::kernel::task::{RunState, Task};
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::Events;

/// Whether a group is stopped, and what its parent has not been told yet.
#[derive(Debug, Default)]
pub struct StopState {
    /// The signal that stops the group, from the moment that its first task takes it.
    requested: Option<Signal>,
    /// Every task has stopped.
    complete: bool,
    /// For WUNTRACED.
    report: Option<Signal>,
    /// For WCONTINUED.
    continued: bool,
    /// Counts what ends stops, so that one that was on its way when SIGCONT came does not happen.
    generation: u64,
}

impl StopState {
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.is_some()
    }

    /// The signal that stops the group.
    pub(crate) fn requested(&self) -> Option<Signal> {
        self.requested
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// SIGCONT was sent.
    pub(super) fn resume(&mut self) -> Option<StopNotice> {
        let was_complete = self.requested.is_some() && self.complete;
        self.end();
        self.continued |= was_complete;
        was_complete.then_some(StopNotice::Continued)
    }

    /// The group is being killed.
    pub(super) fn kill(&mut self) {
        self.end();
        self.continued = false;
    }

    fn end(&mut self) {
        self.requested = None;
        self.complete = false;
        self.report = None;
        self.generation = self.generation.wrapping_add(1);
    }

    /// A task takes a stopping signal; `generation` is what it was when the signal was dequeued.
    fn request(&mut self, signal: Signal, generation: u64) -> bool {
        if self.generation != generation {
            return false;
        }
        self.requested.get_or_insert(signal);
        self.continued = false;
        true
    }

    /// Whether a stop was asked for that not every task has joined.
    pub(super) fn is_under_way(&self) -> bool {
        self.requested.is_some() && !self.complete
    }

    /// The stop is complete once every task of the group has joined it or is leaving.
    pub(super) fn complete_if_all(&mut self, tasks: &[Arc<Task>]) -> Option<StopNotice> {
        let signal = self.requested.filter(|_| !self.complete)?;
        let mut any = false;
        for task in tasks {
            let own = task.signals.lock();
            if !own.stopped && !own.exiting {
                return None;
            }
            any |= own.stopped;
        }
        if !any {
            return None;
        }
        self.complete = true;
        self.report = Some(signal);
        Some(StopNotice::Stopped(signal))
    }
}

/// Whether the group told the kernel that it will not wait for children: SIGCHLD ignored, or `SA_NOCLDWAIT`.
#[must_use]
pub fn discards_children(group: &ThreadGroup) -> bool {
    let action = group.action(Signal::SIGCHLD);
    action.handler == Handler::Ignore || action.flags.contains(SaFlags::NOCLDWAIT)
}

/// For WUNTRACED: the signal that stopped the group, once after each stop; it stays to be reported if
/// `keep` (WNOWAIT).
#[must_use]
pub fn stop_report(group: &ThreadGroup, keep: bool) -> Option<Signal> {
    let mut state = group.signals.lock();
    let report = state.stop.report;
    if !keep {
        state.stop.report = None;
    }
    report
}

/// For WCONTINUED: whether the group was continued, once after each continuation unless `keep`.
#[must_use]
pub fn continue_report(group: &ThreadGroup, keep: bool) -> bool {
    let mut state = group.signals.lock();
    let report = state.stop.continued;
    state.stop.continued &= keep;
    report
}

/// Whether every task of the group is stopped by a signal.
#[must_use]
pub fn is_stopped(group: &ThreadGroup) -> bool {
    group.signals.lock().stop.complete
}

impl Task {
    /// Starts a stop of the group by `signal`, unless SIGCONT has come since it was dequeued.
    pub(super) fn begin_stop(&self, signal: Signal, generation: u64) {
        let tasks = self.group().tasks();
        let mut state = self.group().signals.lock();
        if !state.stop.request(signal, generation) {
            return;
        }
        for task in tasks
            .iter()
            .filter(|task| !std::ptr::eq(task.as_ref(), self))
        {
            task.signal_pending.store(true, Ordering::Release);
            task.kick();
        }
    }

    /// Joins the group's stop, if there is one, and tells the parent if it was the last to.
    pub(crate) fn join_stop(&self) -> bool {
        let tasks = self.group().tasks();
        let notice = {
            let mut state = self.group().signals.lock();
            if !state.stop.is_requested() {
                return false;
            }
            self.signals.lock().stopped = true;
            *self.state.lock() = RunState::Stopped;
            state.stop.complete_if_all(&tasks)
        };
        if let Some(notice) = notice {
            notify_parent(self.group(), notice);
        }
        true
    }

    /// Joins the group's stop and sleeps until it ends.
    pub(super) fn stop_here(&self) {
        if !self.join_stop() {
            return;
        }
        // A tracer that comes now wants it to stop for itself.
        while !self.is_exiting()
            && !self.is_traced()
            && self.group().signals.lock().stop.is_requested()
        {
            self.nap(None);
        }
        self.signals.lock().stopped = false;
        *self.state.lock() = RunState::Running;
    }
}

/// Wakes the parent's waits, and sends it SIGCHLD unless it said `SA_NOCLDSTOP`.
pub(super) fn notify_parent(group: &Arc<ThreadGroup>, notice: StopNotice) {
    let (Some(parent), Some(leader)) = (group.parent(), group.leader()) else {
        return;
    };
    // A parent that traces the process has heard of the stop of its leader.
    if leader
        .tracer()
        .is_some_and(|tracer| Arc::ptr_eq(tracer.group(), &parent))
    {
        return;
    }
    let action = parent.action(Signal::SIGCHLD);
    if action.handler != Handler::Ignore && !action.flags.contains(SaFlags::NOCLDSTOP) {
        let (code, signal) = match notice {
            StopNotice::Stopped(signal) => (code::CLD_STOPPED, signal),
            StopNotice::Continued => (code::CLD_CONTINUED, Signal::SIGCONT),
        };
        let pid = parent
            .leader()
            .map_or(0, |parent| leader.tid_in(&parent.pid_namespace()));
        let detail = Detail::Child {
            pid,
            uid: leader.credentials().uid,
            status: i32::from(signal.number()),
            utime: 0,
            stime: 0,
        };
        let info = SignalInfo {
            signal: Signal::SIGCHLD,
            errno: 0,
            code,
            detail,
        };
        send_to_group(&parent, info);
    }
    parent.child_events.wake(Events::IN);
}
