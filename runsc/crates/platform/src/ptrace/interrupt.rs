//! Interrupting a running context: a flag that its next run sees, and a signal that stops the stub
//! thread if it runs now.

use crate::run_flag::RunFlag;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// The signal that stops a stub thread. Its default action is to be ignored: one that comes late,
/// when nobody traces the thread any more, does no harm.
pub(super) const STOP_SIGNAL: i32 = libc::SIGURG;

/// Shared by a context and its interrupters.
#[derive(Debug, Default)]
pub(super) struct Flag {
    /// Runs from before the stub thread is resumed until after it has stopped. Whoever interrupts a
    /// run sends the signal: it either stops the thread, or stays pending and stops it as soon as it
    /// is resumed.
    pub(super) run: RunFlag,
    pid: AtomicI32,
    tid: AtomicI32,
}

impl Flag {
    /// Sets the thread that is to be stopped; the context must not be running.
    pub(super) fn set_thread(&self, pid: i32, tid: i32) {
        self.pid.store(pid, Ordering::Relaxed);
        self.tid.store(tid, Ordering::Relaxed);
    }
}

/// Makes a context of the ptrace platform return from its run.
#[derive(Clone, Debug)]
pub(crate) struct Interrupter(Arc<Flag>);

impl Interrupter {
    pub(super) fn new(flag: &Arc<Flag>) -> Interrupter {
        Interrupter(Arc::clone(flag))
    }

    pub(crate) fn interrupt(&self) {
        if self.0.run.interrupt() {
            let (pid, tid) = (&self.0.pid, &self.0.tid);
            let (pid, tid) = (pid.load(Ordering::Relaxed), tid.load(Ordering::Relaxed));
            // A thread that is gone needs no interruption.
            let _gone = host::ptrace::signal_thread(pid, tid, STOP_SIGNAL);
        }
    }
}
