//! Directories of a tmpfs. Entries have numbers that only grow, which are the cursors of listings: an
//! entry that stays is seen exactly once, whatever happens around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use abi::Errno;
use locks::{Mutex, MutexGuard};

use super::TmpInode;
use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::{Device, Timestamp};
use crate::vfs::file::{File, Whence};
use crate::vfs::inode::{DirEntry, InodeRef, NewKind, NewNode, RenameFlags};

/// What a directory's size grows by with an entry, as on Linux.
const ENTRY_SIZE: u64 = 20;

/// Names and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Directory {
    by_name: HashMap<Vec<u8>, (u64, Arc<TmpInode>)>,
    by_number: BTreeMap<u64, Vec<u8>>,
    last_number: u64,
    /// It has been removed: nothing may be made in it.
    removed: bool,
}

impl Directory {
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<TmpInode>> {
        self.by_name.get(name).map(|(_, inode)| inode.clone())
    }

    pub(super) fn size(&self) -> u64 {
        (self.by_name.len() as u64 + 2) * ENTRY_SIZE
    }

    fn insert(&mut self, name: &[u8], inode: Arc<TmpInode>) {
        self.last_number += 1;
        let number = self.last_number;
        self.by_number.insert(number, name.to_vec());
        self.by_name.insert(name.to_vec(), (number, inode));
    }

    fn remove(&mut self, name: &[u8]) -> Option<Arc<TmpInode>> {
        let (number, inode) = self.by_name.remove(name)?;
        self.by_number.remove(&number);
        Some(inode)
    }

    /// Puts another inode at a name that exists, in its place.
    fn exchange(&mut self, name: &[u8], inode: Arc<TmpInode>) {
        if let Some((_, held)) = self.by_name.get_mut(name) {
            *held = inode;
        }
    }

    /// Drops what is below one after the other: a tree may be deeper than the stack.
    pub(super) fn drop_deep(&mut self) {
        let mut pending: Vec<Arc<TmpInode>> =
            self.by_name.drain().map(|(_, (_, inode))| inode).collect();
        self.by_number.clear();
        while let Some(inode) = pending.pop() {
            if let Some(inode) = Arc::into_inner(inode)
                && let Ok(directory) = inode.directory()
            {
                let entries = std::mem::take(&mut directory.lock().by_name);
                pending.extend(entries.into_values().map(|(_, inode)| inode));
            }
        }
    }
}

impl TmpInode {
    /// An empty directory for a file system that no longer exists.
    pub(super) fn orphan_root(core: &Arc<super::Core>) -> Arc<TmpInode> {
        // It is given back when it is dropped; a limit does not matter here.
        core.inodes
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let node = NewNode {
            kind: NewKind::Directory,
            permissions: 0o755,
            uid: 0,
            gid: 0,
        };
        TmpInode::new(core, &node)
    }

