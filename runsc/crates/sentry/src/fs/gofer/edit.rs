//! Changes of directories.

use std::any::Any;
use std::sync::Arc;

use ::gofer::{Access, NewFile, Remove, Rename, RenameMode};
use abi::Errno;

use super::inode::GoferInode;
use crate::error::Result;
use crate::vfs::attr::{Device, FileType};
use crate::vfs::inode::{InodeRef, NewKind, NewNode, RenameFlags};

/// The inode as one of ours; EXDEV if it belongs to another instance.
fn own<'a>(inode: &'a InodeRef, core: &Arc<super::Core>) -> Result<&'a GoferInode> {
    let any: &dyn Any = &**inode;
    let inode = any.downcast_ref::<GoferInode>().ok_or(Errno::EXDEV)?;
    if Arc::ptr_eq(&inode.core, core) {
        Ok(inode)
    } else {
        Err(Errno::EXDEV)
    }
}

impl GoferInode {
    /// Makes an entry.
    pub(super) fn make(&self, name: &[u8], node: &NewNode<'_>) -> Result<Arc<GoferInode>> {
        let new = NewFile {
            mode: node.permissions,
            uid: node.uid,
            gid: node.gid,
        };
        let special = |file_type: FileType, device: Device| {
            let new = NewFile {
                mode: node.permissions | file_type.mode_bits(),
                ..new
            };
            self.ask(|tree, dir| tree.make_node(dir, name, &new, device.encode()))
        };
        let made = match node.kind {
            NewKind::Regular => {
                let created =
                    self.ask(|tree, dir| tree.create(dir, name, Access::ReadWrite, &new))?;
                let inode = self.made(name, &created.made)?;
                inode.set_host_file(created.fd, false)?;
                return Ok(inode);
            }
            NewKind::Directory => self.ask(|tree, dir| tree.make_dir(dir, name, &new))?,
            NewKind::Symlink(target) => {
                self.ask(|tree, dir| tree.symlink(dir, name, target, &new))?
            }
            NewKind::Fifo => special(FileType::Fifo, Device::default())?,
            NewKind::Socket => special(FileType::Socket, Device::default())?,
            NewKind::CharDevice(device) => special(FileType::CharDevice, device)?,
            NewKind::BlockDevice(device) => special(FileType::BlockDevice, device)?,
        };
        let inode = self.made(name, &made)?;
        if node.kind == NewKind::Fifo {
            inode.keep_as_own_fifo();
        }
        Ok(inode)
    }

    fn made(&self, name: &[u8], made: &::gofer::Made) -> Result<Arc<GoferInode>> {
        let inode = self.core.adopt(&made.found, None)?;
        self.entry_changed(name, Some(&inode), made.dir.as_ref());
        Ok(inode)
    }

    /// Makes a regular file without a name.
    pub(super) fn make_unnamed(
        &self,
        permissions: u32,
        uid: u32,
        gid: u32,
    ) -> Result<Arc<GoferInode>> {
        let new = NewFile {
            mode: permissions,
            uid,
            gid,
        };
        let created = self.ask(|tree, dir| tree.create_unnamed(dir, Access::ReadWrite, &new))?;
        let inode = self.core.adopt(&created.made.found, None)?;
        inode.set_host_file(created.fd, true)?;
        Ok(inode)
    }

    /// Gives `target` the name `name`.
    pub(super) fn add_link(&self, name: &[u8], target: &InodeRef) -> Result<()> {
        let target = own(target, &self.core)?;
        let linked =
            target.ask(|tree, node| self.ask_or_stale(|_, dir| tree.link(node, dir, name)))?;
        target.remember(&linked.attr);
        target.has_name();
        self.entry_changed(name, Some(&target.arc()?), linked.dir.as_ref());
        Ok(())
    }

    /// Removes an entry; what is open of it stays usable.
    pub(super) fn remove(&self, name: &[u8], what: Remove) -> Result<()> {
        let victim = self.known_child(name);
        if let Some(victim) = &victim {
            victim.keep_open()?;
        }
        let known = victim.as_ref().map(|victim| victim.node());
        let removed = self.ask(|tree, dir| tree.remove(dir, name, what, known));
        if let Some(victim) = &victim {
            victim.attr_changed();
            if removed.is_err() {
                victim.has_name();
            }
        }
        let dir = removed?;
        self.entry_changed(name, None, dir.as_ref());
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
        let mode = mode_of(flags)?;
        let (moved, replaced) = (self.known_child(name), new_dir.known_child(new_name));
        if let Some(replaced) = replaced.as_ref().filter(|_| mode == RenameMode::Replace) {
            replaced.keep_open()?;
        }
        let renamed = self.ask(|tree, old_dir| {
            tree.rename(&Rename {
                old_dir,
                old_name: name,
                new_dir: new_dir.node(),
                new_name,
                mode,
                moved: moved.as_ref().map(|inode| inode.node()),
                replaced: replaced.as_ref().map(|inode| inode.node()),
            })
        });
        for touched in [&moved, &replaced].into_iter().flatten() {
            touched.attr_changed();
        }
        if let (Err(_), Some(replaced)) = (&renamed, &replaced) {
            replaced.has_name();
        }
        let renamed = renamed?;
        let left = replaced.as_ref().filter(|_| mode == RenameMode::Exchange);
        self.entry_changed(name, left, renamed.old_dir.as_ref());
        new_dir.entry_changed(new_name, moved.as_ref(), renamed.new_dir.as_ref());
        Ok(())
    }
}

/// What the host is asked to do with an existing target. A whiteout is a device that the gofer does
/// not make.
fn mode_of(flags: RenameFlags) -> Result<RenameMode> {
    if flags.is_empty() {
        Ok(RenameMode::Replace)
    } else if flags == RenameFlags::NOREPLACE {
        Ok(RenameMode::NoReplace)
    } else if flags == RenameFlags::EXCHANGE {
        Ok(RenameMode::Exchange)
    } else {
        Err(Errno::EINVAL)
    }
}
