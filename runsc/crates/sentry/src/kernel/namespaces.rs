//! Namespaces (`man 7 namespaces`) other than mount and pid, which live with what they name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use locks::Mutex;

use crate::error::Result;
use crate::kernel::clone::CloneFlags;
use crate::kernel::ipc::IpcNamespace;
use crate::kernel::task::Task;
use crate::kernel::user_namespace::{self, UserNamespace};
use crate::socket::inet::network::Network;
use crate::vfs::mount::{MountNamespace, translate};

/// Gives each namespace its inode number in nsfs (`/proc/[pid]/ns`).
#[derive(Debug)]
pub struct NamespaceIds(AtomicU64);

impl Default for NamespaceIds {
    fn default() -> NamespaceIds {
        // Where Linux's own dynamic numbers begin (PROC_DYNAMIC_FIRST).
        NamespaceIds(AtomicU64::new(0xf000_0000))
    }
}

impl NamespaceIds {
    /// A number not used before.
    pub fn allocate(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A UTS namespace: what `uname(2)` tells.
#[derive(Debug)]
pub struct UtsNamespace {
    /// Inode number.
    pub ino: u64,
    /// Whose capabilities count in it.
    pub user_ns: Arc<UserNamespace>,
    /// Host and domain name.
    pub names: Mutex<UtsNames>,
}

/// The names that can be set.
#[derive(Clone, Debug)]
pub struct UtsNames {
    /// `sethostname(2)`
    pub host: Vec<u8>,
    /// `setdomainname(2)`
    pub domain: Vec<u8>,
}

/// The namespaces of a task that are no more than a set of references (`nsproxy`).
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Host and domain name.
    pub uts: Arc<UtsNamespace>,
    /// Mounts; none only in what a kernel has before its first process.
    pub mounts: Option<Arc<MountNamespace>>,
    /// System V IPC and POSIX message queues: its inode number.
    pub ipc_ino: u64,
    /// What the IPC namespace holds.
    pub ipc: Arc<IpcNamespace>,
    /// Network.
    pub net: Arc<Network>,
    /// Cgroup: its inode number.
    pub cgroup_ino: u64,
    /// Time: its inode number.
    pub time_ino: u64,
    /// Whose capabilities count in those that have no object of their own.
    pub owners: Owners,
}

/// The user namespaces that own a task's other namespaces.
#[derive(Clone, Debug)]
pub struct Owners {
    /// Of System V IPC.
    pub ipc: Arc<UserNamespace>,
    /// Of the network.
    pub net: Arc<UserNamespace>,
    /// Of the cgroup namespace.
    pub cgroup: Arc<UserNamespace>,
    /// Of the time namespace.
    pub time: Arc<UserNamespace>,
}

impl Owners {
    /// All owned by one.
    #[must_use]
    pub fn all(owner: &Arc<UserNamespace>) -> Owners {
        Owners {
            ipc: owner.clone(),
            net: owner.clone(),
            cgroup: owner.clone(),
            time: owner.clone(),
        }
    }
}

/// Gives `task` new namespaces as `flags` say (`clone(2)`, `unshare(2)`), copies of those it has.
pub fn unshare(task: &Task, flags: CloneFlags) -> Result<()> {
    let kernel = task.kernel();
    let ids = &kernel.namespace_ids;
    if flags.contains(CloneFlags::NEWUSER) {
        user_namespace::enter_new(task)?;
    }
    let mut namespaces = (*task.namespaces()).clone();
    let user_ns = task.credentials().user_ns.clone();
    if flags.contains(CloneFlags::NEWUTS) {
        let names = namespaces.uts.names.lock().clone();
        namespaces.uts = Arc::new(UtsNamespace {
            ino: ids.allocate(),
            user_ns: user_ns.clone(),
            names: Mutex::new(names),
        });
    }
    if flags.contains(CloneFlags::NEWNS)
        && let Some(mounts) = &namespaces.mounts
    {
        let (copy, moved) = mounts.duplicate(&kernel.vfs, ids.allocate(), user_ns.clone());
        // Root and working directory move along; the caller has made them the task's own.
        let fs = task.fs();
        fs.set_root(translate(&fs.root(), &moved));
        fs.set_cwd(translate(&fs.cwd(), &moved));
        namespaces.mounts = Some(copy);
    }
    if flags.contains(CloneFlags::NEWIPC) {
        namespaces.ipc_ino = ids.allocate();
        namespaces.ipc = Arc::default();
        namespaces.owners.ipc = user_ns.clone();
    }
    if flags.contains(CloneFlags::NEWNET) {
        namespaces.net = Network::new(ids.allocate());
        namespaces.owners.net = user_ns.clone();
    }
    if flags.contains(CloneFlags::NEWCGROUP) {
        namespaces.cgroup_ino = ids.allocate();
        namespaces.owners.cgroup = user_ns;
    }
    *task.namespaces.lock() = Arc::new(namespaces);
    Ok(())
}
