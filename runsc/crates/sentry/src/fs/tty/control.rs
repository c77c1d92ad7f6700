//! What a terminal controls: its session, the foreground process group, and what hanging up does
//! (`man 7 credentials`, `man 3 tcsetpgrp`, `man 2 ioctl_tty`).

use std::sync::{Arc, Weak};

use abi::Errno;

use super::{Tty, signal_process_group};
use crate::error::{Restart, Result, SysError};
use crate::kernel::credentials::Capability;
use crate::kernel::job_control;
use crate::kernel::pids::{PidNamespace, Session};
use crate::kernel::signal::{Signal, SignalInfo, state};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::Events;

/// Whether a process may use its terminal now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It may.
    Granted,
    /// It is in the background, and nothing would bring it back: EIO.
    Refused,
    /// It is in the background, and its process group was sent the signal.
    Signalled,
}

/// The session of a task.
fn session(task: &Task) -> Option<Arc<Session>> {
    session_of(task.group())
}

fn session_of(group: &ThreadGroup) -> Option<Arc<Session>> {
    group
        .process_group()
        .map(|process_group| process_group.session.clone())
}

fn leads(group: &Arc<ThreadGroup>, session: &Session) -> bool {
    let leader = session.leader.lock().upgrade();
    leader.is_some_and(|leader| Arc::ptr_eq(&leader, group))
}

/// The terminal that controls the task's session: what `/dev/tty` is.
#[must_use]
pub fn controlling_terminal(task: &Task) -> Option<Arc<Tty>> {
    terminal_of(task.group())
}

/// The terminal that controls the session of a process.
#[must_use]
pub fn terminal_of(group: &ThreadGroup) -> Option<Arc<Tty>> {
    session_of(group)?.terminal.lock().clone()
}

impl Tty {
    /// Whether it controls the task's session.
    pub(super) fn controls(&self, task: &Task) -> bool {
        controlling_terminal(task).is_some_and(|tty| std::ptr::eq(Arc::as_ptr(&tty), self))
    }

    /// Whether `task` may use the terminal; `signal` (SIGTTIN, SIGTTOU) is sent to its process group if it
    /// is in the background and may not.
    pub(super) fn access(&self, task: &Task, signal: Signal) -> Access {
        if !self.controls(task) {
            return Access::Granted;
        }
        let Some(foreground) = self.state.lock().foreground.upgrade() else {
            return Access::Granted;
        };
        let Some(own) = task.group().process_group() else {
            return Access::Granted;
        };
        if Arc::ptr_eq(&own, &foreground) {
            return Access::Granted;
        }
        if task.signal_mask().has(signal) || task.ignores(signal) {
            return if signal == Signal::SIGTTIN {
                Access::Refused
            } else {
                Access::Granted
            };
        }
        if job_control::is_orphaned(&own, None) {
            return Access::Refused;
        }
        signal_process_group(&own, signal);
        Access::Signalled
    }

    /// As [`Tty::access`] for requests that change the terminal.
    pub(super) fn check_change(&self, task: &Task) -> core::result::Result<(), SysError> {
        match self.access(task, Signal::SIGTTOU) {
            Access::Granted => Ok(()),
            Access::Refused => Err(Errno::EIO.into()),
            Access::Signalled => Err(SysError::Restart(Restart::Sys)),
        }
    }

    /// TIOCSCTTY. EPERM: the caller does not lead a session or has a terminal already, or the terminal
    /// controls another session (which `steal` with `CAP_SYS_ADMIN` takes it from).
    pub(super) fn become_controlling(self: &Arc<Self>, task: &Task, steal: bool) -> Result<()> {
        let session = session(task).ok_or(Errno::EPERM)?;
        if !leads(task.group(), &session) {
            return Err(Errno::EPERM);
        }
        let current = session.terminal.lock().clone();
        match current {
            Some(current) if Arc::ptr_eq(&current, self) => return Ok(()),
            Some(_) => return Err(Errno::EPERM),
            None => {}
        }
        let other = self.state.lock().session.upgrade();
        if let Some(other) = other {
            if !steal || !task.has_capability(Capability::SysAdmin) {
                return Err(Errno::EPERM);
            }
            other.terminal.lock().take();
        }
        self.control(task.group());
        Ok(())
    }

