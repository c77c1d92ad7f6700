//! A thread of application code: a stub thread, and the OS thread that traces it.

use super::affinity::{self, Stay, current_cpu};
use super::exit;
use super::interrupt::{Flag, Interrupter};
use super::keeper::Keeper;
use super::machine::Machine;
use super::own::Own;
use super::space::Space;
use crate::{Exit, ExtendedState, Result, ThreadState};
use abi::Errno;
use host::ptrace;
use host::wait::Event;
use rustix::thread::CpuSet;
use std::sync::Arc;

/// A context of the ptrace platform.
#[derive(Debug)]
pub(crate) struct Context {
    machine: Arc<Machine>,
    flag: Arc<Flag>,
    bound: Option<Bound>,
    extended: ExtendedState,
    /// Which of `extended` and the stub thread has the extended registers.
    extended_at: ExtendedAt,
    /// Where the context may run.
    allowed: CpuSet,
}

/// The stub thread that a context runs on.
#[derive(Debug)]
struct Bound {
    own: Arc<Own>,
    tid: i32,
    /// What the stub thread's general registers are.
    loaded: ThreadState,
    stay: Stay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExtendedAt {
    Here,
    Stub,
}

impl Context {
    pub(crate) fn new(machine: &Arc<Machine>) -> Context {
        Context {
            machine: Arc::clone(machine),
            flag: Arc::default(),
            bound: None,
            extended: ExtendedState::initial(machine.extended_layout()),
            extended_at: ExtendedAt::Here,
            allowed: machine.anywhere(),
        }
    }

    pub(crate) fn run_on(&mut self, processors: CpuSet) {
        self.allowed = processors;
        if let Some(bound) = &mut self.bound {
            bound.stay.end();
            bound.own.follower().allow(processors);
        }
        affinity::allow(&processors);
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        Interrupter::new(&self.flag)
    }

    pub(crate) fn switch_to(&mut self, space: &Space) -> Result<()> {
        if let Some(bound) = &self.bound {
            if !bound.own.is_mine() {
                return Err(Errno::EPERM);
            }
            if Arc::ptr_eq(bound.own.stub(), space.stub()) {
                return Ok(());
            }
        }
        let claimed = space.stub().claim().map_err(|error| match error {
            Errno::ESRCH => error,
            _ => Errno::EAGAIN,
        })?;
        let tid = claimed.tracee.tid();
        if self.bound.is_none() {
            affinity::allow(&self.allowed);
        }
        self.leave();
        self.flag.set_thread(space.stub().pid(), tid);
        let own = Own::enter(space.stub(), claimed, self.allowed);
        self.machine.keeper().balancer().watch(own.follower());
        self.bound = Some(Bound {
            own,
            tid,
            loaded: ThreadState::default(),
            stay: Stay::default(),
        });
        Ok(())
    }

    /// Leaves the space, with the extended registers.
    fn leave(&mut self) {
        let lost = self.extended().is_err();
        if lost {
            self.reset_extended();
        }
        if let Some(mut bound) = self.bound.take() {
            bound.stay.end();
            Own::leave(bound.own);
        }
    }

    pub(crate) fn extended(&mut self) -> Result<&mut ExtendedState> {
        if let (ExtendedAt::Stub, Some(bound)) = (self.extended_at, &self.bound) {
            let tracee = bound.own.tracee();
            tracee.get_extended(self.extended.kernel_buffer())?;
        }
        self.extended_at = ExtendedAt::Here;
        Ok(&mut self.extended)
    }

    pub(crate) fn reset_extended(&mut self) {
        self.extended = ExtendedState::initial(self.extended.layout());
        self.extended_at = ExtendedAt::Here;
    }

