//! Orphaned process groups (`man 3 termios` and POSIX, 2.4.4; `man 2 setpgid`).

use std::sync::Arc;

use crate::kernel::pids::ProcessGroup;
use crate::kernel::signal::{Signal, SignalInfo, state};
use crate::kernel::thread_group::ThreadGroup;

/// The members of a process group, zombies left out.
#[must_use]
pub fn members(process_group: &Arc<ProcessGroup>) -> Vec<Arc<ThreadGroup>> {
    let mut members = process_group.members();
    members.retain(|member| !member.is_zombie());
    members
}

/// Whether no member has a parent in another process group of the same session: nobody could resume it.
/// `leaving` does not count.
#[must_use]
pub fn is_orphaned(process_group: &Arc<ProcessGroup>, leaving: Option<&Arc<ThreadGroup>>) -> bool {
    !members(process_group)
        .iter()
        .filter(|member| leaving.is_none_or(|leaving| !Arc::ptr_eq(leaving, member)))
        .any(|member| {
            let parent_group = member.parent().and_then(|parent| parent.process_group());
            parent_group.is_some_and(|parent_group| {
                !Arc::ptr_eq(&parent_group, process_group)
                    && Arc::ptr_eq(&parent_group.session, &process_group.session)
            })
        })
}

/// A group has exited: process groups that this orphans and that have stopped members get SIGHUP and
/// SIGCONT; a session that loses its leader loses its terminal.
pub(crate) fn group_exited(group: &Arc<ThreadGroup>) {
    let Some(process_group) = group.process_group() else {
        return;
    };
    let children = group.links.lock().children.clone();
    for child in children {
        if let Some(theirs) = child.process_group()
            && !Arc::ptr_eq(&theirs, &process_group)
            && Arc::ptr_eq(&theirs.session, &process_group.session)
        {
            hang_up_if_orphaned(&theirs, group);
        }
    }
    // Only if it was this exit that orphaned the group: its parent could have resumed it.
    let of_parent = group.parent().and_then(|parent| parent.process_group());
    if let Some(of_parent) = of_parent
        && !Arc::ptr_eq(&of_parent, &process_group)
        && Arc::ptr_eq(&of_parent.session, &process_group.session)
    {
        hang_up_if_orphaned(&process_group, group);
    }
    let is_leader = process_group
        .session
        .leader
        .lock()
        .upgrade()
        .is_some_and(|leader| Arc::ptr_eq(&leader, group));
    if is_leader {
        crate::fs::tty::session_leader_exited(&process_group.session);
    }
}

fn hang_up_if_orphaned(process_group: &Arc<ProcessGroup>, leaving: &Arc<ThreadGroup>) {
    let members = members(process_group);
    let stopped = members.iter().any(|member| state::is_stopped(member));
    if !stopped || !is_orphaned(process_group, Some(leaving)) {
        return;
    }
    for member in members {
        state::send_to_group(&member, SignalInfo::kernel(Signal::SIGHUP));
        state::send_to_group(&member, SignalInfo::kernel(Signal::SIGCONT));
    }
}
