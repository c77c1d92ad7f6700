//! A writable tree in memory over a tree of the host that stays as it is: `runsc do`, `--overlay`.
//!
//! An [`OverlayInode`] shows a lower file, or one that exists only here. What the application changes is
//! kept in memory beside the lower file: attributes on the first change of them, contents on the first
//! open for writing or truncation (the whole file is copied, as Linux's overlayfs does), entries of
//! directories as a table of new ones and of *whiteouts* that hide lower ones. A directory without a
//! lower one is opaque by itself. Nothing is found again by its path: a directory that is renamed keeps
//! its lower directory, so that merged directories can be renamed, which Linux answers with EXDEV.
//!
//! Hard links of the lower tree stay hard links after copying up, since all names of a lower inode lead
//! to one `OverlayInode`; that is kept alive from its first change until its last name is gone.
//!
//! Inode numbers are those of the lower files, and above [`NEW_INO`] for new ones: they never change.
//!
//! Lock order: `Core::tree` (one change of the tree at a time) comes first; an inode's `entries`, `own`
//! and `content` are inode metadata, never two of one kind at once; `Core::by_lower` comes last.

mod content;
mod directory;
mod edit;
mod file;
mod inode;
mod mapped;
mod own_attr;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use locks::{Mutex, rank};
use memory::MemoryFile;

pub use self::inode::OverlayInode;
use crate::error::Result;
use crate::fs::gofer::{GoferFs, GoferInode};
use crate::fs::page_store::Quota;
use crate::fs::tmpfs;
use crate::vfs::attr::{Device, StatFs};
use crate::vfs::inode::{FileSystem, InodeRef};

/// Numbers of inodes that exist only here start above this.
const NEW_INO: u64 = 1 << 40;
/// `OVERLAYFS_SUPER_MAGIC`
const MAGIC: u64 = 0x794c_7630;

/// A writable view of a tree of the host.
#[derive(Debug)]
pub struct OverlayFs {
    core: Arc<Core>,
    root: Arc<OverlayInode>,
    shown: Shown,
}

/// What an overlay says that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// An overlay.
    #[default]
    Overlay,
    /// A tmpfs that was filled with a copy of the lower tree: nobody can tell, but by how soon it is there.
    Tmpfs,
}

impl Shown {
    fn type_name(self) -> &'static str {
        match self {
            Shown::Overlay => "overlay",
            Shown::Tmpfs => "tmpfs",
        }
    }

    fn magic(self) -> u64 {
        match self {
            Shown::Overlay => MAGIC,
            Shown::Tmpfs => tmpfs::MAGIC,
        }
    }
}

/// What inodes need of their instance; it does not keep the root alive.
#[derive(Debug)]
struct Core {
    lower: Arc<GoferFs>,
    memory: Arc<MemoryFile>,
    quota: Arc<Quota>,
    device: Device,
    fs: Weak<OverlayFs>,
    next_ino: AtomicU64,
    /// Held over each change of the tree.
    tree: Mutex<(), rank::Metadata>,
    /// The inode of each lower inode, by its address, which stays while the entry does.
    by_lower: Mutex<HashMap<usize, Held>>,
}

/// How an inode with a lower one is held.
#[derive(Debug)]
enum Held {
    /// Nothing of it has changed: it can be made again.
    Unchanged(Weak<OverlayInode>),
    /// It has changed and still has names.
    Changed(Arc<OverlayInode>),
}

impl Held {
    fn inode(&self) -> Option<Arc<OverlayInode>> {
        match self {
            Held::Unchanged(weak) => weak.upgrade(),
            Held::Changed(inode) => Some(inode.clone()),
        }
    }
}

impl OverlayFs {
    /// A writable view of `lower`, which nobody may change meanwhile. At most `limit` bytes of new
    /// contents are kept, none: as much as there is memory.
    #[must_use]
    pub fn new(
        lower: Arc<GoferFs>,
        memory: Arc<MemoryFile>,
        limit: Option<u64>,
        device: Device,
    ) -> Arc<OverlayFs> {
        OverlayFs::shown_as(Shown::Overlay, lower, memory, limit, device)
    }

