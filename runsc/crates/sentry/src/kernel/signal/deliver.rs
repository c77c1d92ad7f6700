//! Delivery: what happens to signals before a task goes back to the application.

use platform::{Context, ThreadState};

use abi::Errno;
use abi::PAGE_SIZE;
use abi::raw::general::__NR_restart_syscall;
use abi::signal::SaFlags;

use crate::error::Restart;
use crate::kernel::job_control;
use crate::kernel::limits::Resource;
use crate::kernel::ptrace::{Mode, stop::Delivery};
use crate::kernel::signal::action::DefaultAction;
use crate::kernel::signal::{Action, Handler, Signal, SignalInfo, SignalSet, frame, send};
use crate::kernel::task::Task;
use crate::kernel::thread_group::{ExitStatus, ThreadGroup};
use crate::strace;

/// Bytes of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;

/// What the run loop does after signals were handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Goes back to the application with the registers as they are.
    Continue,
    /// Ends the group: a signal killed it.
    Exit(ExitStatus),
}

enum Step {
    Nothing,
    Stop,
    Signal { info: SignalInfo, generation: u64 },
}

impl Task {
    /// Before going back to the application: handles stops and pending signals, building frames or
    /// ending the group, and settles how the call that was interrupted (if any) goes on.
    ///
    /// To be called on the task's own thread, whenever [`Task::is_interrupted`] or the call's outcome was
    /// a restart; the registers are in `registers`, with `orig_rax` the call's number, or `u64::MAX`
    /// outside a call.
    pub fn handle_signals(&self, context: &mut Context, interrupted: Option<Restart>) -> Flow {
        let mut restart = interrupted;
        loop {
            if self.is_exiting() {
                // The run loop looks for itself.
                return Flow::Continue;
            }
            self.load_extended(context);
            match self.next_step() {
                Step::Stop if self.is_traced() => self.trap_for_stop(context, &mut restart),
                Step::Stop => self.stop_here(),
                Step::Signal { info, generation } => {
                    if let Some(status) = self.act_on(context, info, generation, &mut restart) {
                        return Flow::Exit(status);
                    }
                }
                Step::Nothing => {
                    self.restart_without_handler(restart.take());
                    self.restore_saved_mask();
                    if !self.is_interrupted() {
                        return Flow::Continue;
                    }
                }
            }
        }
    }

    fn next_step(&self) -> Step {
        let mut group = self.group().signals.lock();
        let mut own = self.signals.lock();
        if self.is_to_stop(&group) {
            return Step::Stop;
        }
        let unblocked = SignalSet(!own.mask.0);
        let taken = own.pending.take(unblocked);
        let taken = taken.or_else(|| group.pending.take(unblocked));
        self.recalculate(&group, &own);
        taken.map_or(Step::Nothing, |info| Step::Signal {
            info,
            generation: group.stop.generation(),
        })
    }

    /// Does what the disposition of the signal says. Some: it ends the group.
    fn act_on(
        &self,
        context: &mut Context,
        info: SignalInfo,
        generation: u64,
        restart: &mut Option<Restart>,
    ) -> Option<ExitStatus> {
        let Delivery::Deliver(info) = self.trap_for_signal(context, info, restart) else {
            return None;
        };
        if self.is_exiting() {
            return None;
        }
        strace::signal(self, &info);
        let signal = info.signal;
        let action = self.group().use_action(signal);
        match action.handler {
            Handler::Ignore => None,
            Handler::At(_) => {
                self.run_handler(context, &action, &info, restart.take());
                if self.trace_mode() == Mode::Step {
                    self.trap_after_step(context);
                }
                None
            }
            Handler::Default => self.default_action(signal, generation),
        }
    }

