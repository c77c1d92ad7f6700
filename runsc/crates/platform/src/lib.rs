//! How application code is run and its system calls are caught.
//!
//! [`Platform`], [`Space`] and [`Context`] hide the mechanism, so that the Sentry has neither type
//! parameters nor downcasts. A platform never knows what a system call means.
//!
//! * A [`Space`] is one address space of application code. It maps ranges of host files, always
//!   shared: copy-on-write, permissions and accounting are the Sentry's.
//! * A [`Context`] is one thread of application code. It belongs to the OS thread that first
//!   switches it into a space, and alternates between [`Context::run`] and the Sentry's own code.
//! * An [`Interrupter`] makes a running context come back, from any thread.
//!
//! The mechanisms: `ptrace` and `kvm` (the headers of `ptrace/mod.rs` and `kvm/mod.rs` tell how they work),
//! and a scripted `mock` for tests.
#![warn(missing_docs)]

mod context;
mod error;
mod extended;
mod kvm;
mod limits;
pub mod mock;
mod names;
mod ptrace;
mod run_flag;
mod self_test;
mod space;
mod state;

pub use context::{Context, Interrupter};
pub use error::SetupError;
pub use extended::{ExtendedLayout, ExtendedState};
pub use limits::{HostCall, KVM_HOST_CALLS, Limits, PTRACE_HOST_CALLS};
pub use names::{KVM, NAMES, PTRACE, SYSTRAP, Unusable, device};
pub use ptrace::Config as PtraceConfig;
pub use self_test::{open, self_test};
pub use space::{CallGroup, Space};
pub use state::{Access, Exception, Exit, Fault, FaultAccess, ThreadState};

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What a platform's call returns.
pub type Result<T> = std::result::Result<T, abi::Errno>;

/// A way to run application code.
#[derive(Debug)]
pub struct Platform {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Ptrace(Arc<ptrace::Machine>),
    Kvm(Arc<kvm::Machine>),
    Mock,
}

impl Platform {
    /// The ptrace platform. Call it on any thread, before the lockdown but after the process has
    /// its final user and pid namespaces and user id: a stub has them from here, and can only be
    /// traced by its like. Giving up capabilities later is fine.
    ///
    /// Makes one helper thread and one stub process, and sets SIGCHLD to its default with
    /// `SA_NOCLDSTOP`.
    ///
    /// # Errors
    /// Names the step that failed.
    pub fn ptrace(config: PtraceConfig) -> std::result::Result<Arc<Platform>, SetupError> {
        let kind = Kind::Ptrace(ptrace::Machine::new(config)?);
        Ok(Arc::new(Platform { kind }))
    }

    /// The KVM platform, on an open `/dev/kvm`. To be called before the lockdown, in the process
    /// that is to run the application.
    ///
    /// Makes one virtual machine with one vCPU, and installs the reserved signal's handler.
    ///
    /// # Errors
    /// Names the step that failed, or what the host's KVM lacks.
    pub fn kvm(device: OwnedFd) -> std::result::Result<Arc<Platform>, SetupError> {
        let kind = Kind::Kvm(kvm::Machine::new(device)?);
        Ok(Arc::new(Platform { kind }))
    }

    /// A platform that runs nothing: contexts play scripts (see [`mock`]).
    #[must_use]
    pub fn mock() -> Arc<Platform> {
        Arc::new(Platform { kind: Kind::Mock })
    }

    /// The name as `--platform` spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ptrace(_) => PTRACE,
            Kind::Kvm(_) => KVM,
            Kind::Mock => "mock",
        }
    }

    /// Makes an empty address space.
    ///
    /// # Errors
    /// `EAGAIN` when the host gives no more processes, `ENOMEM`.
    pub fn new_space(&self) -> Result<Arc<Space>> {
        let space = match &self.kind {
            Kind::Ptrace(machine) => Space::from(ptrace::Space::new(machine)?),
            Kind::Kvm(machine) => Space::from(kvm::Space::new(machine)?),
            Kind::Mock => Space::from(mock::Space::default()),
        };
        Ok(Arc::new(space))
    }

    /// Makes a context that is in no space yet; nothing happens on the host.
    #[must_use]
    pub fn new_context(&self) -> Context {
        match &self.kind {
            Kind::Ptrace(machine) => Context::from(ptrace::Context::new(machine)),
            Kind::Kvm(machine) => Context::from(kvm::Context::new(machine)),
            Kind::Mock => Context::from(mock::Context::default()),
        }
    }

    /// What application code may use here.
    #[must_use]
    pub fn limits(&self) -> Limits {
        match &self.kind {
            Kind::Ptrace(machine) => machine.limits(),
            Kind::Kvm(machine) => machine.limits(),
            Kind::Mock => mock::limits(),
        }
    }

    /// Takes the application's memory out of this process's page tables, to be entered again where it is used: so
    /// that the host's OOM killer does not take it for this process's own. It stays in those of stubs.
    pub fn forget_view(&self) {
        match &self.kind {
            Kind::Kvm(machine) => machine.forget_view(),
            Kind::Ptrace(_) | Kind::Mock => {}
        }
    }

    /// Closes some descriptors that are open for speed only; false if there are none.
    #[must_use]
    pub fn make_room(&self) -> bool {
        match &self.kind {
            Kind::Kvm(machine) => machine.make_room(),
            Kind::Ptrace(_) | Kind::Mock => false,
        }
    }

    /// The host calls that this platform makes in the sandbox process once it is set up: what the
    /// sandbox's filter must allow on its behalf.
    #[must_use]
    pub fn host_calls(&self) -> &'static [HostCall] {
        match self.kind {
            Kind::Ptrace(_) => PTRACE_HOST_CALLS,
            Kind::Kvm(_) => KVM_HOST_CALLS,
            Kind::Mock => &[],
        }
    }

    /// The layout of [`ExtendedState`] images on this machine.
    #[must_use]
    pub fn extended_layout(&self) -> ExtendedLayout {
        match &self.kind {
            Kind::Ptrace(machine) => machine.extended_layout(),
            Kind::Kvm(machine) => machine.extended_layout(),
            Kind::Mock => ExtendedLayout::LEGACY,
        }
    }
}
