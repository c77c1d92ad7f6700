//! What a task, a thread group and a set of handlers remember of signals.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::kernel::signal::alt_stack::AltStack;
use crate::kernel::signal::frame::SavedExtended;
use crate::kernel::signal::queue::{Entry, Queue};
use crate::kernel::signal::stop::StopState;
use crate::kernel::signal::{Action, Signal, SignalInfo, SignalSet};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::WaitQueue;

pub use crate::kernel::signal::action::Dispositions;
pub use crate::kernel::signal::deliver::Flow;
pub use crate::kernel::signal::send::{force, force_fault, send_to_group, send_to_task};
pub use crate::kernel::signal::stop::{
    continue_report, discards_children, is_stopped, stop_report,
};

/// Shared by `CLONE_SIGHAND`.
pub type SharedDispositions = Arc<Mutex<Dispositions>>;

/// A thread group's share: process-directed signals, stop state.
#[derive(Debug, Default)]
pub struct GroupSignals {
    pub(super) pending: Queue,
    pub(crate) stop: StopState,
    /// The init of a namespace loses its protection once a fault of its own is to kill it.
    pub(super) killable_init: bool,
    /// Woken when a signal arrives for the group or one of its tasks (signalfd).
    pub(super) arrivals: WaitQueue,
}

/// A task's share: mask, thread-directed signals, alternate stack.
#[derive(Debug, Default)]
pub struct TaskSignals {
    pub(super) mask: SignalSet,
    /// The mask to go back to after `sigsuspend`, `ppoll` and the like.
    pub(super) saved_mask: Option<SignalSet>,
    /// What `sigtimedwait` waits for, blocked or not.
    pub(super) waiting_for: SignalSet,
    pub(super) pending: Queue,
    pub(super) alt_stack: AltStack,
    /// It has joined a group stop.
    pub(super) stopped: bool,
    /// It takes no more signals.
    pub(super) exiting: bool,
    pub(super) trap: Trap,
    /// What `rt_sigreturn` found for the extended registers, to be loaded before the application runs.
    pub(super) extended: Option<SavedExtended>,
}

/// The processor's account of the last fault, for the frames of handlers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trap {
    /// The exception's vector.
    pub vector: u64,
    /// The processor's error code.
    pub error_code: u64,
    /// The address of the last page fault.
    pub address: u64,
}

impl TaskSignals {
    /// What a new task inherits: the mask, and the alternate stack unless it shares the memory without
    /// being a vfork child (`man 2 sigaltstack`). Nothing is pending.
    #[must_use]
    pub fn fork(&self, shares_memory: bool) -> TaskSignals {
        TaskSignals {
            mask: self.saved_mask.unwrap_or(self.mask),
            alt_stack: if shares_memory {
                AltStack::default()
            } else {
                self.alt_stack
            },
            ..TaskSignals::default()
        }
    }

    /// Sets whether it has joined a stop of its group.
    pub(crate) fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Sets the mask for a tracer.
    pub(crate) fn set_mask(&mut self, mask: SignalSet) {
        self.mask = mask;
    }

    /// A new tracee that was not seized stops for its tracer at once.
    pub(crate) fn add_stop_for_tracer(&mut self) {
        let stop = SignalInfo::user(Signal::SIGSTOP, 0, 0);
        if self.pending.accepts(Signal::SIGSTOP) {
            self.pending.push(Entry::new(stop, None, None));
        }
    }

    /// The signals that would be taken if they were pending.
    pub(super) fn wanted(&self) -> SignalSet {
        SignalSet(!self.mask.0).union(self.waiting_for)
    }
}

impl GroupSignals {
    /// About how many bytes its pending signals take.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.pending.held_bytes()
    }
}

impl TaskSignals {
    /// About how many bytes its pending signals take.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.pending.held_bytes()
    }
}

impl Task {
    /// Whether a signal is to be handled, or the task is to stop or exit: sleeps end.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.signal_pending.load(Ordering::Acquire) || self.is_exiting()
    }

    /// The mask.
    #[must_use]
    pub fn signal_mask(&self) -> SignalSet {
        self.signals.lock().mask
    }

    /// Whether `signal` would be ignored now.
    #[must_use]
    pub fn ignores(&self, signal: Signal) -> bool {
        self.group().action(signal).ignores(signal)
    }

    /// For `execve`: handlers become default, the alternate stack goes. Dispositions that were shared
    /// with another group are no longer.
    pub fn reset_signals_for_exec(&self) {
        let group = self.group();
        let mut shared = group.dispositions.lock();
        let own = shared.lock().cleared();
        *shared = Arc::new(Mutex::new(own));
        drop(shared);
        let mut signals = self.signals.lock();
        signals.alt_stack = AltStack::default();
        signals.trap = Trap::default();
        signals.extended = None;
    }

    /// Sets whether sleeps are to end and [`Task::handle_signals`] has something to do. On the task's own
    /// thread, or under its group's signals lock.
    pub(super) fn recalculate(&self, group: &GroupSignals, own: &TaskSignals) {
        let pending = own.pending.set().union(group.pending.set());
        let interrupted = !pending.and(own.wanted()).is_empty()
            || self.is_to_stop(group)
            || own.extended.is_some();
        self.signal_pending.store(interrupted, Ordering::Release);
    }

    /// Sets anew whether there is something to handle: signals may have come while it was stopped for its
    /// tracer, and what ended its sleep may be gone. On the task's own thread.
    pub(crate) fn look_at_signals(&self) {
        let group = self.group().signals.lock();
        let own = self.signals.lock();
        self.recalculate(&group, &own);
    }

    /// Whether it is to join a stop of its group, or to stop for its tracer.
    pub(super) fn is_to_stop(&self, group: &GroupSignals) -> bool {
        let requested = group.stop.is_requested();
        if !self.is_traced() {
            return requested;
        }
        let seen = self.trace_stop_seen();
        self.is_trap_requested() || requested && seen != Some(group.stop.generation())
    }
}

impl ThreadGroup {
    /// What the group does about `signal`.
    #[must_use]
    pub fn action(&self, signal: Signal) -> Action {
        self.shared_dispositions().lock().get(signal)
    }

    /// The dispositions, perhaps shared with other groups.
    #[must_use]
    pub fn shared_dispositions(&self) -> SharedDispositions {
        self.dispositions.lock().clone()
    }

    /// Woken when a signal arrives for the group or one of its tasks.
    #[must_use]
    pub fn signal_arrivals(&self) -> WaitQueue {
        self.signals.lock().arrivals.clone()
    }

    /// Whether it is the init of its pid namespace, which ignores what it has no handler for
    /// (`man 7 pid_namespaces`).
    #[must_use]
    pub fn is_init(&self) -> bool {
        self.pid() == 1
    }
}
