//! Who hears of a file's readiness by SIGIO (`man 2 fcntl`, *Managing signals*).

use std::sync::{Arc, Weak};

use crate::kernel::pids::{PidNamespace, ProcessGroup};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;

/// The owner of an open file description.
#[derive(Clone, Debug, Default)]
pub struct FileOwner {
    /// Who is told.
    pub target: OwnerTarget,
    /// The signal instead of SIGIO, 0 for SIGIO without information (`F_SETSIG`).
    pub signal: u8,
    /// The descriptor that signals name: by which `O_ASYNC` was set.
    pub fd: i32,
    /// Real user of who set it: they must be allowed to signal the target.
    pub uid: u32,
    /// Effective user of who set it.
    pub euid: u32,
}

/// Who is told.
#[derive(Clone, Debug, Default)]
pub enum OwnerTarget {
    /// Nobody.
    #[default]
    None,
    /// One thread.
    Task(Weak<Task>),
    /// A process.
    Process(Weak<ThreadGroup>),
    /// A process group.
    Group(Weak<ProcessGroup>),
}

impl OwnerTarget {
    /// `F_GETOWN`: the id as `namespace` sees it, negative for a process group, 0 for nobody.
    #[must_use]
    pub fn id_in(&self, namespace: &Arc<PidNamespace>) -> i32 {
        let id = match self {
            OwnerTarget::None => 0,
            OwnerTarget::Task(task) => task.upgrade().map_or(0, |task| task.tid_in(namespace)),
            OwnerTarget::Process(group) => {
                group.upgrade().map_or(0, |group| group.pid_in(namespace))
            }
            OwnerTarget::Group(group) => group
                .upgrade()
                .map_or(0, |group| group.numbers.in_namespace(namespace)),
        };
        let id = i32::try_from(id).unwrap_or(0);
        if matches!(self, OwnerTarget::Group(_)) {
            -id
        } else {
            id
        }
    }
}
