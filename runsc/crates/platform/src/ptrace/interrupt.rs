//! Interrupting a running context: a flag that its next run sees, and a signal that stops the stub
//! thread if it runs now.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// The signal that stops a stub thread. Its default action is to be ignored: one that comes late,
/// when nobody traces the thread any more, does no harm.
pub(super) const STOP_SIGNAL: i32 = libc::SIGURG;

const RUNNING: u32 = 1;
const PENDING: u32 = 2;

/// Shared by a context and its interrupters.
#[derive(Debug, Default)]
pub(super) struct Flag {
    /// [`RUNNING`] from before the stub thread is resumed until after it has stopped; [`PENDING`]
    /// from the interruption until a run has reported it. Whoever sets `PENDING` while `RUNNING` is
    /// set sends the signal: it either stops the thread, or stays pending and stops it as soon as
    /// it is resumed.
    state: AtomicU32,
    pid: AtomicI32,
    tid: AtomicI32,
}

impl Flag {
    /// Sets the thread that is to be stopped; the context must not be running.
    pub(super) fn set_thread(&self, pid: i32, tid: i32) {
        self.pid.store(pid, Ordering::Relaxed);
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// Starts a run, unless an interruption is pending: takes it then.
    pub(super) fn start(&self) -> bool {
        let exchange = self
            .state
            .compare_exchange(0, RUNNING, Ordering::SeqCst, Ordering::SeqCst);
        if exchange.is_err() {
            self.state.store(0, Ordering::SeqCst);
        }
        exchange.is_ok()
    }

    /// Ends a run that has something else to report; an interruption stays for the next one.
    pub(super) fn stop(&self) {
        self.state.fetch_and(!RUNNING, Ordering::SeqCst);
    }

    /// Ends the run and takes the interruption, if there is one; else the run goes on.
    pub(super) fn stop_if_pending(&self) -> bool {
        let pending = self.state.load(Ordering::SeqCst) & PENDING != 0;
        if pending {
            self.state.store(0, Ordering::SeqCst);
        }
        pending
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
        let before = self.0.state.fetch_or(PENDING, Ordering::SeqCst);
        if before == RUNNING {
            let (pid, tid) = (&self.0.pid, &self.0.tid);
            let (pid, tid) = (pid.load(Ordering::Relaxed), tid.load(Ordering::Relaxed));
            // A thread that is gone needs no interruption.
            let _gone = host::ptrace::signal_thread(pid, tid, STOP_SIGNAL);
        }
    }
}
