//! The inode of a donated descriptor: what the host's `fstat` tells.

use std::any::Any;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock, Weak};

use abi::Errno;
use locks::Mutex;
use rustix::fs::{self, OFlags, Stat};

use super::HostDescriptor;
use crate::error::Result;
use crate::fs::anon::{self, Anonymous};
use crate::kernel::Kernel;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, Timestamp};
use crate::vfs::dentry::Dentry;
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::inode::{FileSystem, Inode, InodeRef};
use crate::vfs::path::Path;
use crate::vfs::shared::InodeShared;

/// A place outside every tree, named as Linux names such files.
pub(super) fn path(kernel: &Kernel, fd: &Arc<OwnedFd>, flags: OFlags) -> Result<Path> {
    let stat = fs::fstat(fd.as_fd()).map_err(host::errno)?;
    let kind = FileType::from_mode(stat.st_mode).ok_or(Errno::EINVAL)?;
    let what = match kind {
        FileType::Fifo => Anonymous::Pipe,
        FileType::Socket => Anonymous::Socket,
        _ => Anonymous::Inode("[host]"),
    };
    let mount = anon::mount(kernel, what).clone();
    let name = match kind {
        FileType::Fifo => format!("pipe:[{}]", stat.st_ino),
        FileType::Socket => format!("socket:[{}]", stat.st_ino),
        _ => format!("host:[{}]", stat.st_ino),
    };
    let inode = Arc::new(HostInode {
        fd: fd.clone(),
        kind,
        fs: mount.fs.clone(),
        shared: InodeShared::default(),
        owner: Mutex::new(None),
        mode: flags & OFlags::RWMODE,
        file: OnceLock::new(),
    });
    Ok(Path {
        dentry: Dentry::anonymous(inode, name.into_bytes()),
        mount,
    })
}

#[derive(Debug)]
struct HostInode {
    fd: Arc<OwnedFd>,
    kind: FileType,
    fs: Arc<dyn FileSystem>,
    shared: InodeShared,
    /// Owner and group that it was given: the sandbox can't see those of the host.
    owner: Mutex<Option<(u32, u32)>>,
    /// Access mode of the descriptor.
    mode: OFlags,
    /// What does the work, for whoever opens it again through `/proc/self/fd`.
    file: OnceLock<Weak<HostDescriptor>>,
}

/// Tells the inode who does its work.
pub(super) fn set_file(inode: &InodeRef, file: &Arc<HostDescriptor>) {
    let any: &dyn Any = &**inode;
    if let Some(inode) = any.downcast_ref::<HostInode>() {
        // It is set once, by whoever made the inode.
        let _ = inode.file.set(Arc::downgrade(file));
    }
}

impl Inode for HostInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }

    fn attr(&self) -> Result<Attr> {
        let stat = fs::fstat(self.fd.as_fd()).map_err(host::errno)?;
        let mut attr = attr_of(&stat, self.kind);
        if let Some(owner) = *self.owner.lock() {
            (attr.uid, attr.gid) = owner;
        }
        Ok(attr)
    }

    fn kind(&self) -> Result<FileType> {
        Ok(self.kind)
    }

    fn open_itself(&self, flags: OpenFlags) -> Option<Result<Arc<dyn File>>> {
        let file = self.file.get()?.upgrade()?;
        let reads = self.mode != OFlags::WRONLY;
        let writes = self.mode != OFlags::RDONLY;
        if (flags.readable() && !reads) || (flags.writable() && !writes) {
            return Some(Err(Errno::EACCES));
        }
        Some(Ok(file))
    }

    fn set_attr(&self, change: &SetAttr) -> Result<()> {
        if let Some(size) = change.size {
            fs::ftruncate(self.fd.as_fd(), size).map_err(host::errno)?;
        }
        if change.uid.is_some() || change.gid.is_some() {
            let attr = self.attr()?;
            let owner = (
                change.uid.unwrap_or(attr.uid),
                change.gid.unwrap_or(attr.gid),
            );
            // Seen by the guest alone.
            *self.owner.lock() = Some(owner);
        }
        if change.permissions.is_some() {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}

fn attr_of(stat: &Stat, kind: FileType) -> Attr {
    let time = |seconds: i64, nanoseconds: u64| Timestamp {
        seconds,
        nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
    };
    Attr {
        ino: stat.st_ino,
        file_type: kind,
        permissions: stat.st_mode & 0o7777,
        nlink: stat.st_nlink,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: Device::decode(stat.st_rdev),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
        block_size: u32::try_from(stat.st_blksize).unwrap_or(4096),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        btime: None,
    }
}
