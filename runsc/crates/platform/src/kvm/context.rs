//! A thread of application code, and the vCPU that it has.

use super::exit;
use super::interrupt::{Flag, Interrupter};
use super::machine::Machine;
use super::registers;
use super::space::Space;
use super::vcpu::{Stop, Vcpu};
use crate::{Exit, ExtendedState, Fault, FaultAccess, Result, ThreadState};
use abi::Errno;
use host::kick::Thread;
use std::sync::Arc;

/// How often a page fault that should not have happened is tried again. It is one where another
/// thread has just mapped the page, or where the processor still remembers the entry before.
const MOST_RETRIES: u32 = 64;

/// A context of the KVM platform.
#[derive(Debug)]
pub(crate) struct Context {
    machine: Arc<Machine>,
    flag: Arc<Flag>,
    bound: Option<Bound>,
    lease: Option<Lease>,
    extended: ExtendedState,
    /// Pages that the host could not give: a fault there is SIGBUS.
    lost_pages: Vec<usize>,
}

/// Where a context is.
#[derive(Debug)]
struct Bound {
    space: Arc<crate::Space>,
    owner: std::thread::ThreadId,
    thread: Thread,
}

/// A vCPU, and which of it and the context has the extended registers.
#[derive(Debug)]
struct Lease {
    vcpu: Vcpu,
    extended_at: ExtendedAt,
    kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExtendedAt {
    Here,
    Vcpu,
}

impl Context {
    pub(crate) fn new(machine: &Arc<Machine>) -> Context {
        Context {
            machine: Arc::clone(machine),
            flag: Arc::default(),
            bound: None,
            lease: None,
            extended: ExtendedState::initial(machine.extended_layout()),
            lost_pages: Vec::new(),
        }
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        Interrupter::new(&self.flag)
    }

    pub(crate) fn switch_to(&mut self, space: &Arc<crate::Space>) -> Result<()> {
        let owner = std::thread::current().id();
        if self
            .bound
            .as_ref()
            .is_some_and(|bound| bound.owner != owner)
        {
            return Err(Errno::EPERM);
        }
        let to = kvm_space(space).ok_or(Errno::EINVAL)?;
        self.leave();
        to.enter(&self.flag);
        self.bound = Some(Bound {
            space: Arc::clone(space),
            owner,
            thread: Thread::current(),
        });
        Ok(())
    }

    fn leave(&mut self) {
        self.lost_pages.clear();
        if let Some(bound) = self.bound.take()
            && let Some(space) = kvm_space(&bound.space)
        {
            space.leave(&self.flag);
        }
    }

    pub(crate) fn extended(&mut self) -> Result<&mut ExtendedState> {
        self.fetch_extended()?;
        Ok(&mut self.extended)
    }

    fn fetch_extended(&mut self) -> Result<()> {
        if let Some(lease) = &mut self.lease
            && lease.extended_at == ExtendedAt::Vcpu
        {
            lease.vcpu.get_extended(&mut self.extended)?;
            lease.extended_at = ExtendedAt::Here;
        }
        Ok(())
    }

    pub(crate) fn reset_extended(&mut self) {
        self.extended = ExtendedState::initial(self.extended.layout());
        if let Some(lease) = &mut self.lease {
            lease.extended_at = ExtendedAt::Here;
        }
    }

    pub(crate) fn run(&mut self, state: &mut ThreadState) -> Result<Exit> {
        let bound = self.bound.as_ref().ok_or(Errno::EINVAL)?;
        if bound.owner != std::thread::current().id() {
            return Err(Errno::EPERM);
        }
        if !self.flag.run.start() {
            return Ok(Exit::Interrupted);
        }
        let exit = if registers::is_loadable(state) {
            self.run_started(state)
        } else {
            exit::general_protection(0)
        };
        self.flag.run.stop();
        self.settle();
        Ok(exit)
    }

    fn run_started(&mut self, state: &mut ThreadState) -> Exit {
        match self.ready() {
            Ok(true) => {}
            Ok(false) => {
                self.flag.run.stop_if_pending();
                return Exit::Interrupted;
            }
            Err(errno) => {
                tracing::warn!(%errno, "no vCPU for a thread");
                return Exit::SpaceLost;
            }
        }
        let mut nr_retries = 0;
        loop {
            let Some(stop) = self.run_once(state) else {
                self.flag.run.stop_if_pending();
                return Exit::Interrupted;
            };
            if let Some(exit) = self.exit(stop, state, &mut nr_retries) {
                return exit;
            }
        }
    }

    /// Sees to a vCPU that has the extended registers; false if an interruption came first.
    fn ready(&mut self) -> Result<bool> {
        if self.lease.is_none() {
            let pool = self.machine.pool();
            let flag = &self.flag;
            let Some(vcpu) = pool.take(&self.machine, || flag.run.is_pending())? else {
                return Ok(false);
            };
            let thread = self.bound.as_ref().ok_or(Errno::EINVAL)?.thread;
            self.flag.set_target(Some((vcpu.page(), thread)));
            self.lease = Some(Lease {
                vcpu,
                extended_at: ExtendedAt::Here,
                kept: false,
            });
        }
        if let Some(lease) = &mut self.lease
            && lease.extended_at == ExtendedAt::Here
        {
            lease.vcpu.set_extended(&self.extended)?;
            lease.extended_at = ExtendedAt::Vcpu;
        }
        Ok(true)
    }

