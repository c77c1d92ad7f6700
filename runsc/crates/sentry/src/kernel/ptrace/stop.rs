//! The tracee's side: stopping for its tracer. All of this runs on the tracee's own thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::signal::SaFlags;
use platform::Context;

use super::{Event, Options, Stop, StopKind};
use crate::error::Restart;
use crate::kernel::signal::info::{Detail, code};
use crate::kernel::signal::{Handler, Signal, SignalInfo, SignalSet, send};
use crate::kernel::task::{RunState, Task};
use crate::kernel::thread_group::ExitStatus;
use crate::kernel::wait_queue::Events;

/// What the tracer wants done with a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery {
    /// Nothing.
    Suppress,
    /// This one.
    Deliver(SignalInfo),
}

/// `PTRACE_GETEVENTMSG` at the stops of a call.
const MESSAGE_ENTRY: u64 = 1;
const MESSAGE_EXIT: u64 = 2;

impl Task {
    /// Stops until the tracer lets it go on. The signal that the tracer gave, 0 for none.
    fn trap(&self, context: &mut Context, stop: Stop, message: u64) -> u8 {
        let extended = context.extended().ok().cloned();
        {
            let mut slot = self.tracing.lock();
            let Some(tracing) = slot.as_mut().filter(|tracing| !tracing.detached) else {
                return 0;
            };
            tracing.stop = Some(stop);
            tracing.reported = false;
            tracing.resume = None;
            tracing.listening = false;
            tracing.extended = extended;
            tracing.extended_changed = false;
            tracing.message = message;
            *self.state.lock() = RunState::Traced;
        }
        self.tell_tracer(&stop);
        let signal = self.sleep_traced(stop.kind);
        *self.state.lock() = RunState::Running;
        self.leave_trap(context);
        self.look_at_signals();
        signal
    }

    fn sleep_traced(&self, kind: StopKind) -> u8 {
        loop {
            let in_group_stop = self.group().signals.lock().stop.is_requested();
            let mut again = None;
            {
                let mut slot = self.tracing.lock();
                let Some(tracing) = slot.as_mut() else {
                    return 0;
                };
                if let Some(signal) = tracing.resume.take() {
                    return signal;
                }
                let Some(stop) = &mut tracing.stop else {
                    // Another tracer has taken over.
                    return 0;
                };
                if tracing.listening && (!in_group_stop || tracing.trap_requested) {
                    tracing.listening = false;
                    tracing.trap_requested = false;
                    tracing.reported = false;
                    *stop = event_stop(Signal::SIGTRAP);
                    *self.state.lock() = RunState::Traced;
                    again = Some(*stop);
                }
            }
            if let Some(stop) = again {
                self.tell_tracer(&stop);
            }
            // Before its exit, a task stops although it is on its way out; not so if it is killed.
            let ends = if kind == StopKind::Event(Event::Exit) {
                self.is_killed()
            } else {
                self.is_exiting()
            };
            if ends {
                return 0;
            }
            self.nap(None);
        }
    }

    fn leave_trap(&self, context: &mut Context) {
        let mut slot = self.tracing.lock();
        let Some(tracing) = slot.as_mut() else {
            return;
        };
        tracing.stop = None;
        tracing.resume = None;
        let extended = tracing.extended.take();
        let changed = std::mem::take(&mut tracing.extended_changed);
        if tracing.detached {
            *slot = None;
        }
        drop(slot);
        if let Some(extended) = extended.filter(|_| changed)
            && let Ok(current) = context.extended()
        {
            *current = extended;
        }
    }

    fn is_killed(&self) -> bool {
        let links = self.group().links.lock();
        links.execing
            || matches!(
                links.exiting,
                Some(ExitStatus::Killed {
                    signal: Signal::SIGKILL,
                    ..
                })
            )
    }

    /// As [`Task::trap`] within a system call, where the context is in its slot.
    fn trap_in_call(&self, stop: Stop, message: u64) -> u8 {
        let Some(mut context) = self.context.lock().take() else {
            return 0;
        };
        let signal = self.trap(&mut context, stop, message);
        *self.context.lock() = Some(context);
        signal
    }

    /// Wakes the tracer's waits, and sends it SIGCHLD unless it said `SA_NOCLDSTOP`.
    fn tell_tracer(&self, stop: &Stop) {
        let Some(tracer) = self.tracer() else {
            return;
        };
        let code = match stop.kind {
            StopKind::Group => code::CLD_STOPPED,
            _ => code::CLD_TRAPPED,
        };
        notify(self, &tracer, code, i32::from(low_byte(stop.code) & 0x7f));
    }

