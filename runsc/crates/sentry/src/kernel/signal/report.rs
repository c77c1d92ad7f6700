//! What proc shows of a task's signals.

use crate::kernel::signal::action::Handler;
use crate::kernel::signal::{Signal, SignalSet};
use crate::kernel::task::Task;

/// The sets of `/proc/[pid]/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalReport {
    /// Pending for the thread.
    pub pending: SignalSet,
    /// Pending for the process.
    pub shared_pending: SignalSet,
    /// Blocked.
    pub blocked: SignalSet,
    /// Ignored.
    pub ignored: SignalSet,
    /// Caught by a handler.
    pub caught: SignalSet,
}

impl Task {
    /// The sets as they are now.
    #[must_use]
    pub fn signal_report(&self) -> SignalReport {
        let mut report = SignalReport::default();
        {
            let group = self.group().signals.lock();
            let own = self.signals.lock();
            report.pending = own.pending.set();
            report.shared_pending = group.pending.set();
            report.blocked = own.mask;
        }
        let shared = self.group().shared_dispositions();
        let dispositions = shared.lock();
        for signal in (1..=u64::from(Signal::MAX)).filter_map(Signal::new) {
            match dispositions.get(signal).handler {
                Handler::Default => {}
                Handler::Ignore => report.ignored = report.ignored.with(signal),
                Handler::At(_) => report.caught = report.caught.with(signal),
            }
        }
        report
    }
}
