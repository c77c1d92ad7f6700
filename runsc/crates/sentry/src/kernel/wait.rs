//! Waiting for children: `wait4(2)`, `waitid(2)`.

use std::sync::Arc;

use abi::Errno;
use bitflags::bitflags;

use crate::error::{Restart, SysError};
use crate::kernel::exit::{reap_locked, status_of};
use crate::kernel::pids::PidNamespace;
use crate::kernel::signal::{Signal, state};
use crate::kernel::task::{RunState, Task};
use crate::kernel::thread_group::{ExitStatus, ThreadGroup, Usage};
use crate::kernel::wait_queue::Events;

bitflags! {
    /// Options of `wait4(2)` and `waitid(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WaitOptions: u32 {
        const NOHANG = 1;
        const STOPPED = 2;
        const EXITED = 4;
        const CONTINUED = 8;
        const NOWAIT = 0x0100_0000;
        const NOTHREAD = 0x2000_0000;
        const ALL = 0x4000_0000;
        const CLONE = 0x8000_0000;
    }
}

/// Which children count.
#[derive(Clone, Debug)]
pub enum Which {
    /// Any.
    Any,
    /// The one with this process id.
    Process(u32),
    /// Those of this process group.
    ProcessGroup(u32),
    /// This one (a pidfd).
    Group(Arc<ThreadGroup>),
}

/// What a child did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It ended.
    Ended(ExitStatus),
    /// It was stopped by this signal.
    Stopped(Signal),
    /// SIGCONT resumed it.
    Continued,
}

/// A child that has something to report.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Its process id as the caller sees it.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
    /// What it did.
    pub state: ChildState,
    /// What it used, with its waited-for children.
    pub usage: Usage,
}

/// Waits as `options` say. None: NOHANG, and nothing to report yet. ECHILD: no such child.
pub fn wait(task: &Task, which: &Which, options: WaitOptions) -> Result<Option<Report>, SysError> {
    let attempt = || scan(task, which, options).transpose();
    if options.contains(WaitOptions::NOHANG) {
        return attempt().transpose().map_err(SysError::Errno);
    }
    match task.wait_for(&[(&task.group().child_events, Events::IN)], None, attempt) {
        Ok(report) => Ok(Some(report?)),
        Err(_) => Err(SysError::Restart(Restart::Sys)),
    }
}

/// Looks at every child once.
fn scan(task: &Task, which: &Which, options: WaitOptions) -> Result<Option<Report>, Errno> {
    let _tree = task.kernel().task_set.lock();
    let namespace = task.pid_namespace();
    let children = task.group().links.lock().children.clone();
    let mut any = false;
    for child in &children {
        if !is_eligible(task, child, which, options, &namespace) {
            continue;
        }
        any = true;
        if let Some(state) = take_state(child, options) {
            return Ok(Some(report(child, state, options, &namespace)));
        }
    }
    if any { Ok(None) } else { Err(Errno::ECHILD) }
}

fn is_eligible(
    waiter: &Task,
    child: &Arc<ThreadGroup>,
    which: &Which,
    options: WaitOptions,
    namespace: &Arc<PidNamespace>,
) -> bool {
    let matches = match which {
        Which::Any => true,
        Which::Process(pid) => child.pid_in(namespace) == *pid,
        Which::ProcessGroup(id) => child
            .process_group()
            .is_some_and(|group| group.numbers.in_namespace(namespace) == *id),
        Which::Group(group) => Arc::ptr_eq(group, child),
    };
    // A child whose exit signal is not SIGCHLD is a "clone" child (man 2 wait, __WCLONE).
    let is_clone =
        child.exit_signal.load(std::sync::atomic::Ordering::Relaxed) != Signal::SIGCHLD.number();
    let made_here = child.links.lock().maker.upgrade().is_none_or(|maker| {
        std::ptr::eq(&raw const *maker, waiter) || maker.run_state() == RunState::Dead
    });
    if options.contains(WaitOptions::NOTHREAD) && !made_here {
        return false;
    }
    matches
        && (options.contains(WaitOptions::ALL) || options.contains(WaitOptions::CLONE) == is_clone)
}

/// What the child has to report of what the options ask for.
fn take_state(child: &Arc<ThreadGroup>, options: WaitOptions) -> Option<ChildState> {
    let keep = options.contains(WaitOptions::NOWAIT);
    if child.is_zombie() {
        return options
            .contains(WaitOptions::EXITED)
            .then(|| ChildState::Ended(status_of(child)));
    }
    if options.contains(WaitOptions::STOPPED)
        && let Some(signal) = state::stop_report(child, keep)
    {
        return Some(ChildState::Stopped(signal));
    }
    (options.contains(WaitOptions::CONTINUED) && state::continue_report(child, keep))
        .then_some(ChildState::Continued)
}

fn report(
    child: &Arc<ThreadGroup>,
    state: ChildState,
    options: WaitOptions,
    namespace: &Arc<PidNamespace>,
) -> Report {
    let mut usage = child.usage();
    usage.add(&child.links.lock().children_usage);
    let report = Report {
        pid: child.pid_in(namespace),
        uid: child.leader().map_or(0, |leader| leader.credentials().uid),
        state,
        usage,
    };
    if matches!(state, ChildState::Ended(_)) && !options.contains(WaitOptions::NOWAIT) {
        reap_locked(child);
    }
    report
}
