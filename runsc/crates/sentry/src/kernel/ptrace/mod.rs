//! Tracing of one task of the application by another (`man 2 ptrace`): strace and gdb inside the sandbox.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`access`] | who may trace whom, or look into its memory and files |
//! | [`attach`] | who traces whom: TRACEME, ATTACH, SEIZE, DETACH, inheritance, the tracer's end |
//! | [`stop`] | the tracee's side: its stops, on its own thread |
//! | [`control`] | the tracer's side: resuming a stopped tracee, its registers and signal information |
//!
//! A tracee's [`Tracing`] is behind a lock of its own, to the right of all others but wait queues. Tracer and
//! tracee are linked and unlinked under the task set lock.

pub mod access;
pub mod attach;
pub mod control;
pub(crate) mod stop;

use std::sync::{Arc, Weak};

use bitflags::bitflags;
use platform::ExtendedState;

use crate::kernel::credentials::{Capability, Credentials};
use crate::kernel::signal::SignalInfo;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ExitStatus;
use crate::kernel::user_namespace::UserNamespace;

bitflags! {
    /// Options of `PTRACE_SETOPTIONS`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Options: u32 {
        /// System call stops have bit 7 of the signal set.
        const SYSGOOD = 1;
        /// Stop at `fork(2)`; trace the child.
        const FORK = 2;
        /// Stop at `vfork(2)`; trace the child.
        const VFORK = 4;
        /// Stop at `clone(2)`; trace the child.
        const CLONE = 8;
        /// Stop after `execve(2)`.
        const EXEC = 0x10;
        /// Stop when a child of `vfork(2)` has let go of the memory.
        const VFORK_DONE = 0x20;
        /// Stop before exit.
        const EXIT = 0x40;
        /// Stop where a seccomp filter says so.
        const SECCOMP = 0x80;
        /// The tracer's end kills the tracee.
        const EXITKILL = 0x10_0000;
    }
}

/// Events, in the second byte of a stop's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// `fork(2)`
    Fork = 1,
    /// `vfork(2)`
    Vfork = 2,
    /// `clone(2)`
    Clone = 3,
    /// `execve(2)`
    Exec = 4,
    /// The end of a `vfork(2)`.
    VforkDone = 5,
    /// The task is about to exit.
    Exit = 6,
    /// A seccomp filter asks.
    Seccomp = 7,
    /// A stop that is not a signal's: group stop, interruption, a new tracee.
    Stop = 128,
}

impl Event {
    /// The option that asks for it.
    fn option(self) -> Options {
        match self {
            Event::Fork => Options::FORK,
            Event::Vfork => Options::VFORK,
            Event::Clone => Options::CLONE,
            Event::Exec => Options::EXEC,
            Event::VforkDone => Options::VFORK_DONE,
            Event::Exit => Options::EXIT,
            Event::Seccomp => Options::SECCOMP,
            Event::Stop => Options::empty(),
        }
    }
}

/// How a tracee goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// To the next event or signal.
    #[default]
    Run,
    /// To the next entry to or exit from a system call.
    Syscall,
    /// One instruction.
    Step,
}

/// Why a tracee is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// A signal is to be delivered.
    Signal,
    /// A stop of the whole group, or another of [`Event::Stop`].
    Group,
    /// A system call is to be made.
    SyscallEntry,
    /// A system call was made.
    SyscallExit,
    /// Another event.
    Event(Event),
}

/// A stop.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// The second and third byte of the wait status.
    pub code: u32,
    /// Why.
    pub kind: StopKind,
    /// What `PTRACE_GETSIGINFO` gives.
    pub info: Option<SignalInfo>,
}

