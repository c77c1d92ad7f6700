//! The tracer's side: what it does to a tracee that is stopped for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;
use platform::{ExtendedState, ThreadState};

use super::{Mode, Options, Stop, StopKind, Tracing, attach};
use crate::error::Result;
use crate::kernel::signal::SignalInfo;
use crate::kernel::task::{RunState, Task};

/// A task that the caller traces and that is stopped for it.
#[derive(Debug)]
pub struct Stopped {
    task: Arc<Task>,
}

/// The task, if the caller traces it: ESRCH.
pub fn tracee(tracer: &Task, target: &Arc<Task>) -> Result<()> {
    let slot = target.tracing.lock();
    let traced = slot
        .as_ref()
        .is_some_and(|tracing| !tracing.detached && std::ptr::eq(tracing.tracer.as_ptr(), tracer));
    if traced { Ok(()) } else { Err(Errno::ESRCH) }
}

/// The task, if the caller traces it and it is stopped: ESRCH.
pub fn stopped(tracer: &Task, target: Arc<Task>) -> Result<Stopped> {
    tracee(tracer, &target)?;
    let stopped = Stopped { task: target };
    stopped.with(|_, _| ())?;
    Ok(stopped)
}

/// `PTRACE_INTERRUPT`: a seized tracee is to stop; EIO for others.
pub fn interrupt(target: &Task) -> Result<()> {
    {
        let mut slot = target.tracing.lock();
        let tracing = slot.as_mut().ok_or(Errno::ESRCH)?;
        if !tracing.seized {
            return Err(Errno::EIO);
        }
        tracing.trap_requested = true;
    }
    target.signal_pending.store(true, Ordering::Release);
    target.kick();
    Ok(())
}

impl Stopped {
    /// The task.
    #[must_use]
    pub fn task(&self) -> &Arc<Task> {
        &self.task
    }

    fn with<T>(&self, body: impl FnOnce(&mut Tracing, Stop) -> T) -> Result<T> {
        let mut slot = self.task.tracing.lock();
        let tracing = slot.as_mut().ok_or(Errno::ESRCH)?;
        let stop = *tracing.current_stop().ok_or(Errno::ESRCH)?;
        Ok(body(tracing, stop))
    }

    /// Lets it go on, with this signal (0 for none).
    pub fn resume(&self, mode: Mode, signal: u8) -> Result<()> {
        self.with(|tracing, _| {
            tracing.mode = mode;
            tracing.resume = Some(signal);
            *self.task.state.lock() = RunState::Running;
        })?;
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        if let Some(thread) = self.task.host_thread.get() {
            thread.unpark();
        }
    }

    /// `PTRACE_DETACH`
    pub fn detach(&self, tracer: &Task, signal: u8) -> Result<()> {
        let _tree = tracer.kernel().task_set.lock();
        self.with(|_, _| ())?;
        attach::unlink(tracer, &self.task, signal);
        Ok(())
    }

    /// `PTRACE_LISTEN`: a seized tracee in a group stop stays stopped, but not for the tracer; EIO.
    pub fn listen(&self) -> Result<()> {
        self.with(|tracing, stop| {
            if !tracing.seized || stop.kind != StopKind::Group {
                return Err(Errno::EIO);
            }
            tracing.listening = true;
            *self.task.state.lock() = RunState::Stopped;
            Ok(())
        })??;
        self.wake();
        Ok(())
    }

    /// `PTRACE_SETOPTIONS`
    pub fn set_options(&self, options: Options) -> Result<()> {
        self.with(|tracing, _| tracing.options = options)
    }

    /// `PTRACE_GETEVENTMSG`
    pub fn message(&self) -> Result<u64> {
        self.with(|tracing, _| tracing.message)
    }

    /// Why it is stopped.
    pub fn stop(&self) -> Result<Stop> {
        self.with(|_, stop| stop)
    }

    /// `PTRACE_GETSIGINFO`; EINVAL in a group stop.
    pub fn info(&self) -> Result<SignalInfo> {
        let changed = *self.task.trace_info.lock();
        self.with(|_, stop| changed.or(stop.info))?
            .ok_or(Errno::EINVAL)
    }

    /// `PTRACE_SETSIGINFO`
    pub fn set_info(&self, info: SignalInfo) -> Result<()> {
        self.info()?;
        *self.task.trace_info.lock() = Some(info);
        Ok(())
    }

    /// The general registers.
    #[must_use]
    pub fn registers(&self) -> ThreadState {
        *self.task.registers.lock()
    }

    /// Sets the general registers, as far as an application may; EIO for segments that are not its own.
    pub fn set_registers(&self, new: ThreadState) -> Result<()> {
        /// CF, PF, AF, ZF, SF, TF, DF, OF, NT, RF, AC.
        const FLAGS: u64 = 0x5_4dd5;
        let limit = self.task.kernel().platform().limits().user_range.end as u64;
        let mut registers = self.task.registers.lock();
        let is_user = |selector: u64| selector == 0 || selector & 3 == 3;
        if ![new.cs, new.ss, new.ds, new.es, new.fs, new.gs]
            .into_iter()
            .all(is_user)
            || new.fs_base >= limit
            || new.gs_base >= limit
        {
            return Err(Errno::EIO);
        }
        *registers = ThreadState {
            eflags: registers.eflags & !FLAGS | new.eflags & FLAGS,
            // Only 64-bit code runs here.
            cs: registers.cs,
            ss: registers.ss,
            ..new
        };
        Ok(())
    }

    /// The extended registers; EIO if the host has lost them.
    pub fn extended(&self) -> Result<ExtendedState> {
        self.with(|tracing, _| tracing.extended.clone())?
            .ok_or(Errno::EIO)
    }

    /// Sets the extended registers.
    pub fn set_extended(&self, extended: ExtendedState) -> Result<()> {
        self.with(|tracing, _| {
            tracing.extended = Some(extended);
            tracing.extended_changed = true;
        })
    }
}
