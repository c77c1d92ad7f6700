//! What one kernel keeps for its file systems.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use locks::Mutex;

use crate::error::Result;
use crate::fs::anon::AnonymousMount;
use crate::fs::devtmpfs;
use crate::fs::host_fd::watcher::HostWatcher;
use crate::fs::tmpfs::{TmpFs, TmpfsOptions};
use crate::kernel::Kernel;
use crate::kernel::user_namespace::UserNamespace;
use crate::user_log;
use crate::vfs::async_io::AsyncIo;
use crate::vfs::attr::Device;
use crate::vfs::dentry::DentryTree;
use crate::vfs::device::DeviceTable;
use crate::vfs::epoll::EpollGraph;
use crate::vfs::inode::FileSystem;
use crate::vfs::locks::{LockWaits, LockedInodes};
use crate::vfs::mount::{Mount, MountFlags, MountNamespace};

/// Mount ids, device numbers, the device table, the mount of files without names.
#[derive(Debug)]
pub struct Vfs {
    next_mount_id: AtomicU64,
    next_minor: AtomicU32,
    /// Shared by all mount namespaces of the kernel.
    pub(crate) topology: Arc<Mutex<()>>,
    /// What opens character and block devices.
    pub devices: DeviceTable,
    /// SIGIO for the owners of files.
    pub async_io: AsyncIo,
    /// Inodes with locks, for `/proc/locks`.
    pub locked_inodes: LockedInodes,
    /// Who waits for whose record locks.
    pub lock_waits: LockWaits,
    /// Serialises epolls that come to watch epolls.
    pub epolls: EpollGraph,
    anonymous: OnceLock<AnonymousMount>,
    memfds: OnceLock<Arc<Mount>>,
    host_watcher: Mutex<Option<Arc<HostWatcher>>>,
    /// What the user has been told.
    told: Mutex<HashSet<String>>,
}

/// The most that the user is told of files out of reach.
const MOST_TOLD: usize = 64;

impl Default for Vfs {
    fn default() -> Vfs {
        let devices = DeviceTable::default();
        devtmpfs::register(&devices);
        Vfs {
            next_mount_id: AtomicU64::new(20),
            next_minor: AtomicU32::new(20),
            topology: Arc::default(),
            devices,
            async_io: AsyncIo::default(),
            locked_inodes: LockedInodes::default(),
            lock_waits: LockWaits::default(),
            epolls: EpollGraph::default(),
            anonymous: OnceLock::new(),
            memfds: OnceLock::new(),
            host_watcher: Mutex::default(),
            told: Mutex::default(),
        }
    }
}

impl Vfs {
    /// A mount id or peer group id never given before.
    pub fn mount_id(&self) -> u64 {
        self.next_mount_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells the container's user, if that has not been said before.
    pub(crate) fn tell_user_once(&self, text: String) {
        let mut told = self.told.lock();
        if told.len() < MOST_TOLD && !told.contains(&text) {
            tracing::warn!(target: user_log::TARGET, "{text}");
            told.insert(text);
        }
    }

    /// A device number for a file system that has no device.
    pub fn anonymous_device(&self) -> Device {
        Device::new(0, self.next_minor.fetch_add(1, Ordering::Relaxed))
    }

    /// A mount of a file system that is nowhere yet.
    #[must_use]
    pub fn mount(&self, fs: Arc<dyn FileSystem>, source: &[u8], flags: MountFlags) -> Arc<Mount> {
        let tree = DentryTree::new(fs);
        let root = tree.root().clone();
        Mount::new(self.mount_id(), tree, root, source, flags)
    }

    /// The mount of files made by `memfd_create(2)`.
    pub(crate) fn memfd_mount(&self, kernel: &Kernel) -> &Arc<Mount> {
        self.memfds.get_or_init(|| {
            let fs = TmpFs::new(kernel, &TmpfsOptions::default());
            self.mount(fs, b"tmpfs", MountFlags::empty())
        })
    }

    /// The thread that watches host descriptors, started with the first of them.
    pub(crate) fn host_watcher(&self) -> Result<Arc<HostWatcher>> {
        let mut watcher = self.host_watcher.lock();
        if let Some(watcher) = &*watcher {
            return Ok(watcher.clone());
        }
        let new = Arc::new(HostWatcher::new()?);
        *watcher = Some(new.clone());
        Ok(new)
    }

    /// The mount of pipes, sockets and anonymous inodes.
    pub(crate) fn anonymous(&self) -> &AnonymousMount {
        self.anonymous.get_or_init(|| AnonymousMount::new(self))
    }
}

impl Kernel {
    /// A mount namespace with `root` mounted as its root: the first step of a container.
    #[must_use]
    pub fn new_mount_namespace(
        &self,
        user_ns: Arc<UserNamespace>,
        root: Arc<dyn FileSystem>,
        source: &[u8],
        flags: MountFlags,
    ) -> Arc<MountNamespace> {
        let mount = self.vfs.mount(root, source, flags);
        MountNamespace::new(&self.vfs, self.namespace_ids.allocate(), user_ns, mount)
    }
}
