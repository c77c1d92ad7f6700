//! tmpfs: files in the guest's memory (`man 5 tmpfs`).
//!
//! - [`TmpFs`] is a mounted instance: its limits, and what its inodes share ([`Core`]).
//! - [`inode`] has attributes and extended attributes, [`directory`] names, [`mod@file`] contents.
//!
//! Inodes hold the core, not the file system, so that dropping a mount drops its files. Lock order:
//! directories by inode number, then attributes.

mod directory;
mod file;
mod inode;
mod options;
mod xattr;

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use abi::{Errno, PAGE_SIZE};
use memory::MemoryFile;

use crate::error::Result;
use crate::fs::page_store::Quota;
use crate::kernel::Kernel;
use crate::vfs::attr::{Device, StatFs};
use crate::vfs::inode::{FileSystem, InodeRef, NewKind, NewNode};
use crate::vfs::seals::SealFlags;

pub use inode::TmpInode;
pub use options::TmpfsOptions;

/// `TMPFS_MAGIC`
pub(crate) const MAGIC: u64 = 0x0102_1994;
const PAGE: u64 = PAGE_SIZE as u64;

/// What the inodes of one instance share.
#[derive(Debug)]
pub(crate) struct Core {
    type_name: &'static str,
    device: Device,
    memory: Arc<MemoryFile>,
    quota: Arc<Quota>,
    /// Most inodes, 0 for no limit.
    max_inodes: AtomicU64,
    inodes: AtomicU64,
    next_ino: AtomicU64,
    fs: Weak<TmpFs>,
}

/// A tmpfs.
#[derive(Debug)]
pub struct TmpFs {
    core: Arc<Core>,
    root: Arc<TmpInode>,
    options: TmpfsOptions,
}

impl TmpFs {
    /// An empty instance.
    #[must_use]
    pub fn new(kernel: &Kernel, options: &TmpfsOptions) -> Arc<TmpFs> {
        TmpFs::with_type(kernel, "tmpfs", options)
    }

    /// An empty instance that calls itself `type_name` (`devtmpfs`).
    #[must_use]
    pub fn with_type(
        kernel: &Kernel,
        type_name: &'static str,
        options: &TmpfsOptions,
    ) -> Arc<TmpFs> {
        Arc::new_cyclic(|fs| {
            let core = Arc::new(Core {
                type_name,
                device: kernel.vfs.anonymous_device(),
                memory: kernel.memory().clone(),
                quota: Quota::new(options.size_bytes),
                max_inodes: AtomicU64::new(options.max_inodes.unwrap_or(0)),
                inodes: AtomicU64::new(1),
                next_ino: AtomicU64::new(1),
                fs: fs.clone(),
            });
            let node = NewNode {
                kind: NewKind::Directory,
                permissions: options.mode.unwrap_or(0o1777),
                uid: options.uid.unwrap_or(0),
                gid: options.gid.unwrap_or(0),
            };
            TmpFs {
                root: TmpInode::new(&core, &node),
                core,
                options: options.clone(),
            }
        })
    }

    /// A new regular file of `fs`, which is a tmpfs, that never has a name.
    pub(crate) fn unnamed(
        fs: &Arc<dyn FileSystem>,
        node: &NewNode<'_>,
        seals: SealFlags,
    ) -> Result<Arc<TmpInode>> {
        let any: &dyn Any = &**fs;
        let fs: &TmpFs = any.downcast_ref().ok_or(Errno::EINVAL)?;
        fs.core.charge_inode()?;
        Ok(TmpInode::with_seals(&fs.core, node, seals))
    }

    /// The root, as the type it is.
    #[must_use]
    pub fn root_inode(&self) -> &Arc<TmpInode> {
        &self.root
    }

    /// Changes the limits (`mount(2)` with `MS_REMOUNT`); EINVAL below what is in use.
    pub fn set_limits(&self, size_bytes: Option<u64>, max_inodes: Option<u64>) -> Result<()> {
        let max_inodes = max_inodes.unwrap_or(0);
        if max_inodes != 0 && max_inodes < self.core.inodes.load(Ordering::Relaxed) {
            return Err(Errno::EINVAL);
        }
        self.core.quota.set_limit(size_bytes)?;
        self.core.max_inodes.store(max_inodes, Ordering::Relaxed);
        Ok(())
    }
}

impl Core {
    /// Counts one more inode; ENOSPC.
    fn charge_inode(&self) -> Result<()> {
        let max = self.max_inodes.load(Ordering::Relaxed);
        let add = |count: u64| (max == 0 || count < max).then_some(count + 1);
        self.inodes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .map(drop)
            .map_err(|_| Errno::ENOSPC)
    }

    fn refund_inode(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FileSystem for TmpFs {
    fn type_name(&self) -> &'static str {
        self.core.type_name
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn device(&self) -> Device {
        self.core.device
    }

    fn stat(&self) -> Result<StatFs> {
        let core = &self.core;
        let max_inodes = core.max_inodes.load(Ordering::Relaxed);
        let mut stat = StatFs {
            magic: MAGIC,
            block_size: PAGE,
            name_max: 255,
            ..StatFs::default()
        };
        if let Some(limit) = core.quota.limit() {
            stat.blocks = limit / PAGE;
            stat.blocks_free = limit.saturating_sub(core.quota.used()) / PAGE;
            stat.blocks_available = stat.blocks_free;
        }
        if max_inodes != 0 {
            stat.files = max_inodes;
            stat.files_free = max_inodes.saturating_sub(core.inodes.load(Ordering::Relaxed));
        }
        Ok(stat)
    }

    fn options(&self) -> String {
        let max_inodes = self.core.max_inodes.load(Ordering::Relaxed);
        self.options.text(
            self.core.quota.limit(),
            Some(max_inodes).filter(|max| *max != 0),
        )
    }
}
