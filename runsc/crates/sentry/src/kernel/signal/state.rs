//! What a task, a thread group and a set of handlers remember of signals.
//!
//! Skeleton: the owner of signals fills these in.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::SysError;
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

impl Task {
    /// Whether a signal is to be handled, or the task is to stop or exit: sleeps end.
    pub fn is_interrupted(&self) -> bool {
        todo!()
    }

    /// Before going back to the application: handles stops and pending signals, building frames or
    /// exiting, and settles how the call that was interrupted (if any) ends.
    pub fn handle_signals(&self, _interrupted: Option<SysError>) {
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

/// Shared by CLONE_SIGHAND.
pub type SharedDispositions = Arc<Mutex<Dispositions>>;