    /// A signal is about to be handled: the tracer sees it first and may change it.
    pub(crate) fn trap_for_signal(
        &self,
        context: &mut Context,
        info: SignalInfo,
        restart: &mut Option<Restart>,
    ) -> Delivery {
        if !self.is_traced() || info.signal == Signal::SIGKILL {
            return Delivery::Deliver(info);
        }
        let shown = self.show_restart(*restart);
        let stop = Stop {
            code: info.signal.number().into(),
            kind: StopKind::Signal,
            info: Some(info),
        };
        let (chosen, kept) = {
            let chosen = self.trap_keeping_info(context, stop);
            (chosen.0, chosen.1.unwrap_or(info))
        };
        self.settle_restart(restart, shown);
        let Some(signal) = Signal::new(chosen.into()) else {
            return Delivery::Suppress;
        };
        let info = if signal == kept.signal {
            kept
        } else {
            self.info_from_tracer(signal)
        };
        if self.signal_mask().has(signal) {
            self.requeue(info);
            return Delivery::Suppress;
        }
        Delivery::Deliver(info)
    }

    /// As [`Task::trap`]; also what `PTRACE_SETSIGINFO` left.
    fn trap_keeping_info(&self, context: &mut Context, stop: Stop) -> (u8, Option<SignalInfo>) {
        self.trace_info.lock().take();
        let signal = self.trap(context, stop, 0);
        (signal, self.trace_info.lock().take())
    }

    /// A signal that the tracer chose instead of the one that was there.
    fn info_from_tracer(&self, signal: Signal) -> SignalInfo {
        let sender = self.tracer().or_else(|| self.group().parent()?.leader());
        let namespace = self.pid_namespace();
        let (pid, uid) = sender.map_or((0, 0), |sender| {
            (sender.group().pid_in(&namespace), sender.credentials().uid)
        });
        SignalInfo::user(signal, pid, uid)
    }

    /// Joins a stop of the group, or one that the tracer asked for.
    pub(crate) fn trap_for_stop(&self, context: &mut Context, restart: &mut Option<Restart>) {
        let (requested, generation) = {
            let group = self.group().signals.lock();
            (group.stop.requested(), group.stop.generation())
        };
        let stop = {
            let mut slot = self.tracing.lock();
            let Some(tracing) = slot.as_mut() else {
                return;
            };
            tracing.trap_requested = false;
            tracing.trapped_for = requested.map(|_| generation);
            match (tracing.seized, requested) {
                (true, signal) => event_stop(signal.unwrap_or(Signal::SIGTRAP)),
                (false, Some(signal)) => Stop {
                    code: signal.number().into(),
                    kind: StopKind::Group,
                    info: None,
                },
                (false, None) => return,
            }
        };
        let shown = self.show_restart(*restart);
        if requested.is_some() {
            self.join_stop();
        }
        self.trap(context, stop, 0);
        self.signals.lock().set_stopped(false);
        self.settle_restart(restart, shown);
    }

    /// SIGCONT was sent: a seized task stops once more, to tell its tracer (`man 2 ptrace`, *Group-stop*).
    pub(crate) fn note_continuation(&self) {
        if let Some(tracing) = self
            .tracing
            .lock()
            .as_mut()
            .filter(|tracing| tracing.seized)
        {
            tracing.trap_requested = true;
            self.signal_pending.store(true, Ordering::Release);
        }
    }

    /// While a call is to be restarted, a tracer sees the kernel's own error number in `rax`.
    fn show_restart(&self, restart: Option<Restart>) -> Option<u64> {
        let value = restart_value(restart?);
        self.registers.lock().rax = value;
        Some(value)
    }

    /// A tracer that has changed `rax`, or said that there is no call, has undone the restart.
    fn settle_restart(&self, restart: &mut Option<Restart>, shown: Option<u64>) {
        let Some(shown) = shown else {
            return;
        };
        let registers = self.registers.lock();
        if registers.rax != shown || registers.orig_rax.cast_signed() < 0 {
            *restart = None;
        }
    }

    /// Stops before a call is made.
    pub(crate) fn trap_at_entry(&self) {
        self.trap_at_call(StopKind::SyscallEntry, MESSAGE_ENTRY);
    }

    /// Stops after a call was made; `restart` is how it goes on if it was interrupted.
    pub(crate) fn trap_at_exit(&self, restart: &mut Option<Restart>) {
        let shown = self.show_restart(*restart);
        self.trap_at_call(StopKind::SyscallExit, MESSAGE_EXIT);
        self.settle_restart(restart, shown);
    }

