//! Inodes of made-up files.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use super::file::{DirectoryFile, SyntheticFile};
use super::{Body, Entry, Owner, SyntheticFs};
use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, Timestamp};
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::inode::{FileSystem, Inode, InodeRef, LinkTarget, NewKind, NewNode};
use crate::vfs::shared::InodeShared;

/// The root's inode number, as in proc.
const ROOT_INO: u64 = 1;

/// One made-up file.
#[derive(Debug)]
pub struct SyntheticInode {
    fs: Weak<SyntheticFs>,
    block_size: u32,
    ino: u64,
    entry: Entry,
    made: Timestamp,
    shared: InodeShared,
    /// What was looked up and is still in use, so that mounts and open files find it again.
    children: Mutex<HashMap<Vec<u8>, Weak<SyntheticInode>>>,
}

impl SyntheticInode {
    /// The root of an instance, all of whose inodes have this block size.
    pub(super) fn root(
        fs: Weak<SyntheticFs>,
        block_size: u32,
        entry: Entry,
    ) -> Arc<SyntheticInode> {
        SyntheticInode::new(fs, block_size, ROOT_INO, entry)
    }

    fn new(fs: Weak<SyntheticFs>, block_size: u32, ino: u64, entry: Entry) -> Arc<SyntheticInode> {
        Arc::new(SyntheticInode {
            fs,
            block_size,
            ino,
            entry,
            made: Timestamp::now(),
            shared: InodeShared::default(),
            children: Mutex::default(),
        })
    }

    /// The inode number of an entry: a hash of its parent's number and its name, so that it is the same each
    /// time it is looked up (FNV-1a, kept below 2^32 as 32-bit programs like it).
    pub(super) fn child_ino(&self, name: &[u8], identity: u64) -> u64 {
        let seed = 0xcbf2_9ce4_8422_2325 ^ self.ino.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ identity;
        let hash = name.iter().fold(seed, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        (hash ^ hash >> 32) & 0xffff_ffff | 2
    }

    fn owner(&self) -> (u32, u32) {
        match &self.entry.owner {
            Owner::Root => (0, 0),
            Owner::Task(task) => task.upgrade().map_or((0, 0), |task| {
                // Files of a process that others may not look into are root's (man 5 proc, /proc/pid).
                let dumpable = task.mm_if_alive().is_none_or(|mm| mm.dumpable());
                let credentials = task.credentials();
                if dumpable {
                    (credentials.euid, credentials.egid)
                } else {
                    (0, 0)
                }
            }),
        }
    }
}

impl Inode for SyntheticInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs
            .upgrade()
            .expect("an inode in use keeps its mount, and that its file system")
    }

    fn attr(&self) -> Result<Attr> {
        let (uid, gid) = self.owner();
        let size = match &self.entry.body {
            Body::File(content) => content.size(),
            Body::Directory(_) | Body::Link(_) | Body::Inode(_) => 0,
        };
        let file_type = self.entry.body.file_type();
        Ok(Attr {
            ino: self.ino,
            file_type,
            permissions: self.entry.permissions,
            nlink: if file_type == FileType::Directory {
                2
            } else {
                1
            },
            uid,
            gid,
            rdev: Device::default(),
            size,
            blocks: 0,
            block_size: self.block_size,
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            btime: None,
        })
    }

    fn is_always_empty(&self) -> bool {
        match &self.entry.body {
            Body::Directory(directory) => directory.names().is_ok_and(|names| names.is_empty()),
            _ => false,
        }
    }

    fn set_attr(&self, change: &SetAttr) -> Result<()> {
        // Truncating before a write is what a shell's `>` does; all else would not last.
        if change.size.is_some() && matches!(self.entry.body, Body::File(_)) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        let Body::Directory(directory) = &self.entry.body else {
            return Err(Errno::ENOTDIR);
        };
        let entry = directory.entry(name)?;
        if let Body::Inode(inode) = entry.body {
            return Ok(inode);
        }
        let mut children = self.children.lock();
        if let Some(known) = children.get(name).and_then(Weak::upgrade)
            && known.entry.identity == entry.identity
        {
            return Ok(known);
        }
        children.retain(|_, child| child.strong_count() > 0);
        let ino = self.child_ino(name, entry.identity);
        let inode = SyntheticInode::new(self.fs.clone(), self.block_size, ino, entry);
        children.insert(name.to_vec(), Arc::downgrade(&inode));
        Ok(inode)
    }

    fn create(&self, name: &[u8], node: &NewNode<'_>) -> Result<InodeRef> {
        let Body::Directory(directory) = &self.entry.body else {
            return Err(Errno::ENOTDIR);
        };
        match node.kind {
            NewKind::Directory => directory.make_directory(name)?,
            NewKind::Regular => directory.make_file(name, node)?,
            _ => return Err(Errno::EACCES),
        }
        self.lookup(name)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        match &self.entry.body {
            Body::Directory(directory) => directory.remove_file(name),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        let Body::Directory(directory) = &self.entry.body else {
            return Err(Errno::ENOTDIR);
        };
        directory.remove_directory(name)?;
        self.children.lock().remove(name);
        Ok(())
    }

    fn read_link(&self, task: &Task) -> Result<LinkTarget> {
        match &self.entry.body {
            Body::Link(link) => link.target(task),
            Body::Directory(_) | Body::File(_) | Body::Inode(_) => Err(Errno::EINVAL),
        }
    }

    fn open(self: Arc<Self>, flags: OpenFlags, task: &Task) -> Result<Arc<dyn File>> {
        match &self.entry.body {
            Body::Directory(directory) => Ok(Arc::new(DirectoryFile::new(
                self.clone(),
                directory.clone(),
            ))),
            Body::File(content) => {
                let opened = content.open(task)?;
                let content = opened.unwrap_or_else(|| content.clone());
                Ok(Arc::new(SyntheticFile::new(content)))
            }
            Body::Link(_) => Err(Errno::ELOOP),
            Body::Inode(inode) => inode.clone().open(flags, task),
        }
    }
}
