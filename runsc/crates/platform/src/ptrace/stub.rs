//! A stub process: its leader, its sleeping threads, and calls into its address space from OS
//! threads that have no thread of their own in it.

use super::affinity::follow;
use super::code::{self, Entry};
use super::own;
use super::tracee::{Call, Tracee};
use crate::Result;
use abi::Errno;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sleeping threads that a stub keeps for the next context.
const MAX_IDLE: usize = 8;

/// A stub process.
#[derive(Debug)]
pub(super) struct Stub {
    pid: i32,
    /// The process has ended or was killed.
    lost: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sleeping threads besides the leader, traced by nobody.
    idle: Vec<Idle>,
    /// The processor that the leader was last bound to.
    leader_cpu: Option<i32>,
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    tid: i32,
    cpu: Option<i32>,
}

/// A thread of a stub for a context: stopped, traced by the caller.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) tracee: Tracee,
    /// The processor that it is bound to.
    pub(super) cpu: Option<i32>,
}

impl Stub {
    /// Wraps a process that is asleep in stub code.
    pub(super) fn new(pid: i32) -> Arc<Stub> {
        Arc::new(Stub {
            pid,
            lost: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    /// The process id on the host.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether the process has ended, as far as is known.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Kills the process. Its id stays its own until the keeper has reaped it, which happens only
    /// after the last use of this.
    pub(super) fn kill(&self) {
        self.note_lost();
        let _gone = host::ptrace::kill_process(self.pid);
    }

    /// Performs a host call in the process, on the calling OS thread's own stopped thread there if
    /// it has one, else on the leader.
    ///
    /// # Errors
    /// The call's; `ESRCH` when the process is gone.
    pub(super) fn call(self: &Arc<Stub>, call: Call) -> Result<u64> {
        if let Some(own) = own::in_stub(self) {
            own.mark_clobbered();
            own.follower().follow();
            return self.noticing_loss(own.tracee().call(call));
        }
        self.with_leader(|leader| leader.call(call))
    }

    /// Attaches to the leader for the length of `work`.
    ///
    /// # Errors
    /// `work`'s, or `ESRCH` when the process is gone.
    pub(super) fn with_leader<T>(&self, work: impl FnOnce(&Tracee) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        self.with_leader_locked(&mut state, work)
    }

    fn with_leader_locked<T>(
        &self,
        state: &mut State,
        work: impl FnOnce(&Tracee) -> Result<T>,
    ) -> Result<T> {
        self.alive()?;
        follow(self.pid, &mut state.leader_cpu);
        let leader = self.attach(self.pid)?;
        self.noticing_loss(leader.settle(code::is_idle))?;
        let result = self.noticing_loss(work(&leader));
        if result.as_ref().err() != Some(&Errno::ESRCH) {
            self.noticing_loss(leader.release())?;
        }
        result
    }

    /// Takes a sleeping thread, or makes one, and stops it: the calling OS thread is its tracer.
    ///
    /// # Errors
    /// `EAGAIN` when the host gives no more threads, `ESRCH` when the process is gone.
    pub(super) fn claim(&self) -> Result<Claimed> {
        let mut state = self.state.lock();
        self.alive()?;
        let mut idle = match state.idle.pop() {
            Some(idle) => idle,
            None => self.new_thread(&mut state)?,
        };
        follow(idle.tid, &mut idle.cpu);
        let tracee = self.attach(idle.tid)?;
        Ok(Claimed {
            tracee,
            cpu: idle.cpu,
        })
    }

    fn new_thread(&self, state: &mut State) -> Result<Idle> {
        let flags = code::CLONE_THREAD;
        let tid = self
            .with_leader_locked(state, |leader| leader.clone_at(Entry::Clone, flags))
            .map_err(|error| {
                if error == Errno::ESRCH {
                    error
                } else {
                    Errno::EAGAIN
                }
            })?;
        Ok(Idle {
            tid,
            cpu: state.leader_cpu,
        })
    }

    /// Takes a claimed thread back: it sleeps, or ends where enough others sleep.
    pub(super) fn give_back(&self, claimed: Claimed) {
        let mut state = self.state.lock();
        let Claimed { tracee, cpu } = claimed;
        let tid = tracee.tid();
        let result = if state.idle.len() < MAX_IDLE {
            tracee
                .release()
                .map(|()| state.idle.push(Idle { tid, cpu }))
        } else {
            tracee.retire()
        };
        let _lost = self.noticing_loss(result);
    }

    /// Marks the process lost that was found dead or was killed.
    pub(super) fn note_lost(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Attaches to a sleeping thread. One that can't be attached to is dead (`EPERM` for a zombie),
    /// or an outsider traces it: either way the stub is of no more use.
    fn attach(&self, tid: i32) -> Result<Tracee> {
        Tracee::attach(self.pid, tid).map_err(|_| {
            self.kill();
            Errno::ESRCH
        })
    }

    fn alive(&self) -> Result<()> {
        if self.is_lost() {
            Err(Errno::ESRCH)
        } else {
            Ok(())
        }
    }

    /// `ESRCH` from a tracee means that the whole process was killed, at the latest by
    /// [`Tracee::end`].
    fn noticing_loss<T>(&self, result: Result<T>) -> Result<T> {
        if result.as_ref().err() == Some(&Errno::ESRCH) {
            self.note_lost();
        }
        result
    }
}
