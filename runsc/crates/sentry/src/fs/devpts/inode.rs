//! The inodes of devpts: the directory, `ptmx`, and the slave ends.

use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use super::DevPts;
use crate::error::Result;
use crate::fs::tty::Tty;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, SetTime, Timestamp};
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::inode::{DirEntry, FileSystem, Inode, InodeRef};
use crate::vfs::shared::InodeShared;

const ROOT_INO: u64 = 1;
const PTMX_INO: u64 = 2;
/// Slave ends are numbered from here on.
const FIRST_SLAVE_INO: u64 = 3;

/// What every inode here has.
#[derive(Debug)]
struct Node {
    fs: Weak<DevPts>,
    shared: InodeShared,
    attr: Mutex<Attr>,
}

impl Node {
    fn new(
        fs: Weak<DevPts>,
        ino: u64,
        file_type: FileType,
        permissions: u32,
        owner: (u32, u32),
        rdev: Device,
    ) -> Node {
        let now = Timestamp::now();
        Node {
            fs,
            shared: InodeShared::default(),
            attr: Mutex::new(Attr {
                ino,
                file_type,
                permissions,
                nlink: if file_type == FileType::Directory {
                    2
                } else {
                    1
                },
                uid: owner.0,
                gid: owner.1,
                rdev,
                size: 0,
                blocks: 0,
                block_size: 1024,
                atime: now,
                mtime: now,
                ctime: now,
                btime: None,
            }),
        }
    }

    fn fs(&self) -> Arc<DevPts> {
        self.fs
            .upgrade()
            .expect("an inode is reached through its file system's mount")
    }

    fn set_attr(&self, change: &SetAttr) {
        let now = Timestamp::now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        let mut attr = self.attr.lock();
        attr.permissions = change.permissions.unwrap_or(attr.permissions);
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        attr.atime = change.atime.map_or(attr.atime, time);
        attr.mtime = change.mtime.map_or(attr.mtime, time);
        attr.ctime = now;
    }
}

macro_rules! node_methods {
    () => {
        fn shared(&self) -> &InodeShared {
            &self.node.shared
        }

        fn file_system(&self) -> Arc<dyn FileSystem> {
            self.node.fs()
        }

        fn attr(&self) -> Result<Attr> {
            Ok(*self.node.attr.lock())
        }

        fn set_attr(&self, change: &SetAttr) -> Result<()> {
            self.node.set_attr(change);
            Ok(())
        }
    };
}

/// The directory.
#[derive(Debug)]
pub(super) struct RootInode {
    node: Node,
}

impl RootInode {
    pub(super) fn new(fs: Weak<DevPts>) -> Arc<RootInode> {
        let device = Device::default();
        Arc::new(RootInode {
            node: Node::new(fs, ROOT_INO, FileType::Directory, 0o755, (0, 0), device),
        })
    }
}

/// The number that a name is: decimal, without leading zeroes.
fn parse(name: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(name).ok()?;
    let index: u32 = text.parse().ok()?;
    (index.to_string() == text).then_some(index)
}

impl Inode for RootInode {
    node_methods!();

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        let fs = self.node.fs();
        if name == b"ptmx" {
            return Ok(fs.ptmx());
        }
        let index = parse(name).ok_or(Errno::ENOENT)?;
        fs.slave(index).ok_or(Errno::ENOENT)
    }

    fn open(self: Arc<Self>, _flags: OpenFlags, _task: &Task) -> Result<Arc<dyn File>> {
        Ok(Arc::new(Listing { fs: self.node.fs() }))
    }
}

/// The open directory. Its cursor is 1 behind `ptmx`, and behind terminal *n* it is *n* + 2.
#[derive(Debug)]
struct Listing {
    fs: Arc<DevPts>,
}

impl File for Listing {
    fn read_dir(
        &self,
        _task: &Task,
        from: u64,
        emit: &mut dyn FnMut(DirEntry) -> bool,
    ) -> Result<()> {
        let entry = |name: String, ino: u64, next: u64| DirEntry {
            name: name.into_bytes(),
            ino,
            file_type: FileType::CharDevice,
            next,
        };
        if from == 0 && !emit(entry("ptmx".to_owned(), PTMX_INO, 1)) {
            return Ok(());
        }
        for index in self.fs.indices() {
            let at = u64::from(index) + 1;
            let ino = FIRST_SLAVE_INO + u64::from(index);
            if at >= from && !emit(entry(index.to_string(), ino, at + 1)) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// `ptmx`: opening it makes a new terminal.
#[derive(Debug)]
pub(super) struct PtmxInode {
    node: Node,
}

impl PtmxInode {
    pub(super) fn new(fs: Weak<DevPts>, permissions: u32) -> Arc<PtmxInode> {
        let device = Device::new(5, 2);
        let node = Node::new(
            fs,
            PTMX_INO,
            FileType::CharDevice,
            permissions,
            (0, 0),
            device,
        );
        Arc::new(PtmxInode { node })
    }
}

impl Inode for PtmxInode {
    node_methods!();
}

/// A slave end's name.
#[derive(Debug)]
pub(super) struct SlaveInode {
    node: Node,
    tty: Arc<Tty>,
}

impl SlaveInode {
    pub(super) fn new(
        fs: Weak<DevPts>,
        index: u32,
        tty: Arc<Tty>,
        permissions: u32,
        owner: (u32, u32),
    ) -> Arc<SlaveInode> {
        let ino = FIRST_SLAVE_INO + u64::from(index);
        let device = tty.device;
        Arc::new(SlaveInode {
            node: Node::new(fs, ino, FileType::CharDevice, permissions, owner, device),
            tty,
        })
    }

    pub(super) fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }
}

impl Inode for SlaveInode {
    node_methods!();
}
