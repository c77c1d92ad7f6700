//! Inodes of a tmpfs: attributes, and the operations by type.

use std::sync::{Arc, OnceLock};

use abi::Errno;
use locks::Mutex;

use super::directory::{Directory, OpenDirectory};
use super::file::{Regular, TmpFile};
use super::xattr::Xattrs;
use super::{Core, PAGE, TmpFs};
use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, SetTime, Timestamp};
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::inode::{FileSystem, Inode, InodeRef, NewKind, NewNode, RenameFlags, XattrFlags};
use crate::vfs::seals::{SealFlags, Seals};
use crate::vfs::shared::InodeShared;

/// A file of a tmpfs, whatever its type.
#[derive(Debug)]
pub struct TmpInode {
    pub(super) core: Arc<Core>,
    pub(super) ino: u64,
    file_type: FileType,
    rdev: Device,
    pub(super) meta: Mutex<Meta>,
    pub(super) content: Content,
    pub(super) xattrs: Mutex<Xattrs>,
    pub(super) shared: InodeShared,
    /// The identity of shared futexes in it, given when it is first opened.
    pub(super) mapping_id: OnceLock<u64>,
}

/// What changes about an inode besides its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) permissions: u32,
    pub(super) nlink: u64,
    uid: u32,
    gid: u32,
    pub(super) atime: Timestamp,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
    btime: Timestamp,
}

#[derive(Debug)]
pub(super) enum Content {
    Regular(Regular),
    Directory(Mutex<Directory>),
    Symlink(Vec<u8>),
    /// Fifos, sockets, devices.
    None,
}

impl TmpInode {
    /// A new inode, which has been counted. It has no name yet, a directory its two links.
    pub(super) fn new(core: &Arc<Core>, node: &NewNode<'_>) -> Arc<TmpInode> {
        TmpInode::with_seals(core, node, SealFlags::SEAL)
    }

    /// As [`TmpInode::new`]; a regular file gets `seals`.
    pub(super) fn with_seals(
        core: &Arc<Core>,
        node: &NewNode<'_>,
        seals: SealFlags,
    ) -> Arc<TmpInode> {
        let now = Timestamp::now();
        let (file_type, rdev) = match node.kind {
            NewKind::Regular => (FileType::Regular, Device::default()),
            NewKind::Directory => (FileType::Directory, Device::default()),
            NewKind::Symlink(_) => (FileType::Symlink, Device::default()),
            NewKind::Fifo => (FileType::Fifo, Device::default()),
            NewKind::Socket => (FileType::Socket, Device::default()),
            NewKind::CharDevice(device) => (FileType::CharDevice, device),
            NewKind::BlockDevice(device) => (FileType::BlockDevice, device),
        };
        let content = match node.kind {
            NewKind::Regular => Content::Regular(Regular::new(core, Seals::new(seals))),
            NewKind::Directory => Content::Directory(Mutex::default()),
            NewKind::Symlink(target) => Content::Symlink(target.to_vec()),
            _ => Content::None,
        };
        Arc::new(TmpInode {
            core: core.clone(),
            ino: core.allocate_ino(),
            file_type,
            rdev,
            meta: Mutex::new(Meta {
                permissions: node.permissions,
                nlink: if node.kind == NewKind::Directory {
                    2
                } else {
                    0
                },
                uid: node.uid,
                gid: node.gid,
                atime: now,
                mtime: now,
                ctime: now,
                btime: now,
            }),
            content,
            xattrs: Mutex::default(),
            shared: InodeShared::default(),
            mapping_id: OnceLock::new(),
        })
    }

    /// The inode as the type it is, if it is one of a tmpfs.
    pub(super) fn downcast(inode: &InodeRef) -> Option<Arc<TmpInode>> {
        let any: Arc<dyn std::any::Any + Send + Sync> = inode.clone();
        any.downcast().ok()
    }

