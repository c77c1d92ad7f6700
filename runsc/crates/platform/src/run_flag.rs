//! Whether a context runs, and whether it has been interrupted: what every platform's interrupter is
//! made of.

use std::sync::atomic::{AtomicU32, Ordering};

/// For the length of a run.
const RUNNING: u32 = 1;
/// From the interruption until a run has reported it.
const PENDING: u32 = 2;

/// The state that a context shares with its interrupters. Whoever sets the interruption during a run
/// has to make the application stop; outside of one it waits for the next run.
#[derive(Debug, Default)]
pub(crate) struct RunFlag(AtomicU32);

impl RunFlag {
    /// Starts a run, unless an interruption is pending: takes it then.
    pub(crate) fn start(&self) -> bool {
        let exchange = self
            .0
            .compare_exchange(0, RUNNING, Ordering::SeqCst, Ordering::SeqCst);
        if exchange.is_err() {
            self.0.store(0, Ordering::SeqCst);
        }
        exchange.is_ok()
    }

    /// Ends a run that has something else to report; an interruption stays for the next one.
    pub(crate) fn stop(&self) {
        self.0.fetch_and(!RUNNING, Ordering::SeqCst);
    }

    /// Whether the run is to end because of an interruption.
    pub(crate) fn is_pending(&self) -> bool {
        self.0.load(Ordering::SeqCst) & PENDING != 0
    }

    /// Ends the run and takes the interruption, if there is one; else the run goes on.
    pub(crate) fn stop_if_pending(&self) -> bool {
        let pending = self.is_pending();
        if pending {
            self.0.store(0, Ordering::SeqCst);
        }
        pending
    }

    /// Interrupts; whether the caller has to stop the application, since a run is under way that
    /// nobody has interrupted before.
    #[must_use]
    pub(crate) fn interrupt(&self) -> bool {
        self.0.fetch_or(PENDING, Ordering::SeqCst) == RUNNING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interruption_between_runs_is_taken_by_the_next_start() {
        let flag = RunFlag::default();
        assert!(!flag.interrupt());
        assert!(!flag.start());
        assert!(flag.start());
    }

    #[test]
    fn only_the_first_interruption_of_a_run_has_to_stop_it() {
        let flag = RunFlag::default();
        assert!(flag.start());
        assert!(flag.interrupt());
        assert!(!flag.interrupt());
        assert!(flag.stop_if_pending());
        assert!(!flag.stop_if_pending());
    }

    #[test]
    fn interruption_outlives_a_run_that_reports_something_else() {
        let flag = RunFlag::default();
        assert!(flag.start());
        assert!(flag.interrupt());
        flag.stop();
        assert!(!flag.start());
    }
}
