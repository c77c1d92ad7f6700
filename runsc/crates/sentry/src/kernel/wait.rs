//! Waiting for children: `wait4(2)`, `waitid(2)`.

use std::sync::Arc;

use abi::Errno;
use bitflags::bitflags;

use crate::error::{Restart, SysError};
use crate::kernel::exit::{reap_locked, status_of};
use crate::kernel::pids::PidNamespace;
use crate::kernel::ptrace::{StopKind, attach};
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
    /// It stopped for its tracer, the caller: the second and third byte of the status.
    Trapped {
        code: u32,
        /// It is a group stop.
        group: bool,
    },
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
    let mut any = match scan_tracees(task, which, options, &namespace) {
        Found::Report(report) => return Ok(Some(report)),
        Found::Quiet => true,
        Found::Nobody => false,
    };
    for child in &children {
        if !is_eligible(task, child, which, options, &namespace) {
            continue;
        }
        any = true;
        // Until the tracer has waited for it, the end of a tracee is not its parent's to see.
        if child.is_zombie() && attach::foreign_tracer(child).is_some() {
            continue;
        }
        if let Some(state) = take_state(child, options) {
            return Ok(Some(report(child, state, options, &namespace)));
        }
    }
    if any { Ok(None) } else { Err(Errno::ECHILD) }
}

/// What a look at the caller's tracees finds.
enum Found {
    Report(Report),
    Quiet,
    Nobody,
}

/// Looks at what the caller's threads trace (all of them, or only the caller for NOTHREAD).
fn scan_tracees(
    task: &Task,
    which: &Which,
    options: WaitOptions,
    namespace: &Arc<PidNamespace>,
) -> Found {
    let mut any = false;
    for tracer in task.group().tasks() {
        let is_caller = std::ptr::eq(Arc::as_ptr(&tracer), task);
        if options.contains(WaitOptions::NOTHREAD) && !is_caller {
            continue;
        }
        let tracees: Vec<_> = {
            let tracees = tracer.tracees.lock();
            let each = tracees.iter();
            each.map(|tracee| (tracee.task.clone(), tracee.ended))
                .collect()
        };
        for (tracee, ended) in tracees {
            if !is_wanted(&tracee, which, namespace) {
                continue;
            }
            any = true;
            if let Some(report) = report_tracee(&tracer, &tracee, ended, options, namespace) {
                return Found::Report(report);
            }
        }
    }
    if any { Found::Quiet } else { Found::Nobody }
}

fn is_wanted(tracee: &Arc<Task>, which: &Which, namespace: &Arc<PidNamespace>) -> bool {
    match which {
        Which::Any => true,
        Which::Process(tid) => tracee.tid_in(namespace) == *tid,
        Which::ProcessGroup(id) => tracee
            .group()
            .process_group()
            .is_some_and(|group| group.numbers.in_namespace(namespace) == *id),
        Which::Group(group) => Arc::ptr_eq(group, tracee.group()) && tracee.is_leader(),
    }
}

fn report_tracee(
    tracer: &Arc<Task>,
    tracee: &Arc<Task>,
    ended: Option<ExitStatus>,
    options: WaitOptions,
    namespace: &Arc<PidNamespace>,
) -> Option<Report> {
    let keep = options.contains(WaitOptions::NOWAIT);
    let state = match ended {
        Some(status) if options.contains(WaitOptions::EXITED) => ChildState::Ended(status),
        Some(_) => return None,
        None => {
            let (code, kind) = tracee.take_trace_stop(keep)?;
            ChildState::Trapped {
                code,
                group: kind == StopKind::Group,
            }
        }
    };
    let report = Report {
        pid: tracee.tid_in(namespace),
        uid: tracee.credentials().uid,
        state,
        usage: tracee.group().usage(),
    };
    if ended.is_some() && !keep {
        attach::forget(tracer, tracee);
        if tracee.is_leader() && tracee.group().is_zombie() {
            release_to_parent(tracee.group());
        }
    }
    Some(report)
}

/// Its tracer has waited for it: now its parent may.
fn release_to_parent(group: &Arc<ThreadGroup>) {
    let reap = group
        .parent()
        .is_none_or(|parent| crate::kernel::exit::notify_parent(group, &parent));
    if reap {
        reap_locked(group);
    }
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
    // Of a tracee of its own the caller hears as its tracer.
    if child
        .leader()
        .is_some_and(|leader| is_own_tracee(child, &leader))
    {
        return None;
    }
    if options.contains(WaitOptions::STOPPED)
        && let Some(signal) = state::stop_report(child, keep)
    {
        return Some(ChildState::Stopped(signal));
    }
    (options.contains(WaitOptions::CONTINUED) && state::continue_report(child, keep))
        .then_some(ChildState::Continued)
}

/// Whether a process is traced by its own parent.
fn is_own_tracee(child: &ThreadGroup, leader: &Task) -> bool {
    leader.is_traced()
        && leader.tracer().is_some_and(|tracer| {
            child
                .parent()
                .is_some_and(|parent| Arc::ptr_eq(&parent, tracer.group()))
        })
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