/// What a tracee knows of its being traced.
#[derive(Debug)]
pub struct Tracing {
    tracer: Weak<Task>,
    /// What the tracer was allowed when it became that.
    credentials: Arc<Credentials>,
    seized: bool,
    options: Options,
    mode: Mode,
    /// The tracer wants a stop (`PTRACE_INTERRUPT`), or this is a new seized tracee.
    trap_requested: bool,
    /// `PTRACE_LISTEN`: stopped, but not for the tracer.
    listening: bool,
    stop: Option<Stop>,
    /// A wait has told of the stop.
    reported: bool,
    /// The tracer lets it go on, with this signal, 0 for none.
    resume: Option<u8>,
    /// It is to be traced no more once it goes on.
    detached: bool,
    /// `PTRACE_GETEVENTMSG`
    message: u64,
    /// The group stop that it has stopped for already.
    trapped_for: Option<u64>,
    /// The extended registers during a stop.
    extended: Option<ExtendedState>,
    extended_changed: bool,
}

impl Tracing {
    fn new(tracer: &Arc<Task>, seized: bool, options: Options) -> Tracing {
        Tracing {
            tracer: Arc::downgrade(tracer),
            credentials: tracer.credentials(),
            seized,
            options,
            mode: Mode::Run,
            trap_requested: false,
            listening: false,
            stop: None,
            reported: false,
            resume: None,
            detached: false,
            message: 0,
            trapped_for: None,
            extended: None,
            extended_changed: false,
        }
    }

    /// Whether the tracer may be given what privileges in `namespace` give, too.
    fn is_trusted_in(&self, namespace: &Arc<UserNamespace>) -> bool {
        self.detached || self.credentials.has_in(namespace, Capability::SysPtrace)
    }

    /// The stop that the tracer may act on.
    fn current_stop(&self) -> Option<&Stop> {
        self.stop
            .as_ref()
            .filter(|_| !self.listening && self.resume.is_none())
    }
}

/// A tracee as its tracer knows it.
#[derive(Debug)]
pub struct Tracee {
    /// The task.
    pub task: Arc<Task>,
    /// How it ended, for a wait to tell: of threads that are not leaders, and of processes that are not the
    /// tracer's own children.
    pub ended: Option<ExitStatus>,
}

impl Task {
    /// The tracer.
    #[must_use]
    pub fn tracer(&self) -> Option<Arc<Task>> {
        let slot = self.tracing.lock();
        slot.as_ref()
            .filter(|tracing| !tracing.detached)?
            .tracer
            .upgrade()
    }

    /// Whether no tracer, or one that is privileged in `namespace` itself, traces it.
    pub(crate) fn tracer_is_trusted_in(&self, namespace: &Arc<UserNamespace>) -> bool {
        let slot = self.tracing.lock();
        slot.as_ref()
            .is_none_or(|tracing| tracing.is_trusted_in(namespace))
    }

    /// The generation of the group stop that it has stopped for already.
    pub(crate) fn trace_stop_seen(&self) -> Option<u64> {
        self.tracing.lock().as_ref()?.trapped_for
    }

    /// Whether the tracer wants a stop.
    pub(crate) fn is_trap_requested(&self) -> bool {
        let slot = self.tracing.lock();
        slot.as_ref().is_some_and(|tracing| tracing.trap_requested)
    }

    /// How it is to go on, if it is traced.
    pub(crate) fn trace_mode(&self) -> Mode {
        if !self.is_traced() {
            return Mode::Run;
        }
        let slot = self.tracing.lock();
        slot.as_ref()
            .filter(|tracing| !tracing.detached)
            .map_or(Mode::Run, |tracing| tracing.mode)
    }

    /// Whether the tracer asked to be told of `event`.
    pub(crate) fn traces(&self, event: Event) -> bool {
        self.is_traced()
            && self.tracing.lock().as_ref().is_some_and(|tracing| {
                !tracing.detached && tracing.options.contains(event.option())
            })
    }

    /// What a wait of the tracer is to tell of a stop, once unless `keep`.
    pub(crate) fn take_trace_stop(&self, keep: bool) -> Option<(u32, StopKind)> {
        let mut slot = self.tracing.lock();
        let tracing = slot.as_mut()?;
        if tracing.reported {
            return None;
        }
        let stop = *tracing.current_stop()?;
        tracing.reported = !keep;
        Some((stop.code, stop.kind))
    }
}