    /// Makes the terminal control the session of `leader`, whose process group is in the foreground.
    pub fn control(self: &Arc<Self>, leader: &ThreadGroup) {
        let Some(process_group) = leader.process_group() else {
            return;
        };
        {
            let mut state = self.state.lock();
            state.session = Arc::downgrade(&process_group.session);
            state.foreground = Arc::downgrade(&process_group);
        }
        *process_group.session.terminal.lock() = Some(self.clone());
    }

    /// On open without `O_NOCTTY`: a session leader without a terminal gets this one, if it is free.
    pub(super) fn adopt(self: &Arc<Self>, task: &Task) {
        let free = self.state.lock().session.strong_count() == 0;
        if free {
            // That the caller can't have it is no error.
            let _ = self.become_controlling(task, false);
        }
    }

    /// TIOCNOTTY. ENOTTY: it is not the caller's.
    pub(super) fn give_up(&self, task: &Task) -> Result<()> {
        let session = session(task).ok_or(Errno::ENOTTY)?;
        if !self.controls(task) {
            return Err(Errno::ENOTTY);
        }
        if leads(task.group(), &session) {
            session.terminal.lock().take();
            let foreground = self.leave_session();
            if let Some(foreground) = foreground {
                signal_process_group(&foreground, Signal::SIGHUP);
                signal_process_group(&foreground, Signal::SIGCONT);
            }
        }
        Ok(())
    }

    /// It controls no session any more. Returns what was its foreground.
    fn leave_session(&self) -> Option<Arc<crate::kernel::pids::ProcessGroup>> {
        let mut state = self.state.lock();
        state.session = Weak::new();
        std::mem::take(&mut state.foreground).upgrade()
    }

    /// TIOCGPGRP: the foreground process group as a namespace numbers it, 0 for none.
    #[must_use]
    pub fn foreground(&self, namespace: &Arc<PidNamespace>) -> u32 {
        let foreground = self.state.lock().foreground.upgrade();
        foreground.map_or(0, |group| group.numbers.in_namespace(namespace))
    }

    /// TIOCSPGRP. ENOTTY: it is not the caller's; EINVAL, ESRCH: no such group; EPERM: of another session.
    pub(super) fn set_foreground(
        &self,
        task: &Task,
        id: i32,
    ) -> core::result::Result<(), SysError> {
        self.check_change(task)?;
        let session = session(task).ok_or(Errno::ENOTTY)?;
        if !self.controls(task) {
            return Err(Errno::ENOTTY.into());
        }
        let id = u32::try_from(id).map_err(|_| Errno::EINVAL)?;
        let namespace = task.pid_namespace();
        let group = namespace.process_group(id).ok_or(Errno::ESRCH)?;
        if !Arc::ptr_eq(&group.session, &session) {
            return Err(Errno::EPERM.into());
        }
        self.state.lock().foreground = Arc::downgrade(&group);
        Ok(())
    }

    /// TIOCGSID: the session; ENOTTY if there is none.
    pub(super) fn session_id(&self, task: &Task) -> Result<u32> {
        let session = self.state.lock().session.upgrade().ok_or(Errno::ENOTTY)?;
        Ok(session.numbers.in_namespace(&task.pid_namespace()))
    }

    /// Every slave end that is open now is dead; the session has lost its terminal, and its leader is told.
    pub fn hang_up(&self) {
        let session = self.state.lock().session.upgrade();
        self.cut_off();
        self.leave_session();
        let Some(session) = session else {
            return;
        };
        session.terminal.lock().take();
        let leader = session.leader.lock().upgrade();
        if let Some(leader) = leader {
            state::send_to_group(&leader, SignalInfo::kernel(Signal::SIGHUP));
            state::send_to_group(&leader, SignalInfo::kernel(Signal::SIGCONT));
        }
    }

    fn cut_off(&self) {
        {
            let mut state = self.state.lock();
            state.hangups += 1;
            state.slaves = 0;
            state.line.flush();
        }
        let all = Events::IN | Events::OUT | Events::HUP | Events::ERR;
        self.slave_queue.wake(all);
        self.master_queue.wake(all);
    }
}

/// The leader of `session` exited: its terminal hangs up, and the foreground process group is told.
pub fn session_leader_exited(session: &Session) {
    let Some(tty) = session.terminal.lock().take() else {
        return;
    };
    let foreground = tty.leave_session();
    tty.cut_off();
    if let Some(foreground) = foreground {
        signal_process_group(&foreground, Signal::SIGHUP);
    }
}
