//! The members of groups: `cgroup.procs`, `tasks`, `cgroup.threads`, and what counts them.

use std::fmt::Write as _;
use std::sync::Arc;

use abi::Errno;

use super::files::View;
use crate::error::Result;
use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::thread_group::ThreadGroup;

fn members(view: &View<'_>) -> Vec<Arc<ThreadGroup>> {
    view.hierarchy.members(view.kernel(), view.group, false)
}

/// The process ids, as the reader's namespace numbers them.
pub(super) fn processes(view: &View<'_>) -> String {
    let namespace = view.task.pid_namespace();
    let ids = members(view).into_iter().map(|who| who.pid_in(&namespace));
    lines(ids)
}

/// The thread ids.
pub(super) fn threads(view: &View<'_>) -> String {
    let namespace = view.task.pid_namespace();
    let tasks = members(view).into_iter().flat_map(|who| who.tasks());
    lines(tasks.map(|task| task.tid_in(&namespace)))
}

fn lines(ids: impl Iterator<Item = u32>) -> String {
    let mut ids: Vec<u32> = ids.filter(|id| *id != 0).collect();
    ids.sort_unstable();
    let mut text = String::new();
    for id in ids {
        let _ = writeln!(text, "{id}");
    }
    text
}

/// Moves the process of the id that was written, 0 for the writer's own; a thread takes its whole process
/// along. ESRCH; EACCES unless the writer is root or the process's user; EBUSY for a group of version 2
/// that has given its controllers to those below it.
pub(super) fn take_in(view: &View<'_>, text: &str) -> Result<()> {
    let id: u32 = text.parse().map_err(|_| Errno::EINVAL)?;
    let who = if id == 0 {
        view.task.group().clone()
    } else {
        let found = view.task.pid_namespace().task(id).ok_or(Errno::ESRCH)?;
        found.group().clone()
    };
    let writer = view.task.credentials();
    let leader = who.leader().ok_or(Errno::ESRCH)?;
    let owner = leader.credentials();
    if writer.euid != 0 && writer.euid != owner.uid && writer.euid != owner.suid {
        return Err(Errno::EACCES);
    }
    let gives = view.group.setting(super::v2::SUBTREE_CONTROL);
    if !view.group.is_root() && gives.is_some_and(|names| !names.is_empty()) {
        return Err(Errno::EBUSY);
    }
    view.hierarchy.move_to(&who, view.group)
}

/// `cgroup.kill`: SIGKILL for all members, also of groups below.
pub(super) fn kill(view: &View<'_>, text: &str) -> Result<()> {
    if text != "1" {
        return Err(Errno::ERANGE);
    }
    for who in view.hierarchy.members(view.kernel(), view.group, true) {
        send::send_to_group(&who, SignalInfo::kernel(Signal::SIGKILL));
    }
    Ok(())
}

/// Whether there is a member here or below, and whether they are frozen.
pub(super) fn events(view: &View<'_>) -> String {
    let members = view.hierarchy.members(view.kernel(), view.group, true);
    format!("populated {}\nfrozen 0\n", u8::from(!members.is_empty()))
}

/// `pids.current`
pub(super) fn task_count(view: &View<'_>) -> String {
    format!("{}\n", view.hierarchy.task_count(view.kernel(), view.group))
}

/// `pids.max`
pub(super) fn most_tasks(view: &View<'_>) -> String {
    let most = if view.group.is_root() {
        let (_, most) = view.kernel().root_pid_ns().task_count();
        most.map(|most| most as u64)
    } else {
        view.group.max_tasks()
    };
    most.map_or_else(|| "max\n".to_owned(), |most| format!("{most}\n"))
}

/// Sets `pids.max`; EPERM in the root, whose limit is the container's.
pub(super) fn set_most_tasks(view: &View<'_>, text: &str) -> Result<()> {
    if view.group.is_root() {
        return Err(Errno::EPERM);
    }
    let most = match text {
        "max" => None,
        number => Some(number.parse().map_err(|_| Errno::EINVAL)?),
    };
    view.group.set_max_tasks(most);
    Ok(())
}

/// `pids.events`
pub(super) fn refusals(view: &View<'_>) -> String {
    format!("max {}\n", view.group.refused_tasks())
}
