//! Changes of directories, one at a time in the whole overlay.

use std::any::Any;
use std::sync::Arc;

use abi::Errno;

use super::Core;
use super::inode::OverlayInode;
use super::own_attr::{self, OwnAttr};
use crate::error::Result;
use crate::vfs::attr::{Device, FileType};
use crate::vfs::inode::{InodeRef, NewKind, NewNode, RenameFlags};

/// The inode as one of ours; EXDEV if it belongs to another instance.
fn own<'a>(inode: &'a InodeRef, core: &Arc<Core>) -> Result<&'a OverlayInode> {
    let any: &dyn Any = &**inode;
    let inode = any.downcast_ref::<OverlayInode>().ok_or(Errno::EXDEV)?;
    if Arc::ptr_eq(&inode.core, core) {
        Ok(inode)
    } else {
        Err(Errno::EXDEV)
    }
}

/// By how many links a directory changes with a subdirectory, whose `..` is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    More,
    Same,
    Fewer,
}

impl Links {
    fn gained(inode: &OverlayInode) -> Links {
        if inode.file_type() == FileType::Directory {
            Links::More
        } else {
            Links::Same
        }
    }

    fn lost(inode: &OverlayInode) -> Links {
        if inode.file_type() == FileType::Directory {
            Links::Fewer
        } else {
            Links::Same
        }
    }
}

impl OverlayInode {
    /// Fails unless this is a directory that has not been removed.
    fn check_directory(&self) -> Result<()> {
        if self.file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if self.is_removed() {
            Err(Errno::ENOENT)
        } else {
            Ok(())
        }
    }

    fn entries_changed(&self, links: Links) -> Result<()> {
        self.with_own(|own| {
            own.modified();
            own.nlink = match links {
                Links::More => own.nlink.saturating_add(1),
                Links::Same => own.nlink,
                // A lower file system may not count subdirectories: 1 stays 1.
                Links::Fewer => own.nlink.saturating_sub(1).max(1),
            };
        })
    }

    /// Makes an entry.
    pub(super) fn make(&self, name: &[u8], node: &NewNode<'_>) -> Result<Arc<OverlayInode>> {
        let _tree = self.core.tree.lock();
        self.check_directory()?;
        let covers = self.vacancy(name)?;
        let none = Device::default();
        let (kind, rdev, target) = match node.kind {
            NewKind::Regular => (FileType::Regular, none, &b""[..]),
            NewKind::Directory => (FileType::Directory, none, &b""[..]),
            NewKind::Symlink(target) => (FileType::Symlink, none, target),
            NewKind::Fifo => (FileType::Fifo, none, &b""[..]),
            NewKind::Socket => (FileType::Socket, none, &b""[..]),
            NewKind::CharDevice(device) => (FileType::CharDevice, device, &b""[..]),
            NewKind::BlockDevice(device) => (FileType::BlockDevice, device, &b""[..]),
        };
        let nlink = if kind == FileType::Directory { 2 } else { 1 };
        let permissions = if kind == FileType::Symlink {
            0o777
        } else {
            node.permissions & 0o7777
        };
        let own = OwnAttr::new(permissions, node.uid, node.gid, nlink, rdev);
        let inode = OverlayInode::create(&self.core, kind, own, target);
        self.entries_changed(Links::gained(&inode))?;
        self.put(name, inode.clone(), covers);
        Ok(inode)
    }

    /// Gives `target` the name `name`.
    pub(super) fn add_link(&self, name: &[u8], target: &InodeRef) -> Result<()> {
        let target = own(target, &self.core)?;
        let _tree = self.core.tree.lock();
        self.check_directory()?;
        let covers = self.vacancy(name)?;
        if target.file_type() == FileType::Directory {
            return Err(Errno::EPERM);
        }
        target.with_own(|own| {
            own.nlink = own.nlink.saturating_add(1);
            own.ctime = own_attr::now();
        })?;
        let target = target.arc()?;
        self.core.keep(&target);
        self.entries_changed(Links::Same)?;
        self.put(name, target, covers);
        Ok(())
    }

    /// Removes an entry that is not a directory.
    pub(super) fn remove_file(&self, name: &[u8]) -> Result<()> {
        let _tree = self.core.tree.lock();
        let victim = self.find(name)?;
        if victim.file_type() == FileType::Directory {
            return Err(Errno::EISDIR);
        }
        self.remove(name, &victim)
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&self, name: &[u8]) -> Result<()> {
        let _tree = self.core.tree.lock();
        let victim = self.find(name)?;
        if victim.file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if !victim.is_empty()? {
            return Err(Errno::ENOTEMPTY);
        }
        self.remove(name, &victim)
    }

    fn remove(&self, name: &[u8], victim: &Arc<OverlayInode>) -> Result<()> {
        self.entries_changed(Links::lost(victim))?;
        victim.lose_name()?;
        self.take(name);
        Ok(())
    }

    /// Renames an entry.
    pub(super) fn move_entry(
        &self,
        name: &[u8],
        new_parent: &InodeRef,
        new_name: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        let new_dir = own(new_parent, &self.core)?;
        let _tree = self.core.tree.lock();
        new_dir.check_directory()?;
        let moved = self.find(name)?;
        let target = match new_dir.find(new_name) {
            Ok(target) => Some(target),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        if flags == RenameFlags::EXCHANGE {
            let target = target.ok_or(Errno::ENOENT)?;
            return self.exchange(name, &moved, new_dir, new_name, &target);
        }
        match &target {
            _ if !(flags - RenameFlags::NOREPLACE).is_empty() => return Err(Errno::EINVAL),
            Some(_) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EEXIST),
            // Two names of one file: nothing happens (`man 2 rename`).
            Some(target) if Arc::ptr_eq(target, &moved) => return Ok(()),
            Some(target) => check_replaceable(&moved, target)?,
            None => {}
        }
        let covers = match &target {
            Some(_) => new_dir.covers(new_name),
            None => new_dir.vacancy(new_name)?,
        };
        moved.with_own(|own| own.ctime = own_attr::now())?;
        if let Some(target) = &target {
            new_dir.entries_changed(Links::lost(target))?;
            target.lose_name()?;
        }
        self.entries_changed(Links::lost(&moved))?;
        new_dir.entries_changed(Links::gained(&moved))?;
        self.take(name);
        new_dir.put(new_name, moved, covers);
        Ok(())
    }

    fn exchange(
        &self,
        name: &[u8],
        moved: &Arc<OverlayInode>,
        new_dir: &OverlayInode,
        new_name: &[u8],
        target: &Arc<OverlayInode>,
    ) -> Result<()> {
        for inode in [moved, target] {
            inode.with_own(|own| own.ctime = own_attr::now())?;
        }
        self.entries_changed(Links::lost(moved))?;
        self.entries_changed(Links::gained(target))?;
        new_dir.entries_changed(Links::lost(target))?;
        new_dir.entries_changed(Links::gained(moved))?;
        let (covers, new_covers) = (self.covers(name), new_dir.covers(new_name));
        self.put(name, target.clone(), covers);
        new_dir.put(new_name, moved.clone(), new_covers);
        Ok(())
    }
}

fn check_replaceable(moved: &OverlayInode, target: &OverlayInode) -> Result<()> {
    let is_dir = |inode: &OverlayInode| inode.file_type() == FileType::Directory;
    match (is_dir(moved), is_dir(target)) {
        (true, false) => Err(Errno::ENOTDIR),
        (false, true) => Err(Errno::EISDIR),
        (true, true) if !target.is_empty()? => Err(Errno::ENOTEMPTY),
        _ => Ok(()),
    }
}
