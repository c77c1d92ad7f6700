//! Taking pending signals other than by a handler (`man 2 sigtimedwait`, `man 2 signalfd`).

use abi::Errno;

use crate::error::Result;
use crate::kernel::blocking::{TaskWaker, Unslept};
use crate::kernel::signal::{SignalInfo, SignalSet};
use crate::kernel::task::Task;
use crate::time::Deadline;

impl Task {
    /// Takes the next pending signal that is in `wanted`: of the task first, then of its group.
    pub fn take_signal(&self, wanted: SignalSet) -> Option<SignalInfo> {
        let wanted = wanted.minus(SignalSet::UNBLOCKABLE);
        let mut group = self.group().signals.lock();
        let mut own = self.signals.lock();
        let info = own
            .pending
            .take(wanted)
            .or_else(|| group.pending.take(wanted))?;
        self.recalculate(&group, &own);
        Some(info)
    }

    /// What is pending for the task and its group.
    #[must_use]
    pub fn pending_signals(&self) -> SignalSet {
        let group = self.group().signals.lock();
        let own = self.signals.lock();
        own.pending.set().union(group.pending.set())
    }

    /// Waits for a signal of `wanted` and takes it: EAGAIN after the deadline, EINTR after another signal.
    pub fn wait_for_signal(
        &self,
        wanted: SignalSet,
        deadline: Option<Deadline>,
    ) -> Result<SignalInfo> {
        let wanted = wanted.minus(SignalSet::UNBLOCKABLE);
        self.signals.lock().waiting_for = wanted;
        let waker = TaskWaker::current();
        let slept = self.sleep_until(&waker, deadline, || self.take_signal(wanted));
        // One that came at the very end is not lost.
        let late = slept.is_err().then(|| self.take_signal(wanted)).flatten();
        {
            let group = self.group().signals.lock();
            let mut own = self.signals.lock();
            own.waiting_for = SignalSet::EMPTY;
            self.recalculate(&group, &own);
        }
        match (slept, late) {
            (Ok(info), _) | (Err(_), Some(info)) => Ok(info),
            (Err(Unslept::TimedOut), None) => Err(Errno::EAGAIN),
            (Err(Unslept::Interrupted), None) => Err(Errno::EINTR),
        }
    }
}
