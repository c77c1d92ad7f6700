//! The freezer: `runsc pause` keeps every task out of application code until `runsc resume`.
//!
//! A task that sleeps in a call goes on sleeping, and stops when the call returns. What ends a task
//! ends a frozen one too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::kernel::kernel::Kernel;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};

/// How long tasks may take to leave application code, and how often that is looked at.
const SETTLE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);

/// Whether the kernel's tasks are frozen, and where they wait.
#[derive(Debug, Default)]
pub struct Freezer {
    frozen: AtomicBool,
    thawed: WaitQueue,
}

impl Freezer {
    /// Whether tasks are kept out of application code.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }
}

impl Kernel {
    /// Keeps every task out of application code from now on. Returns once none is in it, or after two
    /// seconds.
    pub fn freeze(&self) {
        self.freezer.frozen.store(true, Ordering::Release);
        for (_, task) in self.root_pid_ns().tasks() {
            task.kick();
        }
        let running = || {
            let tasks = self.root_pid_ns().tasks();
            tasks.iter().any(|(_, task)| task.cpu.is_user())
        };
        let mut waited = Duration::ZERO;
        while running() && waited < SETTLE {
            std::thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    /// Lets tasks run again.
    pub fn thaw(&self) {
        self.freezer.frozen.store(false, Ordering::Release);
        self.freezer.thawed.wake(Events::IN);
    }
}

impl Task {
    /// Before application code runs: waits while the kernel is frozen, but not if the task is to exit.
    pub(crate) fn wait_while_frozen(&self) {
        let freezer = &self.kernel().freezer;
        if freezer.is_frozen() {
            // Interrupted: it is to exit, and its caller looks for that.
            let _ = self
                .wait_unless_exiting(&[&freezer.thawed], || (!freezer.is_frozen()).then_some(()));
        }
    }
}
