//! proc (`man 5 proc`): what programs read of processes and of the system.
//!
//! One instance shows one pid namespace. [`process`] holds what is in `/proc/[pid]`, [`system`] the files of
//! the root, [`sysctl`] what is in `/proc/sys`.

mod inet_sockets;
mod net;
mod process;
mod sysctl;
mod sysctl_values;
mod system;
mod sysvipc;

pub use sysctl_values::Values as SysctlValues;

use std::sync::{Arc, Weak};

use abi::Errno;

use crate::error::Result;
use crate::fs::synthetic::{
    Body, Directory, Entry, Link, Owner, StaticDirectory, SyntheticFs, SyntheticType,
};
use crate::kernel::Kernel;
use crate::kernel::pids::PidNamespace;
use crate::kernel::task::{RunState, Task};
use crate::vfs::attr::FileType;
use crate::vfs::inode::LinkTarget;

const TYPE: SyntheticType = SyntheticType {
    name: "proc",
    magic: 0x9fa0, // PROC_SUPER_MAGIC
    block_size: 1024,
};

/// A new instance that shows the processes of `namespace`.
#[must_use]
pub fn new(kernel: &Arc<Kernel>, namespace: &Arc<PidNamespace>) -> Arc<SyntheticFs> {
    let myself = |which| {
        let namespace = namespace.clone();
        Entry::link(Arc::new(SelfLink { which, namespace }))
    };
    let fixed = system::files().into_iter().chain([
        ("self", myself(Which::Process)),
        ("thread-self", myself(Which::Thread)),
        ("sys", Entry::directory(sysctl::root())),
        ("sysvipc", Entry::directory(sysvipc::directory())),
    ]);
    let root = RootDirectory {
        namespace: namespace.clone(),
        fixed: StaticDirectory::new(fixed),
    };
    SyntheticFs::new(
        TYPE,
        kernel.vfs.anonymous_device(),
        Entry::directory(Arc::new(root)),
    )
}

/// `/proc`: fixed files, and a directory for every process. A thread's number leads to a directory too, but
/// is not listed.
#[derive(Debug)]
struct RootDirectory {
    namespace: Arc<PidNamespace>,
    fixed: Arc<StaticDirectory>,
}

/// The number that a name spells as the kernel would write it: no sign, no leading zero.
fn parse_id(name: &[u8]) -> Result<u32> {
    let text = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if canonical {
        text.parse().map_err(|_| Errno::ENOENT)
    } else {
        Err(Errno::ENOENT)
    }
}

impl Directory for RootDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        let Ok(id) = parse_id(name) else {
            return self.fixed.entry(name);
        };
        let task = self.namespace.task(id).ok_or(Errno::ENOENT)?;
        let directory = process::ProcessDirectory::of_group(&self.namespace, &task);
        Ok(of_task(&task, Body::Directory(Arc::new(directory)), 0o555))
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        let mut names = self.fixed.names()?;
        let ids = self.namespace.groups().into_iter().map(|(id, _)| id);
        names.extend(ids.map(|id| (id.to_string().into_bytes(), FileType::Directory)));
        Ok(names)
    }
}

/// An entry that belongs to `task` and lasts as long as that.
fn of_task(task: &Arc<Task>, body: Body, permissions: u32) -> Entry {
    // Where a task is in memory tells it from all others that live, and its start from those before it.
    let identity = Arc::as_ptr(task).addr() as u64;
    let start = task
        .group()
        .start_ns
        .load(std::sync::atomic::Ordering::Relaxed);
    Entry {
        body,
        permissions,
        owner: Owner::Task(Arc::downgrade(task)),
        identity: identity ^ start.rotate_left(17),
    }
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Process,
    Thread,
}

/// `/proc/self` and `/proc/thread-self`: the reader's number in the namespace that this instance shows; ENOENT
/// if it has none there.
#[derive(Debug)]
struct SelfLink {
    which: Which,
    namespace: Arc<PidNamespace>,
}

impl Link for SelfLink {
    fn target(&self, task: &Task) -> Result<LinkTarget> {
        let pid = task.group().pid_in(&self.namespace);
        if pid == 0 {
            return Err(Errno::ENOENT);
        }
        let text = match self.which {
            Which::Process => pid.to_string(),
            Which::Thread => format!("{pid}/task/{}", task.tid_in(&self.namespace)),
        };
        Ok(LinkTarget::Path(text.into_bytes()))
    }
}

/// A task that may be gone: ESRCH then, as reading an open file of an exited process is.
fn alive(task: &Weak<Task>) -> Result<Arc<Task>> {
    task.upgrade()
        .filter(|task| task.run_state() != RunState::Dead)
        .ok_or(Errno::ESRCH)
}