    /// The names, if it is a directory; ENOTDIR.
    pub(super) fn directory(&self) -> Result<&Mutex<Directory>> {
        match &self.content {
            Content::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// The content, if it is a regular file.
    pub(super) fn regular(&self) -> Option<&Regular> {
        match &self.content {
            Content::Regular(regular) => Some(regular),
            _ => None,
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.file_type == FileType::Directory
    }

    /// How many names it has.
    pub(super) fn nlink(&self) -> u64 {
        self.meta.lock().nlink
    }

    pub(super) fn file_type(&self) -> FileType {
        self.file_type
    }

    /// The inode itself has changed: links, attributes.
    pub(super) fn changed(&self) {
        self.meta.lock().ctime = Timestamp::now();
    }

    /// The content has changed.
    pub(super) fn modified(&self) {
        let now = Timestamp::now();
        let mut meta = self.meta.lock();
        meta.mtime = now;
        meta.ctime = now;
    }

    /// The content was read: `relatime` (`man 8 mount`).
    pub(super) fn accessed(&self) {
        const DAY: i64 = 24 * 60 * 60;
        let now = Timestamp::now();
        let mut meta = self.meta.lock();
        let stale = meta.atime <= meta.mtime || meta.atime <= meta.ctime;
        if stale || now.seconds.saturating_sub(meta.atime.seconds) >= DAY {
            meta.atime = now;
        }
    }
}

impl Core {
    pub(super) fn allocate_ino(&self) -> u64 {
        self.next_ino
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for TmpInode {
    fn drop(&mut self) {
        self.core.refund_inode();
        if let Content::Directory(directory) = &mut self.content {
            directory.get_mut().drop_deep();
        }
    }
}

impl Inode for TmpInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        // A file that is left over when its mount is gone has a file system of its own.
        self.core.fs.upgrade().unwrap_or_else(|| {
            Arc::new(TmpFs {
                core: self.core.clone(),
                root: TmpInode::orphan_root(&self.core),
                options: super::TmpfsOptions::default(),
            })
        })
    }

    fn attr(&self) -> Result<Attr> {
        let meta = *self.meta.lock();
        let (size, blocks) = match &self.content {
            Content::Regular(regular) => (regular.store.size(), regular.store.allocated() / 512),
            Content::Directory(directory) => (directory.lock().size(), 0),
            Content::Symlink(target) => (target.len() as u64, 0),
            Content::None => (0, 0),
        };
        Ok(Attr {
            ino: self.ino,
            file_type: self.file_type,
            permissions: meta.permissions,
            nlink: meta.nlink,
            uid: meta.uid,
            gid: meta.gid,
            rdev: self.rdev,
            size,
            blocks,
            block_size: u32::try_from(PAGE).unwrap_or(4096),
            atime: meta.atime,
            mtime: meta.mtime,
            ctime: meta.ctime,
            btime: Some(meta.btime),
        })
    }

    fn kind(&self) -> Result<FileType> {
        Ok(self.file_type)
    }

    fn set_attr(&self, change: &SetAttr) -> Result<()> {
        if let Some(size) = change.size {
            let regular = self.regular().ok_or(Errno::EINVAL)?;
            regular.resize(&self.shared.mappings, size)?;
        }
        if let (Some(permissions), Some(regular)) = (change.permissions, self.regular()) {
            let changed = permissions ^ self.meta.lock().permissions;
            if changed & 0o111 != 0 && regular.seals.get().contains(SealFlags::EXEC) {
                return Err(Errno::EPERM);
            }
        }
        if change.drops_capabilities() {
            self.xattrs.lock().drop_capabilities();
        }
        let now = Timestamp::now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        let mut meta = self.meta.lock();
        if change.size.is_some() {
            meta.mtime = now;
        }
        meta.permissions = change.permissions.unwrap_or(meta.permissions);
        meta.uid = change.uid.unwrap_or(meta.uid);
        meta.gid = change.gid.unwrap_or(meta.gid);
        meta.atime = change.atime.map_or(meta.atime, time);
        meta.mtime = change.mtime.map_or(meta.mtime, time);
        meta.ctime = now;
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        let found = self.directory()?.lock().get(name);
        found.map(|inode| inode as InodeRef).ok_or(Errno::ENOENT)
    }

    fn create(&self, name: &[u8], node: &NewNode<'_>) -> Result<InodeRef> {
        Ok(self.create_entry(name, node)?)
    }

    fn create_unnamed(&self, permissions: u32, uid: u32, gid: u32) -> Result<InodeRef> {
        self.directory()?;
        self.core.charge_inode()?;
        let node = NewNode {
            kind: NewKind::Regular,
            permissions,
            uid,
            gid,
        };
        let inode = TmpInode::new(&self.core, &node);
        inode.allow_first_link();
        Ok(inode)
    }

    fn link(&self, name: &[u8], target: &InodeRef) -> Result<()> {
        self.core.memory.check_lasting(Errno::ENOSPC)?;
        self.link_entry(name, target)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        self.unlink_entry(name)
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        self.rmdir_entry(name)
    }

    fn rename(
        &self,
        name: &[u8],
        new_parent: &InodeRef,
        new_name: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        let new_parent = TmpInode::downcast(new_parent).ok_or(Errno::EXDEV)?;
        self.rename_entry(name, &new_parent, new_name, flags)
    }

    fn symlink_text(&self) -> Result<Vec<u8>> {
        match &self.content {
            Content::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(self: Arc<Self>, flags: OpenFlags, task: &Task) -> Result<Arc<dyn File>> {
        match self.content {
            Content::Regular(_) => {
                self.mapping_id.get_or_init(|| task.kernel().unique_id());
                Ok(Arc::new(TmpFile::new(self, flags)))
            }
            Content::Directory(_) => Ok(Arc::new(OpenDirectory::new(self))),
            Content::Symlink(_) => Err(Errno::ELOOP),
            Content::None => Err(Errno::ENXIO),
        }
    }

    fn seals(&self) -> Option<&Seals> {
        self.regular().map(|regular| &regular.seals)
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.xattrs.lock().get(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: XattrFlags) -> Result<()> {
        self.core.memory.check_lasting(Errno::ENOSPC)?;
        self.xattrs.lock().set(name, value, flags)?;
        self.changed();
        Ok(())
    }

    fn list_xattr(&self) -> Result<Vec<Vec<u8>>> {
        Ok(self.xattrs.lock().names())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.xattrs.lock().remove(name)?;
        self.changed();
        Ok(())
    }
}
