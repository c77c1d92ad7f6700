//! Installing filters: `SECCOMP_SET_MODE_STRICT`, `SECCOMP_SET_MODE_FILTER`, and filters that a process
//! starts with.

use std::sync::Arc;

use abi::Errno;
use bitflags::bitflags;

use super::State;
use super::filter::Filter;
use super::program::{Instruction, Program};
use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;

bitflags! {
    /// Flags of `SECCOMP_SET_MODE_FILTER`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct FilterFlags: u64 {
        /// Every thread of the process gets the filter.
        const TSYNC = 1;
        /// Actions other than `ALLOW` are logged.
        const LOG = 2;
        /// Does not turn on mitigations against speculation: there are none to turn on.
        const SPEC_ALLOW = 4;
        /// A listener is to decide: not supported.
        const NEW_LISTENER = 8;
        /// A thread that TSYNC can't change makes ESRCH rather than its id.
        const TSYNC_ESRCH = 16;
        /// For listeners.
        const WAIT_KILLABLE_RECV = 32;
    }
}

/// A filter for a process from outside, installed just before its first instruction: the profile of
/// `linux.seccomp` as its compiler left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialFilter {
    /// Instructions as `struct sock_filter` has them, eight bytes each, in the machine's byte order.
    pub instructions: Vec<[u8; 8]>,
    /// Of the flags, LOG and `SPEC_ALLOW` mean something here; others are EINVAL.
    pub flags: FilterFlags,
}

/// `SECCOMP_SET_MODE_STRICT`; EINVAL if there are filters.
pub fn set_strict(task: &Task) -> Result<()> {
    let _tree = task.kernel().task_set.lock();
    match task.seccomp() {
        State::Filter(_) => Err(Errno::EINVAL),
        State::Disabled | State::Strict => {
            task.set_seccomp(State::Strict);
            Ok(())
        }
    }
}

/// Who may: a task that gains nothing by `execve`, or one with `CAP_SYS_ADMIN`; EACCES.
pub fn check_permission(task: &Task) -> Result<()> {
    if task.credentials().no_new_privs || task.credentials().has_own(Capability::SysAdmin) {
        Ok(())
    } else {
        Err(Errno::EACCES)
    }
}

/// Installs `program` on `task`, or with TSYNC on its whole process. The id of a thread that can't follow,
/// 0 if all is well. EINVAL in strict mode, ENOMEM, ESRCH (see [`FilterFlags::TSYNC_ESRCH`]).
pub fn install(task: &Task, program: Program, flags: FilterFlags) -> Result<u32> {
    let _tree = task.kernel().task_set.lock();
    let below = match task.seccomp() {
        State::Disabled => None,
        State::Filter(filter) => Some(filter),
        State::Strict => return Err(Errno::EINVAL),
    };
    let others = if flags.contains(FilterFlags::TSYNC) {
        siblings(task)
    } else {
        Vec::new()
    };
    if let Some(stuck) = others
        .iter()
        .find(|other| !may_follow(other, below.as_ref()))
    {
        return if flags.contains(FilterFlags::TSYNC_ESRCH) {
            Err(Errno::ESRCH)
        } else {
            Ok(stuck.tid_in(&task.pid_namespace()))
        };
    }
    let filter = Filter::stack(program, below, flags.contains(FilterFlags::LOG))?;
    task.set_seccomp(State::Filter(filter.clone()));
    let no_new_privs = task.credentials().no_new_privs;
    for other in others {
        other.set_seccomp(State::Filter(filter.clone()));
        if no_new_privs && !other.credentials().no_new_privs {
            let mut credentials = (*other.credentials()).clone();
            credentials.no_new_privs = true;
            other.set_credentials(credentials);
        }
    }
    Ok(0)
}

fn siblings(task: &Task) -> Vec<Arc<Task>> {
    let mut tasks = task.group().tasks();
    tasks.retain(|other| !std::ptr::eq(Arc::as_ptr(other), task) && !other.has_left_signals());
    tasks
}

/// A thread can take over the caller's filters if its own are among them.
fn may_follow(other: &Task, filters: Option<&Arc<Filter>>) -> bool {
    match other.seccomp() {
        State::Disabled => true,
        State::Strict => false,
        State::Filter(theirs) => filters.is_some_and(|ours| ours.contains(&theirs)),
    }
}

/// Installs what a process from outside starts with, the first at the bottom; EINVAL, ENOMEM.
pub(crate) fn install_initial(task: &Task, filters: &[InitialFilter]) -> Result<()> {
    for filter in filters {
        let known = FilterFlags::LOG | FilterFlags::SPEC_ALLOW;
        if !known.contains(filter.flags) {
            return Err(Errno::EINVAL);
        }
        let instructions = filter.instructions.iter().copied();
        let program = Program::new(instructions.map(Instruction::from_bytes).collect())?;
        install(task, program, filter.flags)?;
    }
    Ok(())
}
