//! A stub process: its helper, its sleeping threads, and calls into its address space from OS
//! threads that have no thread of their own in it.

use super::affinity::follow;
use super::batch::{Commands, Queue};
use super::code::{self, Entry};
use super::own::{self, Own};
use super::title;
use super::tracee::{Call, Tracee};
use crate::Result;
use abi::Errno;
use parking_lot::Mutex;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sleeping threads that a stub keeps for the next context.
const MAX_IDLE: usize = 8;

/// A stub process.
#[derive(Debug)]
pub(super) struct Stub {
    pid: i32,
    /// The sleeping thread that serves those who have none of their own in the space. It is not the
    /// process's first: of that one, the kernel tells its tracer the end only when all others have
    /// been waited for, and their tracers may be anywhere.
    helper: i32,
    /// The process has ended or was killed.
    lost: AtomicBool,
    /// Something has to be done before application code runs: calls were put off, or have failed.
    unsettled: AtomicBool,
    /// It bears the name and command line of what ran in it.
    named: AtomicBool,
    state: Mutex<State>,
}

/// Calls that are not put off after one that was put off has failed, so that its caller learns why.
const CAREFUL_CALLS: u32 = 64;

#[derive(Debug)]
struct State {
    /// Calls that were put off.
    queue: Queue,
    /// One of them failed: what is mapped is not what the Sentry believes.
    failed: bool,
    /// How many calls to go that are not put off.
    careful: u32,
    /// Contexts in the space.
    nr_claimed: usize,
    /// Sleeping threads besides the helper, traced by nobody.
    idle: Vec<Idle>,
    /// The processor that the helper was last bound to.
    helper_cpu: Option<i32>,
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

impl State {
    /// Whether nobody can tell when a call is performed, for no thread but the caller's, if it has
    /// one, is in the space, or the caller does not mind.
    fn may_put_off(&self, own: Option<&Own>) -> bool {
        let unseen = match own {
            None => self.nr_claimed == 0,
            Some(own) => self.nr_claimed == 1 || own.is_grouping(),
        };
        unseen && self.careful == 0 && !self.failed
    }
}

impl Stub {
    /// Wraps a process that is asleep in stub code and whose only thread is its helper too.
    pub(super) fn of_one_thread(pid: i32) -> Arc<Stub> {
        Stub::new(pid, pid, None)
    }

    /// Wraps a new process, whose only thread is in stub code, and makes its helper.
    ///
    /// # Errors
    /// `EAGAIN` when the host gives no more threads, `ESRCH` when the process is gone. It is to be
    /// killed and reaped.
    pub(super) fn with_new_helper(pid: i32, commands: Option<Commands>) -> Result<Arc<Stub>> {
        follow(pid, &mut None);
        let first = Tracee::attach(pid, pid)?;
        // It must have asked to die with its parent before it sleeps for ever.
        first.settle(code::is_idle)?;
        let helper = first.clone_at(Entry::Clone, code::CLONE_THREAD)?;
        first.release()?;
        Ok(Stub::new(pid, helper, commands))
    }

