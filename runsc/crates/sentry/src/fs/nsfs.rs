//! nsfs: the files behind `/proc/[pid]/ns/*`. Each holds a namespace (`man 2 ioctl_nsfs`).

use std::sync::Arc;

use abi::Errno;

use crate::error::{Result, SyscallResult};
use crate::fs::anon;
use crate::kernel::kernel::Kernel;
use crate::kernel::setns::Namespace;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, Timestamp};
use crate::vfs::command::CommandArg;
use crate::vfs::dentry::Dentry;
use crate::vfs::file::{File, OpenFile, OpenFlags};
use crate::vfs::inode::{FileSystem, Inode};
use crate::vfs::mount::Mount;
use crate::vfs::path::Path;
use crate::vfs::shared::InodeShared;

/// An open namespace.
#[derive(Debug)]
pub struct NamespaceFile {
    namespace: Namespace,
}

const NS_GET_USERNS: u32 = 0xb701;
const NS_GET_PARENT: u32 = 0xb702;
const NS_GET_NSTYPE: u32 = 0xb703;
const NS_GET_OWNER_UID: u32 = 0xb704;

impl NamespaceFile {
    /// Of this namespace.
    #[must_use]
    pub fn new(namespace: Namespace) -> NamespaceFile {
        NamespaceFile { namespace }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl File for NamespaceFile {
    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        match command {
            NS_GET_USERNS => {
                let owner = self.namespace.owner().ok_or(Errno::EPERM)?;
                if !owner.is_within(&task.credentials().user_ns) {
                    return Err(Errno::EPERM.into());
                }
                open(task, Namespace::User(owner))
            }
            NS_GET_PARENT => {
                let parent = self.namespace.parent()?.ok_or(Errno::EPERM)?;
                let visible = match &parent {
                    Namespace::Pid(pid) => pid.is_within(&task.pid_namespace()),
                    Namespace::User(user) => user.is_within(&task.credentials().user_ns),
                    _ => false,
                };
                if !visible {
                    return Err(Errno::EPERM.into());
                }
                open(task, parent)
            }
            NS_GET_NSTYPE => Ok(self.namespace.kind().bits()),
            NS_GET_OWNER_UID => {
                let Namespace::User(user) = &self.namespace else {
                    return Err(Errno::EINVAL.into());
                };
                let uid = task.credentials().user_ns.user_inward(user.owner);
                task.mm().write_value(argument.address(), &uid)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY.into()),
        }
    }
}

/// The inode of a namespace: as many of them as there are paths to it, all with the same number.
#[derive(Debug)]
struct NamespaceInode {
    namespace: Namespace,
    /// Keeps the file system.
    mount: Arc<Mount>,
    shared: InodeShared,
}

impl Inode for NamespaceInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.mount.fs.clone()
    }

    fn attr(&self) -> Result<Attr> {
        let never = Timestamp::default();
        Ok(Attr {
            ino: self.namespace.ino(),
            file_type: FileType::Regular,
            permissions: 0o444,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: Device::default(),
            size: 0,
            blocks: 0,
            block_size: 4096,
            atime: never,
            mtime: never,
            ctime: never,
            btime: None,
        })
    }

    fn set_attr(&self, _change: &SetAttr) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn open(self: Arc<Self>, _flags: OpenFlags, _task: &Task) -> Result<Arc<dyn File>> {
        Ok(Arc::new(NamespaceFile::new(self.namespace.clone())))
    }
}

/// Where the file of `namespace` is.
#[must_use]
pub fn path(kernel: &Kernel, namespace: Namespace) -> Path {
    let mount = anon::nsfs(kernel).clone();
    let name = format!("{}:[{}]", namespace.name(), namespace.ino());
    let inode = Arc::new(NamespaceInode {
        namespace,
        mount: mount.clone(),
        shared: InodeShared::default(),
    });
    Path {
        dentry: Dentry::anonymous(inode, name.into_bytes()),
        mount,
    }
}

fn open(task: &Task, namespace: Namespace) -> SyscallResult {
    let path = path(task.kernel(), namespace.clone());
    let inode = path.inode().clone();
    let file = Arc::new(NamespaceFile::new(namespace));
    let open = OpenFile::new(path, inode, file, OpenFlags::empty());
    crate::vfs::file_count::count(task, &open)?;
    let limit = task
        .group()
        .limits()
        .get(crate::kernel::limits::Resource::OpenFiles)
        .soft;
    let descriptor = crate::vfs::fd_table::Descriptor {
        file: open,
        close_on_exec: true,
    };
    let fd = task.files().insert(descriptor, 0, limit)?;
    Ok(u64::from(fd.unsigned_abs()))
}

/// The namespace behind an open file; none for other files.
#[must_use]
pub fn namespace_of(open: &OpenFile) -> Option<&Namespace> {
    open.file_as::<NamespaceFile>()
        .map(NamespaceFile::namespace)
}