    pub(crate) fn run(&mut self, state: &mut ThreadState) -> Result<Exit> {
        let bound = self.bound.as_mut().ok_or(Errno::EINVAL)?;
        if !bound.own.is_mine() {
            return Err(Errno::EPERM);
        }
        if bound.own.stub().is_lost() {
            return Ok(bound.lost());
        }
        let cpu = current_cpu();
        if !bound.own.stub().is_settled(&bound.own) {
            let lost = bound.own.stub().is_lost();
            return Ok(if lost {
                bound.lost()
            } else {
                Exit::MappingFailed
            });
        }
        let settled_on = current_cpu();
        // Not before: the signal that stops a run is passed over while mapping calls are performed.
        if !self.flag.run.start() {
            return Ok(Exit::Interrupted);
        }
        if self.extended_at == ExtendedAt::Here {
            match bound.own.tracee().set_extended(self.extended.as_bytes()) {
                Ok(()) => self.extended_at = ExtendedAt::Stub,
                Err(_) => {
                    self.flag.run.stop();
                    return Ok(bound.lost());
                }
            }
        }
        let exit = match bound.load(state) {
            Ok(()) => bound
                .run_loaded(state, &self.flag, self.machine.keeper())
                .unwrap_or_else(|_| bound.lost()),
            Err(Errno::EIO) => exit::general_protection(0),
            Err(_) => bound.lost(),
        };
        let unbound = bound.own.follower().cpu().is_none();
        let moved = settled_on != cpu || current_cpu() != settled_on;
        bound.stay.after_run(moved, unbound);
        self.flag.run.stop();
        Ok(exit)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let Some(bound) = self.bound.take() else {
            return;
        };
        if bound.own.is_mine() {
            Own::leave(bound.own);
        } else {
            // Only the tracer could let go of the thread: nothing is left but to end the process.
            tracing::warn!(
                tid = bound.tid,
                "a context was dropped on another thread than its own"
            );
            bound.own.stub().kill();
        }
    }
}

impl Bound {
    /// Makes the stub thread's registers `state`, if they are not.
    ///
    /// # Errors
    /// `EIO` for what the processor can't have in them, `ESRCH`.
    fn load(&mut self, state: &ThreadState) -> Result<()> {
        let wanted = ThreadState {
            orig_rax: u64::MAX,
            ..*state
        };
        if self.own.take_clobbered() || self.loaded != wanted {
            let result = ptrace::set_registers(self.tid, zerocopy::transmute_ref!(&wanted));
            if result.is_err() {
                self.own.mark_clobbered(); // some may have been set
            }
            result?;
            self.loaded = wanted;
        }
        Ok(())
    }

    /// Runs until the application does something.
    ///
    /// # Errors
    /// The stub thread is gone.
    fn run_loaded(
        &mut self,
        state: &mut ThreadState,
        flag: &Flag,
        keeper: &Keeper,
    ) -> Result<Exit> {
        loop {
            let exit = match self.resume(keeper)? {
                Event::Syscall => Some(self.syscall(state)?),
                Event::Signal(signal) if exit::is_exception(signal) => self.signal(state)?,
                Event::Signal(_) | Event::Stop | Event::Ended => None,
            };
            if let Some(exit) = exit {
                return Ok(exit);
            }
            if flag.run.stop_if_pending() {
                self.fetch(state)?;
                return Ok(Exit::Interrupted);
            }
        }
    }

    /// Lets the application run until its thread stops for whatever reason.
    fn resume(&self, keeper: &Keeper) -> Result<Event> {
        let follower = self.own.follower();
        follower.follow();
        if keeper.balancer().start(follower) {
            keeper.wake();
        }
        let event = ptrace::sysemu(self.tid).and_then(|()| self.own.tracee().wait());
        keeper.balancer().stop(follower);
        event
    }

    fn fetch(&mut self, state: &mut ThreadState) -> Result<()> {
        ptrace::get_registers(self.tid, zerocopy::transmute_mut!(&mut self.loaded))?;
        *state = self.loaded;
        Ok(())
    }

    fn syscall(&mut self, state: &mut ThreadState) -> Result<Exit> {
        self.fetch(state)?;
        if ptrace::syscall_arch(self.tid)? == ptrace::ARCH_X86_64 {
            return Ok(Exit::Syscall);
        }
        Ok(exit::of_foreign_syscall(state))
    }

    fn signal(&mut self, state: &mut ThreadState) -> Result<Option<Exit>> {
        let info = ptrace::signal_info(self.tid)?;
        let mut stopped = *state;
        self.fetch(&mut stopped)?;
        let exit = exit::of_signal(info, &mut stopped);
        if exit.is_some() {
            *state = stopped;
        }
        Ok(exit)
    }

    /// Sees to the end of what is left of the stub.
    fn lost(&self) -> Exit {
        self.own.tracee().end();
        self.own.stub().note_lost();
        Exit::SpaceLost
    }
}
