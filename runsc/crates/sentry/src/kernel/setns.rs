//! Namespaces as objects: what `/proc/[pid]/ns/*` opens, and joining them (`man 2 setns`, `man 2 ioctl_nsfs`).

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::kernel::clone::CloneFlags;
use crate::kernel::credentials::Capability;
use crate::kernel::ipc::IpcNamespace;
use crate::kernel::namespaces::{Namespaces, UtsNamespace};
use crate::kernel::pids::PidNamespace;
use crate::kernel::task::Task;
use crate::kernel::user_namespace::{self, UserNamespace};
use crate::socket::inet::network::Network;
use crate::vfs::mount::MountNamespace;

/// A namespace of any kind.
#[derive(Clone, Debug)]
pub enum Namespace {
    /// Host and domain name.
    Uts(Arc<UtsNamespace>),
    /// Mounts.
    Mount(Arc<MountNamespace>),
    /// System V IPC.
    Ipc(u64, Arc<IpcNamespace>, Arc<UserNamespace>),
    /// Network.
    Net(Arc<Network>, Arc<UserNamespace>),
    /// Cgroup.
    Cgroup(u64, Arc<UserNamespace>),
    /// Time.
    Time(u64, Arc<UserNamespace>),
    /// Processes.
    Pid(Arc<PidNamespace>),
    /// Users.
    User(Arc<UserNamespace>),
}

impl Namespace {
    /// Inode number in nsfs.
    #[must_use]
    pub fn ino(&self) -> u64 {
        match self {
            Namespace::Uts(uts) => uts.ino,
            Namespace::Mount(mounts) => mounts.ino,
            Namespace::Net(net, _) => net.ino,
            Namespace::Ipc(ino, ..) | Namespace::Cgroup(ino, _) | Namespace::Time(ino, _) => *ino,
            Namespace::Pid(pid) => pid.ino,
            Namespace::User(user) => user.ino,
        }
    }

