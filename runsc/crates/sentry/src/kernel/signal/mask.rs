//! Blocked signals (`man 2 sigprocmask`), and masks that hold for one call (`man 2 sigsuspend`).

use crate::error::{SysError, SyscallResult};
use crate::kernel::signal::{Action, Signal, SignalSet, send};
use crate::kernel::task::Task;

impl Task {
    /// Changes what the process does about `signal`, if there is something new; what it did before. A signal
    /// that is ignored from now on is no longer pending (`man 2 sigaction`, POSIX).
    pub fn set_signal_action(&self, signal: Signal, new: Option<Action>) -> Action {
        let shared = self.group().shared_dispositions();
        let before = shared.lock().get(signal);
        if let Some(new) = new {
            shared.lock().set(signal, new);
            if new.ignores(signal) {
                let tasks = self.group().tasks();
                let mut group = self.group().signals.lock();
                send::flush(&mut group, &tasks, SignalSet::EMPTY.with(signal));
            }
        }
        before
    }

    /// Changes the mask, on the task's own thread. Signals that it will no longer take go to other threads
    /// of its group.
    pub fn set_signal_mask(&self, mask: SignalSet) {
        let new = mask.minus(SignalSet::UNBLOCKABLE);
        let newly_blocked = {
            let group = self.group().signals.lock();
            let mut own = self.signals.lock();
            let newly_blocked = new.minus(own.mask);
            own.mask = new;
            self.recalculate(&group, &own);
            group.pending.set().and(newly_blocked)
        };
        if !newly_blocked.is_empty() {
            send::retarget(self, newly_blocked);
        }
    }

    /// Runs `call` with `mask`, if there is one. If a signal interrupts it, the old mask comes back only
    /// after the handler, which sees it in its frame (`man 2 ppoll`).
    pub fn with_signal_mask(
        &self,
        mask: Option<SignalSet>,
        call: impl FnOnce() -> SyscallResult,
    ) -> SyscallResult {
        let Some(mask) = mask else {
            return call();
        };
        self.set_temporary_mask(mask);
        let result = call();
        let interrupted = matches!(
            result,
            Err(SysError::Restart(_) | SysError::Errno(abi::Errno::EINTR))
        );
        if !interrupted {
            self.restore_saved_mask();
        }
        result
    }

    /// Sets a mask that ends at the next return to the application, or when a handler returns.
    pub fn set_temporary_mask(&self, mask: SignalSet) {
        {
            let mut own = self.signals.lock();
            let old = own.mask;
            own.saved_mask.get_or_insert(old);
        }
        self.set_signal_mask(mask);
    }

    /// Ends a temporary mask, if there is one.
    pub(super) fn restore_saved_mask(&self) {
        let saved = self.signals.lock().saved_mask.take();
        if let Some(saved) = saved {
            self.set_signal_mask(saved);
        }
    }
}
