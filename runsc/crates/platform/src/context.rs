//! A thread of application code, and what interrupts it.

use crate::{Exit, ExtendedState, Result, Space, ThreadState, kvm, mock, ptrace};
use abi::Errno;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::sync::Arc;

/// One thread of application code.
///
/// It may be moved until it is first switched; from then on it belongs to that OS thread, and must
/// be used and dropped there (`EPERM` elsewhere).
#[derive(Debug)]
pub struct Context {
    // The order matters: a context leaves its space before it lets go of it.
    kind: Kind,
    space: Option<Arc<Space>>,
}

#[derive(Debug)]
enum Kind {
    Ptrace(Box<ptrace::Context>),
    Kvm(Box<kvm::Context>),
    Mock(mock::Context),
}

impl From<ptrace::Context> for Context {
    fn from(context: ptrace::Context) -> Context {
        Context {
            kind: Kind::Ptrace(Box::new(context)),
            space: None,
        }
    }
}

impl From<kvm::Context> for Context {
    fn from(context: kvm::Context) -> Context {
        Context {
            kind: Kind::Kvm(Box::new(context)),
            space: None,
        }
    }
}

impl From<mock::Context> for Context {
    fn from(context: mock::Context) -> Context {
        Context {
            kind: Kind::Mock(context),
            space: None,
        }
    }
}

impl Context {
    /// Enters a space, leaving the one it was in. The extended state goes along.
    ///
    /// # Errors
    /// `EAGAIN` when the host gives no more threads; the context stays where it was. `ESRCH` when
    /// the space is lost, `EINVAL` for a space of another platform.
    pub fn switch_to(&mut self, space: &Arc<Space>) -> Result<()> {
        match (&mut self.kind, &space.kind) {
            (Kind::Ptrace(context), crate::space::Kind::Ptrace(to)) => context.switch_to(to)?,
            (Kind::Kvm(context), crate::space::Kind::Kvm(_)) => context.switch_to(space)?,
            (Kind::Mock(_), crate::space::Kind::Mock(_)) => {}
            _ => return Err(Errno::EINVAL),
        }
        self.space = Some(Arc::clone(space));
        Ok(())
    }

    /// The space that the context is in.
    #[must_use]
    pub fn space(&self) -> Option<&Arc<Space>> {
        self.space.as_ref()
    }

    /// Runs application code from `state`, until something stops it; `state` is then where it
    /// stopped.
    ///
    /// At [`Exit::Syscall`], `orig_rax` is the number and `rax` is `-ENOSYS`: the caller puts the
    /// result there. `orig_rax` is never loaded, so the host never restarts a call on its own.
    /// After [`Exit::SpaceLost`] `state` is what it was.
    ///
    /// # Errors
    /// `EINVAL` before the first switch, `EPERM` on another OS thread than the context's.
    pub fn run(&mut self, state: &mut ThreadState) -> Result<Exit> {
        match &mut self.kind {
            Kind::Ptrace(context) => context.run(state),
            Kind::Kvm(context) => context.run(state),
            Kind::Mock(context) => Ok(context.run(state)),
        }
    }

    /// Binds the context, and its OS thread with it, to processors: bit *n* of the mask is the host's
    /// processor *n*. None that this process may use leaves it where it is.
    pub fn run_on(&mut self, mask: &[u64]) {
        let mut processors = CpuSet::new();
        for n in 0..CpuSet::MAX_CPU.min(mask.len() * 64) {
            if mask[n / 64] >> (n % 64) & 1 != 0 {
                processors.set(n);
            }
        }
        match &mut self.kind {
            Kind::Ptrace(context) => context.run_on(processors),
            // Refused, as for processors that there are not, the thread stays as it was.
            Kind::Kvm(_) => drop(sched_setaffinity(None, &processors)),
            Kind::Mock(_) => {}
        }
    }

    /// What makes [`run`](Context::run) return from another thread.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        match &self.kind {
            Kind::Ptrace(context) => Interrupter(InterrupterKind::Ptrace(context.interrupter())),
            Kind::Kvm(context) => Interrupter(InterrupterKind::Kvm(context.interrupter())),
            Kind::Mock(context) => Interrupter(InterrupterKind::Mock(context.interrupter())),
        }
    }

    /// The extended registers (x87, SSE, AVX, …), to be read or changed.
    ///
    /// # Errors
    /// `ESRCH` when the space is lost, and the registers with it.
    pub fn extended(&mut self) -> Result<&mut ExtendedState> {
        match &mut self.kind {
            Kind::Ptrace(context) => context.extended(),
            Kind::Kvm(context) => context.extended(),
            Kind::Mock(context) => Ok(context.extended()),
        }
    }

    /// Sets the extended registers to what they are when a program starts.
    pub fn reset_extended(&mut self) {
        match &mut self.kind {
            Kind::Ptrace(context) => context.reset_extended(),
            Kind::Kvm(context) => context.reset_extended(),
            Kind::Mock(context) => context.reset_extended(),
        }
    }

    /// The mock behind the context, for tests that script it.
    pub fn as_mock(&mut self) -> Option<&mut mock::Context> {
        match &mut self.kind {
            Kind::Mock(context) => Some(context),
            Kind::Ptrace(_) | Kind::Kvm(_) => None,
        }
    }
}

/// Makes a context's run return [`Exit::Interrupted`].
///
/// It is sticky: used between two runs, it makes the next one return at once. A run that was
/// stopped by something else first reports that, and the next one is interrupted.
#[derive(Clone, Debug)]
pub struct Interrupter(InterrupterKind);

#[derive(Clone, Debug)]
enum InterrupterKind {
    Ptrace(ptrace::Interrupter),
    Kvm(kvm::Interrupter),
    Mock(mock::Interrupter),
}

impl Interrupter {
    /// Interrupts the context, now or at its next run. Harmless once the context is gone.
    pub fn interrupt(&self) {
        match &self.0 {
            InterrupterKind::Ptrace(interrupter) => interrupter.interrupt(),
            InterrupterKind::Kvm(interrupter) => interrupter.interrupt(),
            InterrupterKind::Mock(interrupter) => interrupter.interrupt(),
        }
    }
}