    /// As [`OverlayFs::new`], for a view that says that it is something else.
    #[must_use]
    pub fn shown_as(
        shown: Shown,
        lower: Arc<GoferFs>,
        memory: Arc<MemoryFile>,
        limit: Option<u64>,
        device: Device,
    ) -> Arc<OverlayFs> {
        Arc::new_cyclic(|fs| {
            let lower_root = lower.root_inode().clone();
            let core = Arc::new(Core {
                lower,
                memory,
                quota: Quota::new(limit),
                device,
                fs: fs.clone(),
                next_ino: AtomicU64::new(NEW_INO),
                tree: Mutex::new(()),
                by_lower: Mutex::default(),
            });
            let root = core.over(&lower_root);
            OverlayFs { core, root, shown }
        })
    }

    /// Its root, as the type it is.
    #[must_use]
    pub fn root_inode(&self) -> &Arc<OverlayInode> {
        &self.root
    }
}

impl Drop for OverlayFs {
    /// Lets go of changed inodes, which hold the core that holds them.
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.core.by_lower.lock());
        drop(held);
    }
}

impl FileSystem for OverlayFs {
    fn type_name(&self) -> &'static str {
        self.shown.type_name()
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn device(&self) -> Device {
        self.core.device
    }

    fn root_name(&self) -> &[u8] {
        self.core.lower.root_name()
    }

    fn stat(&self) -> Result<StatFs> {
        let lower = self.core.lower.stat()?;
        let Some(limit) = self.core.quota.limit() else {
            return Ok(StatFs {
                magic: self.shown.magic(),
                ..lower
            });
        };
        let page = abi::PAGE_SIZE as u64;
        let free = limit.saturating_sub(self.core.quota.used()) / page;
        Ok(StatFs {
            magic: self.shown.magic(),
            block_size: page,
            blocks: limit / page,
            blocks_free: free,
            blocks_available: free,
            ..lower
        })
    }
}

impl Core {
    /// The instance, or, for a file that is used after the last mount of it is gone, a stand-in.
    fn file_system(self: &Arc<Self>, inode: &Arc<OverlayInode>) -> Arc<dyn FileSystem> {
        self.fs.upgrade().unwrap_or_else(|| {
            Arc::new(OverlayFs {
                core: self.clone(),
                root: inode.clone(),
                shown: Shown::default(),
            })
        })
    }

    fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    /// The inode that shows `lower`.
    fn over(self: &Arc<Self>, lower: &Arc<GoferInode>) -> Arc<OverlayInode> {
        let mut by_lower = self.by_lower.lock();
        let key = Arc::as_ptr(lower).addr();
        if let Some(inode) = by_lower.get(&key).and_then(Held::inode) {
            return inode;
        }
        let inode = OverlayInode::over(self, lower);
        by_lower.insert(key, Held::Unchanged(Arc::downgrade(&inode)));
        inode
    }

    /// Keeps a changed inode alive.
    fn keep(&self, inode: &Arc<OverlayInode>) {
        if let Some(lower) = inode.lower() {
            let key = Arc::as_ptr(lower).addr();
            self.by_lower
                .lock()
                .insert(key, Held::Changed(inode.clone()));
        }
    }

    /// Lets an inode go that has no name any more, once nobody uses it.
    fn let_go(&self, inode: &Arc<OverlayInode>) {
        if let Some(lower) = inode.lower() {
            let key = Arc::as_ptr(lower).addr();
            let weak = Held::Unchanged(Arc::downgrade(inode));
            let old = self.by_lower.lock().insert(key, weak);
            drop(old);
        }
    }

    /// Forgets an inode that is being dropped.
    fn forget(&self, lower: &Arc<GoferInode>) {
        let key = Arc::as_ptr(lower).addr();
        let mut by_lower = self.by_lower.lock();
        if matches!(by_lower.get(&key), Some(Held::Unchanged(weak)) if weak.strong_count() == 0) {
            by_lower.remove(&key);
        }
    }
}