    /// What links call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Namespace::Uts(_) => "uts",
            Namespace::Mount(_) => "mnt",
            Namespace::Ipc(..) => "ipc",
            Namespace::Net(..) => "net",
            Namespace::Cgroup(..) => "cgroup",
            Namespace::Time(..) => "time",
            Namespace::Pid(_) => "pid",
            Namespace::User(_) => "user",
        }
    }

    /// Its kind as a flag of `clone(2)`.
    #[must_use]
    pub fn kind(&self) -> CloneFlags {
        match self {
            Namespace::Uts(_) => CloneFlags::NEWUTS,
            Namespace::Mount(_) => CloneFlags::NEWNS,
            Namespace::Ipc(..) => CloneFlags::NEWIPC,
            Namespace::Net(..) => CloneFlags::NEWNET,
            Namespace::Cgroup(..) => CloneFlags::NEWCGROUP,
            Namespace::Time(..) => CloneFlags::NEWTIME,
            Namespace::Pid(_) => CloneFlags::NEWPID,
            Namespace::User(_) => CloneFlags::NEWUSER,
        }
    }

    /// The user namespace that owns it; its parent for one of users, none for the outermost.
    #[must_use]
    pub fn owner(&self) -> Option<Arc<UserNamespace>> {
        match self {
            Namespace::Uts(uts) => Some(uts.user_ns.clone()),
            Namespace::Mount(mounts) => Some(mounts.user_ns.clone()),
            Namespace::Ipc(_, _, owner)
            | Namespace::Net(_, owner)
            | Namespace::Cgroup(_, owner)
            | Namespace::Time(_, owner) => Some(owner.clone()),
            Namespace::Pid(pid) => Some(pid.user_ns.clone()),
            Namespace::User(user) => user.parent.clone(),
        }
    }

    /// The namespace that it was made in, of those that nest; EINVAL for others.
    pub fn parent(&self) -> Result<Option<Namespace>> {
        match self {
            Namespace::Pid(pid) => Ok(pid.parent.clone().map(Namespace::Pid)),
            Namespace::User(user) => Ok(user.parent.clone().map(Namespace::User)),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// The namespace of a task that the link `name` of `/proc/[pid]/ns` leads to.
#[must_use]
pub fn of_task(task: &Task, name: &[u8]) -> Option<Namespace> {
    let namespaces = task.namespaces();
    let owners = &namespaces.owners;
    Some(match name {
        b"uts" => Namespace::Uts(namespaces.uts.clone()),
        b"mnt" => Namespace::Mount(namespaces.mounts.clone()?),
        b"ipc" => Namespace::Ipc(
            namespaces.ipc_ino,
            namespaces.ipc.clone(),
            owners.ipc.clone(),
        ),
        b"net" => Namespace::Net(namespaces.net.clone(), owners.net.clone()),
        b"cgroup" => Namespace::Cgroup(namespaces.cgroup_ino, owners.cgroup.clone()),
        b"time" | b"time_for_children" => Namespace::Time(namespaces.time_ino, owners.time.clone()),
        b"pid" => Namespace::Pid(task.pid_namespace()),
        b"pid_for_children" => Namespace::Pid(task.child_pid_ns.lock().clone()),
        b"user" => Namespace::User(task.credentials().user_ns.clone()),
        _ => return None,
    })
}

/// Joins `wanted`, in an order in which each can still be joined: the user namespace first. EPERM, EINVAL.
pub fn join(task: &Task, wanted: &[Namespace]) -> Result<()> {
    for namespace in wanted {
        check(task, namespace)?;
    }
    for namespace in wanted {
        if let Namespace::User(user) = namespace {
            let entered = user_namespace::in_namespace(&task.credentials(), user.clone());
            task.set_credentials(entered);
        }
    }
    for namespace in wanted {
        enter(task, namespace);
    }
    Ok(())
}

fn check(task: &Task, namespace: &Namespace) -> Result<()> {
    let credentials = task.credentials();
    let single = task.group().live_threads() == 1;
    if let Namespace::User(user) = namespace {
        if Arc::ptr_eq(user, &credentials.user_ns) || !single || shares_fs(task) {
            return Err(Errno::EINVAL);
        }
        return if credentials.has_in(user, Capability::SysAdmin) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        };
    }
    let owner = namespace.owner().ok_or(Errno::EPERM)?;
    // `man 2 setns`: privileged both in the owner of the namespace and in the own one.
    let mut privileged = credentials.has_in(&owner, Capability::SysAdmin)
        && credentials.has_own(Capability::SysAdmin);
    match namespace {
        Namespace::Mount(_) => {
            privileged &= credentials.has_own(Capability::SysChroot);
            if privileged && shares_fs(task) {
                return Err(Errno::EINVAL);
            }
        }
        Namespace::Time(..) if !single => return Err(Errno::EUSERS),
        Namespace::Pid(pid) if privileged && !pid.is_within(&task.pid_namespace()) => {
            return Err(Errno::EINVAL);
        }
        _ => {}
    }
    if privileged {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Whether root and working directory are another task's too (`CLONE_FS`).
fn shares_fs(task: &Task) -> bool {
    task.fs().users() > 1
}

fn enter(task: &Task, namespace: &Namespace) {
    let mut namespaces: Namespaces = (*task.namespaces()).clone();
    match namespace {
        Namespace::User(_) => return,
        Namespace::Pid(pid) => {
            *task.child_pid_ns.lock() = pid.clone();
            return;
        }
        Namespace::Uts(uts) => namespaces.uts = uts.clone(),
        Namespace::Mount(mounts) => {
            let root = mounts.root_path().topmost();
            let fs = task.fs();
            fs.set_root(root.clone());
            fs.set_cwd(root);
            namespaces.mounts = Some(mounts.clone());
        }
        Namespace::Ipc(ino, ipc, owner) => {
            namespaces.ipc_ino = *ino;
            namespaces.ipc = ipc.clone();
            namespaces.owners.ipc = owner.clone();
        }
        Namespace::Net(net, owner) => {
            namespaces.net = net.clone();
            namespaces.owners.net = owner.clone();
        }
        Namespace::Cgroup(ino, owner) => {
            namespaces.cgroup_ino = *ino;
            namespaces.owners.cgroup = owner.clone();
        }
        Namespace::Time(ino, owner) => {
            namespaces.time_ino = *ino;
            namespaces.owners.time = owner.clone();
        }
    }
    *task.namespaces.lock() = Arc::new(namespaces);
}
