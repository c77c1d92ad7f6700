//! Who traces whom.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;

use super::{Options, Tracee, Tracing, access};
use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::exit;
use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::task::Task;
use crate::kernel::thread_group::{ExitStatus, ThreadGroup};

/// `PTRACE_TRACEME`: the thread that made the caller's process traces the caller; EPERM if another does.
pub fn trace_me(task: &Task) -> Result<()> {
    let _tree = task.kernel().task_set.lock();
    let parent = task.group().parent().ok_or(Errno::EPERM)?;
    let maker = task.group().links.lock().maker.upgrade();
    let maker = maker.filter(|maker| {
        Arc::ptr_eq(maker.group(), &parent) && !maker.has_left_signals() && !maker.is_exiting()
    });
    let tracer = maker.or_else(|| parent.leader()).ok_or(Errno::EPERM)?;
    // As `security_ptrace_traceme` has it: the parent gets no more than it has already.
    let (theirs, mine) = (tracer.credentials(), task.credentials());
    let covers = Arc::ptr_eq(&theirs.user_ns, &mine.user_ns)
        && mine.permitted.is_subset_of(theirs.permitted);
    if !covers && !theirs.has_in(&mine.user_ns, Capability::SysPtrace) {
        return Err(Errno::EPERM);
    }
    let myself = task.pid_namespace().task(task.tid()).ok_or(Errno::EPERM)?;
    link(
        &myself,
        &tracer,
        Tracing::new(&tracer, false, Options::empty()),
    )
}

/// `PTRACE_ATTACH` and `PTRACE_SEIZE` (with options): EPERM, ESRCH.
pub fn attach(task: &Task, target: &Arc<Task>, seize: Option<Options>) -> Result<()> {
    if Arc::ptr_eq(task.group(), target.group()) {
        return Err(Errno::EPERM);
    }
    access::check(task, target, access::Mode::Real)?;
    let tracer = task.pid_namespace().task(task.tid()).ok_or(Errno::EPERM)?;
    {
        let _tree = task.kernel().task_set.lock();
        if target.has_left_signals() || target.is_exiting() {
            return Err(Errno::EPERM);
        }
        let options = seize.unwrap_or_default();
        link(
            target,
            &tracer,
            Tracing::new(&tracer, seize.is_some(), options),
        )?;
    }
    if seize.is_none() {
        send::send_to_task(target, SignalInfo::user(Signal::SIGSTOP, 0, 0));
    }
    // One that is stopped already stops for its tracer now.
    target.signal_pending.store(true, Ordering::Release);
    target.kick();
    Ok(())
}

/// The task set must be locked; EPERM if it is traced already.
fn link(target: &Arc<Task>, tracer: &Arc<Task>, tracing: Tracing) -> Result<()> {
    {
        let mut slot = target.tracing.lock();
        if slot.as_ref().is_some_and(|tracing| !tracing.detached) {
            return Err(Errno::EPERM);
        }
        *slot = Some(Box::new(tracing));
        target.traced.store(true, Ordering::Release);
    }
    tracer.tracees.lock().push(Tracee {
        task: target.clone(),
        ended: None,
    });
    Ok(())
}

/// A new child of a tracee is traced by the same tracer. The task set must be locked, and the child must
/// not run yet.
pub(crate) fn inherit(parent: &Task, child: &Arc<Task>) {
    let tracing = {
        let slot = parent.tracing.lock();
        let Some(tracing) = slot.as_ref().filter(|tracing| !tracing.detached) else {
            return;
        };
        let Some(tracer) = tracing.tracer.upgrade() else {
            return;
        };
        let mut new = Tracing::new(&tracer, tracing.seized, tracing.options);
        new.trap_requested = tracing.seized;
        new.credentials = tracing.credentials.clone();
        (tracer, new)
    };
    let (tracer, new) = tracing;
    let seized = new.seized;
    if link(child, &tracer, new).is_ok() && !seized {
        child.signals.lock().add_stop_for_tracer();
    }
}

/// `PTRACE_DETACH` of a stopped tracee, and what a tracer's end does: it goes on with `signal`. The task set
/// must be locked.
pub(super) fn unlink(tracer: &Task, target: &Arc<Task>, signal: u8) {
    tracer
        .tracees
        .lock()
        .retain(|tracee| !Arc::ptr_eq(&tracee.task, target));
    {
        let mut slot = target.tracing.lock();
        target.traced.store(false, Ordering::Release);
        match slot.as_mut() {
            Some(tracing) if tracing.stop.is_some() => {
                tracing.resume = Some(signal);
                tracing.detached = true;
            }
            _ => *slot = None,
        }
    }
    target.signal_pending.store(true, Ordering::Release);
    target.kick();
}

/// The tracer exits: its tracees go on untraced, or are killed (`PTRACE_O_EXITKILL`). The task set must be
/// locked; what is returned is to be killed, and these parents told, once it is not.
pub(crate) fn release_all(tracer: &Task) -> Vec<(Arc<Task>, Release)> {
    let tracees = std::mem::take(&mut *tracer.tracees.lock());
    let mut after = Vec::new();
    for tracee in tracees {
        let kills = tracee
            .task
            .tracing
            .lock()
            .as_ref()
            .is_some_and(|tracing| tracing.options.contains(Options::EXITKILL));
        unlink(tracer, &tracee.task, 0);
        if tracee.ended.is_some() {
            after.push((tracee.task, Release::Ended));
        } else if kills {
            after.push((tracee.task, Release::Kill));
        }
    }
    after
}

/// What is left to do for a tracee whose tracer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// It is to be killed.
    Kill,
    /// It has ended, and its parent has not been told yet.
    Ended,
}

/// Whom the end of `group` is told before its parent: a tracer that is not of the parent's process.
pub(crate) fn foreign_tracer(group: &ThreadGroup) -> Option<Arc<Task>> {
    let tracer = group.leader()?.tracer()?;
    let parent = group.parent();
    let own_child = parent.is_some_and(|parent| Arc::ptr_eq(&parent, tracer.group()));
    (!own_child).then_some(tracer)
}

/// The task has ended: its tracer's wait is to tell. Returns false if nobody waits for it. The task set must
/// be locked.
pub(crate) fn record_end(task: &Task, tracer: &Task, status: ExitStatus) -> bool {
    let mut tracees = tracer.tracees.lock();
    let tracee = tracees
        .iter_mut()
        .find(|tracee| std::ptr::eq(Arc::as_ptr(&tracee.task), task));
    tracee.is_some_and(|tracee| {
        tracee.ended = Some(status);
        true
    })
}

/// Takes a tracee that has ended off its tracer's list. The task set must be locked.
pub(crate) fn forget(tracer: &Task, task: &Arc<Task>) {
    tracer
        .tracees
        .lock()
        .retain(|tracee| !Arc::ptr_eq(&tracee.task, task));
    task.traced.store(false, Ordering::Release);
    *task.tracing.lock() = None;
}

/// `PTRACE_KILL`, and the end of a tracer with EXITKILL.
pub(crate) fn kill(target: &Task) {
    let killed = ExitStatus::Killed {
        signal: Signal::SIGKILL,
        core: false,
    };
    exit::end_group(target.group(), killed);
}
