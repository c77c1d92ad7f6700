//! The file system `mqueue` (`man 7 mq_overview`, *Mounting the message queue filesystem*): the POSIX message
//! queues of an IPC namespace as files. All its mounts in a namespace are one instance, in which the kernel
//! itself has the files that `mq_open(2)` opens.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::fs::proc::SysctlValues;
use crate::fs::synthetic::{Directory, Entry, SyntheticFs, SyntheticType};
use crate::kernel::Kernel;
use crate::kernel::ipc::IpcNamespace;
use crate::kernel::ipc::mq::{MessageQueue, NamedQueues, QueueFile};
use crate::kernel::ipc::permission::Permission;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, SetTime, Timestamp};
use crate::vfs::dentry::Dentry;
use crate::vfs::file::{File, OpenFile, OpenFlags};
use crate::vfs::inode::{FileSystem, Inode, NewNode};
use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::path::Path;
use crate::vfs::shared::InodeShared;

const TYPE: SyntheticType = SyntheticType {
    name: "mqueue",
    magic: 0x1980_0202, // MQUEUE_MAGIC
    block_size: 4096,
};
/// `FILENT_SIZE`: what a file has as its size.
const FILE_SIZE: u64 = 80;

/// The directory: names are in a sticky directory that everybody may write.
#[derive(Debug)]
struct QueueDirectory {
    queues: Arc<NamedQueues>,
    settings: Arc<SysctlValues>,
    fs: OnceLock<Weak<SyntheticFs>>,
    /// By number, those in use: a queue has one inode, whatever its names were.
    inodes: Mutex<HashMap<u64, Weak<QueueInode>>>,
}

/// A queue as a file.
#[derive(Debug)]
struct QueueInode {
    queue: Arc<MessageQueue>,
    fs: Weak<SyntheticFs>,
    /// Access, modification, change.
    times: Mutex<[Timestamp; 3]>,
    shared: InodeShared,
}

/// The one instance of an IPC namespace.
#[derive(Debug)]
pub struct Instance {
    directory: Arc<QueueDirectory>,
    /// The kernel's own mount of it, where no path leads.
    mount: Arc<Mount>,
}

impl Instance {
    fn new(kernel: &Kernel, queues: Arc<NamedQueues>) -> Instance {
        let directory = Arc::new(QueueDirectory {
            queues,
            settings: kernel.sysctl.clone(),
            fs: OnceLock::new(),
            inodes: Mutex::default(),
        });
        let root = Entry::directory(directory.clone()).with_permissions(0o1777);
        let device = kernel.vfs.anonymous_device();
        let fs = SyntheticFs::new(TYPE, device, root);
        directory.fs.get_or_init(|| Arc::downgrade(&fs));
        let mount = kernel.vfs.mount(fs, b"mqueue", MountFlags::empty());
        Instance { directory, mount }
    }
}

fn instance<'a>(kernel: &Kernel, namespace: &'a IpcNamespace) -> &'a Instance {
    let make = || Instance::new(kernel, namespace.named.clone());
    namespace.mqueue.get_or_init(make)
}

/// The file system that shows the queues of `namespace`.
#[must_use]
pub fn of(kernel: &Kernel, namespace: &IpcNamespace) -> Arc<dyn FileSystem> {
    instance(kernel, namespace).mount.fs.clone()
}

/// What `mq_open(2)` opens: the file of `queue`, which is called `name`, or was a moment ago.
#[must_use]
pub fn open(task: &Task, name: &[u8], queue: Arc<MessageQueue>, flags: OpenFlags) -> Arc<OpenFile> {
    let namespace = &task.namespaces().ipc;
    let instance = instance(task.kernel(), namespace);
    let file = Arc::new(QueueFile::new(queue.clone()));
    let inode = instance.directory.inode(queue);
    let path = Path {
        dentry: Dentry::anonymous(inode.clone(), [b"/", name].concat()),
        mount: instance.mount.clone(),
    };
    OpenFile::new(path, inode, file, flags)
}

impl Directory for QueueDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        let queue = self.queues.get(name).ok_or(Errno::ENOENT)?;
        Ok(Entry::inode(self.inode(queue)))
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        let names = self.queues.names().into_iter();
        Ok(names.map(|name| (name, FileType::Regular)).collect())
    }

    fn make_directory(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn make_file(&self, name: &[u8], node: &NewNode<'_>) -> Result<()> {
        let permission = Permission {
            key: 0,
            uid: node.uid,
            gid: node.gid,
            creator_uid: node.uid,
            creator_gid: node.gid,
            mode: node.permissions & 0o777,
            sequence: 0,
        };
        self.queues.make(&self.settings, name, permission)
    }

    fn remove_file(&self, name: &[u8]) -> Result<()> {
        self.queues.remove(name)
    }
}

impl QueueDirectory {
    fn inode(&self, queue: Arc<MessageQueue>) -> Arc<QueueInode> {
        let mut inodes = self.inodes.lock();
        if let Some(known) = inodes.get(&queue.ino()).and_then(Weak::upgrade) {
            return known;
        }
        inodes.retain(|_, inode| inode.strong_count() > 0);
        let inode = Arc::new(QueueInode {
            fs: self.fs.get().cloned().unwrap_or_default(),
            times: Mutex::new([Timestamp::now(); 3]),
            shared: InodeShared::default(),
            queue,
        });
        inodes.insert(inode.queue.ino(), Arc::downgrade(&inode));
        inode
    }
}

impl Inode for QueueInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs
            .upgrade()
            .expect("an inode in use keeps its mount, and that its file system")
    }

    fn attr(&self) -> Result<Attr> {
        let permission = self.queue.permission();
        let [atime, mtime, ctime] = *self.times.lock();
        Ok(Attr {
            ino: self.queue.ino(),
            file_type: FileType::Regular,
            permissions: permission.mode,
            nlink: 1,
            uid: permission.uid,
            gid: permission.gid,
            rdev: Device::default(),
            size: FILE_SIZE,
            blocks: 0,
            block_size: 4096,
            atime,
            mtime,
            ctime,
            btime: None,
        })
    }

    fn set_attr(&self, change: &SetAttr) -> Result<()> {
        let now = Timestamp::now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        self.queue
            .set_permission(change.uid, change.gid, change.permissions);
        let mut times = self.times.lock();
        let [atime, mtime, _] = *times;
        *times = [
            change.atime.map_or(atime, time),
            change.mtime.map_or(mtime, time),
            now,
        ];
        Ok(())
    }

    fn open(self: Arc<Self>, _flags: OpenFlags, _task: &Task) -> Result<Arc<dyn File>> {
        Ok(Arc::new(QueueFile::new(self.queue.clone())))
    }
}
