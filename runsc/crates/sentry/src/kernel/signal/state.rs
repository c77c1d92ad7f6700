//! What a task, a thread group and a set of handlers remember of signals.
//!
//! Skeleton: the owner of signals fills these in.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::kernel::signal::{Signal, SignalInfo, SignalSet};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;

/// Dispositions: what CLONE_SIGHAND shares.
#[derive(Clone, Debug, Default)]
pub struct Dispositions {}

/// A thread group's share: process-directed signals, stop state.
#[derive(Debug, Default)]
pub struct GroupSignals {}

/// A task's share: mask, thread-directed signals, alternate stack.
#[derive(Debug, Default)]
pub struct TaskSignals {}

/// Sends a thread-directed signal.
pub fn send_to_task(_task: &Arc<Task>, _info: SignalInfo) {
    todo!()
}

/// Sends a process-directed signal.
pub fn send_to_group(_group: &Arc<ThreadGroup>, _info: SignalInfo) {
    todo!()
}

/// A fault of the task itself: delivered even if blocked or ignored (then the default action kills).
pub fn force(_task: &Task, _info: SignalInfo) {
    todo!()
}

/// As [`force`], with what the signal frame tells of the processor's exception: vector and error code.
pub fn force_fault(_task: &Task, _info: SignalInfo, _vector: u64, _error_code: u64) {
    todo!()
}

/// Whether the group told the kernel that it will not wait for children: SIGCHLD ignored, or SA_NOCLDWAIT.
pub fn discards_children(_group: &ThreadGroup) -> bool {
    todo!()
}

/// The signal that stopped the group, if `wait` has not reported it yet; it stays to be reported if `keep`.
pub fn stop_report(_group: &ThreadGroup, _keep: bool) -> Option<Signal> {
    todo!()
}

/// Whether SIGCONT resumed the group and `wait` has not reported it yet.
pub fn continue_report(_group: &ThreadGroup, _keep: bool) -> bool {
    todo!()
}

impl Dispositions {
    /// With every handler reset to the default (CLONE_CLEAR_SIGHAND); what is ignored stays so.
    #[must_use]
    pub fn cleared(&self) -> Dispositions {
        todo!()
    }
}

impl TaskSignals {
    /// What a new task inherits: the mask, and the alternate stack unless it shares the memory.
    #[must_use]
    pub fn fork(&self, _shares_memory: bool) -> TaskSignals {
        todo!()
    }
}

impl Task {
    /// Whether a signal is to be handled, or the task is to stop or exit: sleeps end.
    pub fn is_interrupted(&self) -> bool {
        todo!()
    }

    /// Before going back to the application: handles stops and pending signals, building frames or
    /// exiting, and settles how the call that was interrupted (if any) ends.
    pub fn handle_signals(
        &self,
        _context: &mut platform::Context,
        _interrupted: Option<crate::error::Restart>,
    ) -> Flow {
        todo!()
    }

    /// The mask.
    pub fn signal_mask(&self) -> SignalSet {
        todo!()
    }

    /// Whether `signal` would be ignored now.
    pub fn ignores(&self, _signal: Signal) -> bool {
        todo!()
    }

    /// For `execve`: handlers become default, the alternate stack goes.
    pub fn reset_signals_for_exec(&self) {
        todo!()
    }
}

/// What the run loop does after signals were handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Goes back to the application.
    Continue,
    /// The whole thread group ends.
    Exit(crate::kernel::thread_group::ExitStatus),
}

/// Shared by CLONE_SIGHAND.
pub type SharedDispositions = Arc<Mutex<Dispositions>>;

/// Whether the group is stopped.
pub fn is_stopped(_group: &ThreadGroup) -> bool {
    todo!()
}