    fn new(pid: i32, helper: i32, commands: Option<Commands>) -> Arc<Stub> {
        let state = State {
            queue: Queue::new(commands),
            failed: false,
            careful: 0,
            nr_claimed: 0,
            idle: Vec::new(),
            helper_cpu: None,
        };
        Arc::new(Stub {
            pid,
            helper,
            lost: AtomicBool::new(false),
            unsettled: AtomicBool::new(false),
            named: AtomicBool::new(false),
            state: Mutex::new(state),
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

    /// Whether it bears a name, which whatever runs in it next could read and would be listed with.
    pub(super) fn is_named(&self) -> bool {
        self.named.load(Ordering::Acquire)
    }

    /// Kills the process. Its id stays its own until the keeper has reaped it, which happens only
    /// after the last use of this.
    pub(super) fn kill(&self) {
        self.note_lost();
        let _gone = host::ptrace::kill_process(self.pid);
    }

    /// Performs a mapping call in the process, at the latest before application code runs in it.
    /// With a file, it is an mmap of that.
    ///
    /// # Errors
    /// The call's, unless it was put off; `ESRCH` when the process is gone.
    pub(super) fn change(self: &Arc<Stub>, call: Call, file: Option<BorrowedFd<'_>>) -> Result<()> {
        let own = own::in_stub(self);
        let mut state = self.state.lock();
        self.alive()?;
        if state.may_put_off(own.as_deref()) && state.queue.push(call, file) {
            self.unsettled.store(true, Ordering::Release);
            return Ok(());
        }
        self.settle(&mut state, own.as_deref());
        state.careful = state.careful.saturating_sub(1);
        self.perform(&mut state, own.as_deref(), |tracee| {
            tracee.call(call).map(drop)
        })
    }

    /// Puts the calling OS thread's next calls off even where it is not alone in the space, if it has
    /// a thread of its own there.
    pub(super) fn open_group(self: &Arc<Stub>) -> Option<Arc<Own>> {
        let own = own::in_stub(self)?;
        own.open_group();
        Some(own)
    }

    /// Performs what was put off since, unless the calling OS thread is alone in the space.
    ///
    /// # Errors
    /// `EAGAIN` when something that was put off has failed; `ESRCH` when the process is gone.
    pub(super) fn close_group(&self, own: &Own) -> Result<()> {
        if !own.close_group() {
            return Ok(());
        }
        let mut state = self.state.lock();
        if !state.may_put_off(Some(own)) {
            self.settle(&mut state, Some(own));
        }
        self.alive()?;
        if state.failed {
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }

    /// Unmaps everything that application code may have mapped, at once. What was put off before
    /// does not matter any more, nor that some of it failed.
    ///
    /// # Errors
    /// `ESRCH` when the process is gone.
    pub(super) fn unmap_all(self: &Arc<Stub>) -> Result<()> {
        let own = own::in_stub(self);
        let mut state = self.state.lock();
        state.queue.clear();
        let call = (
            libc::SYS_munmap,
            [0, u64::try_from(code::BASE).unwrap_or(u64::MAX), 0, 0, 0, 0],
        );
        self.perform(&mut state, own.as_deref(), |tracee| {
            tracee.call(call).map(drop)
        })?;
        state.failed = false;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Performs what was put off, on the calling OS thread's own stopped thread, which is about to
    /// run. False if some of it has failed, and the space was not emptied since.
    pub(super) fn is_settled(&self, own: &Own) -> bool {
        if !self.unsettled.load(Ordering::Acquire) {
            return true;
        }
        let mut state = self.state.lock();
        self.settle(&mut state, Some(own));
        !state.failed
    }

    fn settle(&self, state: &mut State, own: Option<&Own>) {
        if state.queue.is_empty() {
            return;
        }
        let mut queue = std::mem::replace(&mut state.queue, Queue::new(None));
        let result = self.perform(state, own, |tracee| queue.perform(tracee));
        state.queue = queue;
        if let Err(error) = result {
            tracing::debug!(pid = self.pid, %error, "a mapping call that was put off has failed");
            state.failed = true;
            state.careful = CAREFUL_CALLS;
        }
        self.unsettled.store(state.failed, Ordering::Release);
    }

    /// Has calls performed on the calling OS thread's own stopped thread if it has one, else on the
    /// helper.
    fn perform<T>(
        &self,
        state: &mut State,
        own: Option<&Own>,
        work: impl FnOnce(&Tracee) -> Result<T>,
    ) -> Result<T> {
        match own {
            Some(own) => {
                self.alive()?;
                own.mark_clobbered();
                own.follower().follow();
                self.noticing_loss(work(own.tracee()))
            }
            None => self.with_helper_locked(state, work),
        }
    }

    /// Attaches to the helper for the length of `work`.
    ///
    /// # Errors
    /// `work`'s, or `ESRCH` when the process is gone.
    pub(super) fn with_helper<T>(&self, work: impl FnOnce(&Tracee) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        self.with_helper_locked(&mut state, work)
    }

    fn with_helper_locked<T>(
        &self,
        state: &mut State,
        work: impl FnOnce(&Tracee) -> Result<T>,
    ) -> Result<T> {
        self.alive()?;
        follow(self.helper, &mut state.helper_cpu);
        let helper = self.attach(self.helper)?;
        let result = self.noticing_loss(work(&helper));
        if result.as_ref().err() != Some(&Errno::ESRCH) {
            self.noticing_loss(helper.release())?;
        }
        result
    }

    /// Names the process, as the host's `ps` shows it, by way of its first thread, which does nothing
    /// else. Where that fails, it keeps its name.
    pub(super) fn name(&self, name: &[u8], command_line: &[u8]) {
        let mut state = self.state.lock();
        if self.alive().is_err() {
            return;
        }
        let Ok(first) = Tracee::attach(self.pid, self.pid) else {
            return;
        };
        self.named.store(true, Ordering::Release);
        let named = state
            .queue
            .name(&first, name)
            .and_then(|()| title::write(&first, command_line));
        if named != Err(Errno::ESRCH) {
            let _lost = self.noticing_loss(first.release());
        }
    }

    /// Takes a sleeping thread, or makes one, and stops it: the calling OS thread is its tracer. What
    /// was put off still is: whoever runs first in the space performs it.
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
        state.nr_claimed += 1;
        Ok(Claimed {
            tracee,
            cpu: idle.cpu,
        })
    }

    fn new_thread(&self, state: &mut State) -> Result<Idle> {
        let flags = code::CLONE_THREAD;
        let tid = self
            .with_helper_locked(state, |helper| helper.clone_at(Entry::Clone, flags))
            .map_err(|error| {
                if error == Errno::ESRCH {
                    error
                } else {
                    Errno::EAGAIN
                }
            })?;
        Ok(Idle {
            tid,
            cpu: state.helper_cpu,
        })
    }

    /// Takes a claimed thread back: it sleeps, or ends where enough others sleep.
    pub(super) fn give_back(&self, claimed: Claimed) {
        let mut state = self.state.lock();
        state.nr_claimed = state.nr_claimed.saturating_sub(1);
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