    /// A file without a name may be given one (`O_TMPFILE` without `O_EXCL`).
    pub(super) fn allow_first_link(&self) {
        if let Some(regular) = self.regular() {
            regular
                .linkable
                .store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn add_links(&self, count: u64) {
        self.meta.lock().nlink += count;
    }

    fn remove_links(&self, count: u64) {
        let mut meta = self.meta.lock();
        meta.nlink = meta.nlink.saturating_sub(count);
        meta.ctime = Timestamp::now();
    }

    pub(super) fn create_entry(&self, name: &[u8], node: &NewNode<'_>) -> Result<Arc<TmpInode>> {
        let mut directory = self.directory()?.lock();
        if directory.removed {
            return Err(Errno::ENOENT);
        }
        if directory.by_name.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.core.memory.check_lasting(Errno::ENOSPC)?;
        self.core.charge_inode()?;
        let inode = TmpInode::new(&self.core, node);
        directory.insert(name, inode.clone());
        drop(directory);
        if inode.is_directory() {
            self.add_links(1);
        } else {
            inode.add_links(1);
        }
        self.modified();
        Ok(inode)
    }

    pub(super) fn link_entry(&self, name: &[u8], target: &InodeRef) -> Result<()> {
        let target = TmpInode::downcast(target).ok_or(Errno::EXDEV)?;
        if !Arc::ptr_eq(&target.core, &self.core) {
            return Err(Errno::EXDEV);
        }
        let mut directory = self.directory()?.lock();
        if directory.removed {
            return Err(Errno::ENOENT);
        }
        if directory.by_name.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        {
            let mut meta = target.meta.lock();
            let linkable = target
                .regular()
                .is_some_and(|regular| regular.linkable.load(std::sync::atomic::Ordering::Relaxed));
            if meta.nlink == 0 && !linkable {
                return Err(Errno::ENOENT);
            }
            meta.nlink += 1;
            meta.ctime = Timestamp::now();
        }
        directory.insert(name, target);
        drop(directory);
        self.modified();
        Ok(())
    }

    pub(super) fn unlink_entry(&self, name: &[u8]) -> Result<()> {
        let mut directory = self.directory()?.lock();
        let inode = directory.get(name).ok_or(Errno::ENOENT)?;
        if inode.is_directory() {
            return Err(Errno::EISDIR);
        }
        directory.remove(name);
        drop(directory);
        inode.remove_links(1);
        self.modified();
        Ok(())
    }

    pub(super) fn rmdir_entry(&self, name: &[u8]) -> Result<()> {
        let mut directory = self.directory()?.lock();
        let inode = directory.get(name).ok_or(Errno::ENOENT)?;
        inode.remove_if_empty()?;
        directory.remove(name);
        drop(directory);
        inode.remove_links(2);
        self.remove_links(1);
        self.modified();
        Ok(())
    }

    /// Marks a directory as removed; ENOTDIR, ENOTEMPTY.
    fn remove_if_empty(&self) -> Result<()> {
        let mut directory = self.directory()?.lock();
        if !directory.by_name.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        directory.removed = true;
        Ok(())
    }

    pub(super) fn rename_entry(
        &self,
        name: &[u8],
        new_parent: &TmpInode,
        new_name: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        let mut both = Both::lock(self, new_parent)?;
        let moved = both.from().get(name).ok_or(Errno::ENOENT)?;
        let target = both.to().get(new_name);
        if both.to().removed {
            return Err(Errno::ENOENT);
        }
        if target.is_some() && flags.contains(RenameFlags::NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        if flags.contains(RenameFlags::EXCHANGE) {
            let target = target.ok_or(Errno::ENOENT)?;
            both.from().exchange(name, target.clone());
            both.to().exchange(new_name, moved.clone());
            drop(both);
            move_directory_link(&moved, self, new_parent);
            move_directory_link(&target, new_parent, self);
            target.changed();
        } else {
            if let Some(target) = &target {
                if target.is_directory() {
                    target.remove_if_empty()?;
                }
                both.to().remove(new_name);
            }
            both.from().remove(name);
            both.to().insert(new_name, moved.clone());
            if flags.contains(RenameFlags::WHITEOUT) {
                both.from().insert(name, self.whiteout()?);
            }
            drop(both);
            move_directory_link(&moved, self, new_parent);
            if let Some(target) = target {
                let is_directory = target.is_directory();
                target.remove_links(if is_directory { 2 } else { 1 });
                if is_directory {
                    new_parent.remove_links(1);
                }
            }
        }
        moved.changed();
        self.modified();
        new_parent.modified();
        Ok(())
    }

    fn whiteout(&self) -> Result<Arc<TmpInode>> {
        self.core.charge_inode()?;
        let node = NewNode {
            kind: NewKind::CharDevice(Device::default()),
            permissions: 0,
            uid: 0,
            gid: 0,
        };
        let inode = TmpInode::new(&self.core, &node);
        inode.add_links(1);
        Ok(inode)
    }
}

/// The `..` of a directory is a link to its parent.
fn move_directory_link(moved: &TmpInode, from: &TmpInode, to: &TmpInode) {
    if moved.is_directory() && from.ino != to.ino {
        from.remove_links(1);
        to.add_links(1);
    }
}

/// Two directories, locked by inode number; or one.
struct Both<'a> {
    from: MutexGuard<'a, Directory>,
    to: Option<MutexGuard<'a, Directory>>,
}

impl<'a> Both<'a> {
    fn lock(from: &'a TmpInode, to: &'a TmpInode) -> Result<Both<'a>> {
        let same_fs = Arc::ptr_eq(&from.core, &to.core);
        if !same_fs {
            return Err(Errno::EXDEV);
        }
        let (from_ino, to_ino) = (from.ino, to.ino);
        let (from, to): (&Mutex<Directory>, &Mutex<Directory>) =
            (from.directory()?, to.directory()?);
        if from_ino == to_ino {
            return Ok(Both {
                from: from.lock(),
                to: None,
            });
        }
        if from_ino < to_ino {
            let from = from.lock();
            return Ok(Both {
                from,
                to: Some(to.lock()),
            });
        }
        let to = to.lock();
        Ok(Both {
            from: from.lock(),
            to: Some(to),
        })
    }

    fn from(&mut self) -> &mut Directory {
        &mut self.from
    }

    fn to(&mut self) -> &mut Directory {
        self.to.as_mut().unwrap_or(&mut self.from)
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct OpenDirectory {
    inode: Arc<TmpInode>,
}

impl OpenDirectory {
    pub(super) fn new(inode: Arc<TmpInode>) -> OpenDirectory {
        OpenDirectory { inode }
    }
}

impl File for OpenDirectory {
    fn is_seekable(&self) -> bool {
        true
    }

    fn seek_special(&self, whence: Whence, offset: i64) -> Result<u64> {
        if whence != Whence::End {
            return Err(Errno::EINVAL);
        }
        let end = self.inode.directory()?.lock().last_number;
        // Two entries come before those of the directory itself.
        let end = end.saturating_add(2).cast_signed();
        u64::try_from(end.saturating_add(offset)).map_err(|_| Errno::EINVAL)
    }

    fn read_dir(
        &self,
        _task: &Task,
        from: u64,
        emit: &mut dyn FnMut(DirEntry) -> bool,
    ) -> Result<()> {
        let directory = self.inode.directory()?.lock();
        for (number, name) in directory.by_number.range(from.saturating_add(1)..) {
            let Some((_, inode)) = directory.by_name.get(name) else {
                continue;
            };
            let entry = DirEntry {
                name: name.clone(),
                ino: inode.ino,
                file_type: inode.file_type(),
                next: *number,
            };
            if !emit(entry) {
                break;
            }
        }
        drop(directory);
        self.inode.accessed();
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}