    /// Enters the application, unless an interruption is pending.
    fn run_once(&mut self, state: &mut ThreadState) -> Option<Stop> {
        let (bound, lease) = (self.bound.as_ref()?, self.lease.as_mut()?);
        let space = kvm_space(&bound.space)?;
        // Whoever interrupts sets the flag before this: a kick after the flag was looked at sticks.
        lease.vcpu.page().set_immediate_exit(false);
        if self.flag.run.is_pending() {
            return None;
        }
        self.flag.enter();
        lease.vcpu.load(state, space.root());
        let stop = lease.vcpu.run();
        self.flag.leave();
        if !matches!(stop, Stop::Broken) {
            lease.vcpu.fetch(state);
        }
        Some(stop)
    }

    /// What a stop means; `None` to run on.
    fn exit(&mut self, stop: Stop, state: &mut ThreadState, nr_retries: &mut u32) -> Option<Exit> {
        match stop {
            Stop::Kicked => None,
            Stop::Syscall => {
                state.orig_rax = state.rax;
                state.rax = (-i64::from(libc::ENOSYS)).cast_unsigned();
                Some(Exit::Syscall)
            }
            Stop::Vector(exit::PAGE_FAULT, frame, address) => {
                self.page_fault(frame.error_code, address, nr_retries)
            }
            Stop::Vector(vector, frame, _) => {
                let code = self.code_at(frame.rip);
                let extended = || self.fetch_extended().is_ok().then(|| self.extended.clone());
                let exit = exit::of_vector(vector, &frame, state, extended, || code);
                Some(exit.unwrap_or(Exit::SpaceLost))
            }
            Stop::NoPage => self.no_page(state),
            Stop::NotEmulated => Some(exit::invalid_opcode(state.rip)),
            Stop::Broken => Some(Exit::SpaceLost),
        }
    }

    fn page_fault(&mut self, error_code: u64, address: u64, nr_retries: &mut u32) -> Option<Exit> {
        const WRITE: u64 = 2;
        const FETCH: u64 = 16;
        let access = match error_code {
            code if code & FETCH != 0 => FaultAccess::Execute,
            code if code & WRITE != 0 => FaultAccess::Write,
            _ => FaultAccess::Read,
        };
        let address = usize::try_from(address).unwrap_or(usize::MAX);
        let fault = |mapped, bus| {
            Some(Exit::Fault(Fault {
                address,
                access,
                mapped,
                bus,
            }))
        };
        if address >= crate::ptrace::USER_END {
            return fault(false, false);
        }
        let page = address & !(abi::PAGE_SIZE - 1);
        if let Some(index) = self.lost_pages.iter().position(|&lost| lost == page) {
            self.lost_pages.swap_remove(index);
            return fault(true, true);
        }
        let space = kvm_space(&self.bound.as_ref()?.space)?;
        if *nr_retries < MOST_RETRIES && space.allows(address, error_code) {
            *nr_retries += 1;
            return None;
        }
        fault(space.has_page(address), false)
    }

    /// The host can't give a page, and does not say which.
    fn no_page(&mut self, state: &ThreadState) -> Option<Exit> {
        let space = kvm_space(&self.bound.as_ref()?.space)?;
        let lost = space.hide_lost_pages();
        if lost.is_empty() {
            // No file has become shorter: the host has no memory. The instruction is all there is
            // to name.
            return Some(Exit::Fault(Fault {
                address: usize::try_from(state.rip).unwrap_or(usize::MAX),
                access: FaultAccess::Unknown,
                mapped: true,
                bus: true,
            }));
        }
        self.lost_pages.extend(lost);
        None
    }

    fn code_at(&self, rip: u64) -> [u8; 3] {
        let space = self
            .bound
            .as_ref()
            .and_then(|bound| kvm_space(&bound.space));
        space.map_or([0; 3], |space| space.code_at(rip))
    }

    /// After a run: keeps the vCPU, or gives it to whoever waits.
    fn settle(&mut self) {
        let pool = self.machine.pool();
        let Some(lease) = &mut self.lease else { return };
        if !lease.kept {
            lease.kept = pool.keep();
        }
        if lease.kept {
            return;
        }
        if self.fetch_extended().is_err() {
            self.reset_extended();
        }
        self.give_back();
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.flag.set_target(None);
            let pool = self.machine.pool();
            if lease.kept {
                pool.unkeep();
            }
            pool.give_back(lease.vcpu);
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.leave();
        self.give_back();
    }
}

fn kvm_space(space: &crate::Space) -> Option<&Space> {
    match &space.kind {
        crate::space::Kind::Kvm(space) => Some(space),
        _ => None,
    }
}