    fn default_action(&self, signal: Signal, generation: u64) -> Option<ExitStatus> {
        let action = signal.default_action();
        if matches!(action, DefaultAction::Ignore | DefaultAction::Continue) {
            return None;
        }
        let protected = self.group().is_init() && !self.group().signals.lock().killable_init;
        if protected && !SignalSet::UNBLOCKABLE.has(signal) {
            return None;
        }
        if action == DefaultAction::Stop {
            let orphaned = || {
                let process_group = self.group().process_group();
                process_group.is_none_or(|group| job_control::is_orphaned(&group, None))
            };
            if signal == Signal::SIGSTOP || !orphaned() {
                self.begin_stop(signal, generation);
            }
            return None;
        }
        let core = action == DefaultAction::Core && self.group().dumps_core();
        Some(ExitStatus::Killed { signal, core })
    }

    fn run_handler(
        &self,
        context: &mut Context,
        action: &Action,
        info: &SignalInfo,
        restart: Option<Restart>,
    ) {
        let mut registers = *self.registers.lock();
        if let Some(restart) = restart {
            settle_with_handler(&mut registers, restart, action);
        }
        let saved = {
            let mut own = self.signals.lock();
            let mask = own.mask;
            own.saved_mask.take().unwrap_or(mask)
        };
        let built = frame::build(self, context, &mut registers, action, info, saved);
        if built.is_err() {
            *self.registers.lock() = registers;
            self.bad_frame(info.signal);
            return;
        }
        *self.registers.lock() = registers;
        let mut mask = self.signal_mask().union(action.mask);
        if !action.flags.contains(SaFlags::NODEFER) {
            mask = mask.with(info.signal);
        }
        self.set_signal_mask(mask);
    }

    /// A frame could not be written or read: SIGSEGV, whose handler would hardly fare better if it was
    /// SIGSEGV's own.
    pub(super) fn bad_frame(&self, signal: Signal) {
        if signal == Signal::SIGSEGV {
            send::force_fatal(self, Signal::SIGSEGV);
        } else {
            send::force(self, SignalInfo::kernel(Signal::SIGSEGV));
        }
    }

    fn restart_without_handler(&self, restart: Option<Restart>) {
        let Some(restart) = restart else {
            return;
        };
        let mut registers = self.registers.lock();
        registers.rip = registers.rip.wrapping_sub(SYSCALL_LEN);
        registers.rax = match restart {
            Restart::Block => u64::from(__NR_restart_syscall),
            Restart::Sys | Restart::Always | Restart::NoHandler => registers.orig_rax,
        };
    }

    /// Loads what `rt_sigreturn` found for the extended registers.
    fn load_extended(&self, context: &mut Context) {
        let saved = self.signals.lock().extended.take();
        if let Some(saved) = saved
            && frame::load(context, &saved).is_err()
        {
            self.bad_frame(Signal::SIGSEGV);
        }
    }
}

/// `man 7 signal`, *Interruption of system calls and library functions by signal handlers*.
fn settle_with_handler(registers: &mut ThreadState, restart: Restart, action: &Action) {
    let again = match restart {
        Restart::Always => true,
        Restart::Sys => action.flags.contains(SaFlags::RESTART),
        Restart::NoHandler | Restart::Block => false,
    };
    if again {
        registers.rip = registers.rip.wrapping_sub(SYSCALL_LEN);
        registers.rax = registers.orig_rax;
    } else {
        registers.rax = i64::from(-Errno::EINTR.raw()).cast_unsigned();
    }
}

impl ThreadGroup {
    /// What is to be done about a signal now; a `SA_RESETHAND` handler is used up by it.
    fn use_action(&self, signal: Signal) -> Action {
        let shared = self.shared_dispositions();
        let mut dispositions = shared.lock();
        let action = dispositions.get(signal);
        if matches!(action.handler, Handler::At(_)) && action.flags.contains(SaFlags::RESETHAND) {
            let handler = Handler::Default;
            dispositions.set(signal, Action { handler, ..action });
        }
        action
    }

    /// Whether the wait status says that core was dumped. Linux sets the flag if it wrote a file, which
    /// `RLIMIT_CORE` below a page forbids (`man 5 core`).
    #[must_use]
    pub fn dumps_core(&self) -> bool {
        self.limits().get(Resource::Core).soft >= PAGE_SIZE as u64
    }
}