    fn trap_at_call(&self, kind: StopKind, message: u64) {
        let sysgood = self
            .tracing
            .lock()
            .as_ref()
            .is_some_and(|tracing| tracing.options.contains(Options::SYSGOOD));
        let code = u32::from(Signal::SIGTRAP.number()) | if sysgood { 0x80 } else { 0 };
        let info = SignalInfo {
            code: code.cast_signed(),
            ..self.own_info(Signal::SIGTRAP)
        };
        let stop = Stop {
            code,
            kind,
            info: Some(info),
        };
        let signal = self.trap_in_call(stop, message);
        // A signal given here is as if the tracer had sent it.
        if let Some(signal) = Signal::new(signal.into()) {
            self.requeue(self.info_from_tracer(signal));
        }
    }

    /// Stops for an event, if the tracer asked for it; whether it did.
    pub(crate) fn trap_for_event(&self, event: Event, message: u64) -> bool {
        if !self.traces(event) {
            return false;
        }
        let trap = Signal::SIGTRAP;
        let code = u32::from(trap.number()) | u32::from(event as u8) << 8;
        let info = SignalInfo {
            code: code.cast_signed(),
            ..self.own_info(trap)
        };
        let stop = Stop {
            code,
            kind: StopKind::Event(event),
            info: Some(info),
        };
        let signal = self.trap_in_call(stop, message);
        if let Some(signal) = Signal::new(signal.into()) {
            self.requeue(self.info_from_tracer(signal));
        }
        true
    }

    /// After `execve(2)`: the event, or for those who did not ask for it a SIGTRAP.
    pub(crate) fn trap_after_exec(&self, old_tid: u32) {
        if !self.is_traced() || self.trap_for_event(Event::Exec, old_tid.into()) {
            return;
        }
        let seized = self
            .tracing
            .lock()
            .as_ref()
            .is_none_or(|tracing| tracing.seized);
        if !seized {
            self.requeue(self.own_info(Signal::SIGTRAP));
        }
    }

    /// The step into a handler is a step.
    pub(crate) fn trap_after_step(&self, context: &mut Context) {
        let stop = Stop {
            code: Signal::SIGTRAP.number().into(),
            kind: StopKind::Signal,
            info: Some(self.own_info(Signal::SIGTRAP)),
        };
        self.trap(context, stop, 0);
    }

    /// A signal that the task sends itself.
    fn own_info(&self, signal: Signal) -> SignalInfo {
        let pid = self.group().pid_in(&self.pid_namespace());
        SignalInfo::user(signal, pid, self.credentials().uid)
    }

    /// `PTRACE_SETSIGMASK`, from the tracer's thread while the task is stopped.
    pub(crate) fn set_mask_from_tracer(&self, mask: SignalSet) {
        let _group = self.group().signals.lock();
        self.signals.lock().set_mask(mask);
    }

    fn requeue(&self, info: SignalInfo) {
        let myself = self.pid_namespace().task(self.tid());
        if let Some(myself) = myself {
            send::send_to_task(&myself, info);
        }
    }
}

fn low_byte(code: u32) -> u8 {
    code.to_le_bytes()[0]
}

/// The stop of a seized task that no signal of its own makes.
fn event_stop(signal: Signal) -> Stop {
    let code = u32::from(signal.number()) | u32::from(Event::Stop as u8) << 8;
    Stop {
        code,
        kind: StopKind::Group,
        info: Some(SignalInfo {
            signal,
            errno: 0,
            code: code.cast_signed(),
            detail: Detail::None,
        }),
    }
}

/// The kernel's own error numbers (`linux/errno.h`), negative, as tracers see them.
fn restart_value(restart: Restart) -> u64 {
    let number: i64 = match restart {
        Restart::Sys => 512,
        Restart::Always => 513,
        Restart::NoHandler => 514,
        Restart::Block => 516,
    };
    (-number).cast_unsigned()
}

/// Tells `tracer` of a stop or the end of `task`.
pub(crate) fn notify(task: &Task, tracer: &Arc<Task>, code: i32, status: i32) {
    let group = tracer.group();
    let action = group.action(Signal::SIGCHLD);
    let ends = !matches!(code, code::CLD_STOPPED | code::CLD_TRAPPED);
    let silent =
        action.handler == Handler::Ignore || !ends && action.flags.contains(SaFlags::NOCLDSTOP);
    if !silent {
        let detail = Detail::Child {
            pid: task.tid_in(&tracer.pid_namespace()),
            uid: task.credentials().uid,
            status,
            utime: 0,
            stime: 0,
        };
        let info = SignalInfo {
            signal: Signal::SIGCHLD,
            errno: 0,
            code,
            detail,
        };
        send::send_to_group(group, info);
    }
    group.child_events.wake(Events::IN);
}
