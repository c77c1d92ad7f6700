//! Files of the host, behind the gofer.
//!
//! A [`GoferFs`] shows one tree of a [`HostTree`]. Its inodes are made on lookup and shared by all
//! names of the same host file, so that hard links share locks, mappings and attributes. Which names are
//! the same file is the tree's word: it answers with the same node. Each inode holds one finding of its
//! node and gives it back when it is dropped. Contents never pass the gofer: a regular file's host descriptor is donated
//! on first use, at most one per inode ([`host_file`]), and data moves between it and user memory.
//!
//! How much is believed without asking is the [`CachePolicy`]: on a tree of our own (`Keep`)
//! attributes stay true until the Sentry changes them; on one that the host changes too
//! (`Revalidate`) they are those of the last walk, which the walker makes anew each time.
//!
//! Lock order: an inode's `host`, `children` and `attr` are inode metadata, never two of one kind at
//! once; the instance's tables (`inodes`, the descriptors' queue) come after them.

mod attr;
mod children;
mod dir;
mod edit;
mod file;
mod host_file;
mod inode;
mod lookup;
mod mapped;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use ::gofer::{Found, HostTree, NodeId, SyncKind, TreeId};
use abi::Errno;
use locks::Mutex;

pub(crate) use self::dir::GoferDirectory;
use self::host_file::DescriptorCache;
pub(crate) use self::host_file::{END, Use};
pub use self::inode::GoferInode;
pub(crate) use self::mapped::MappedFile;
use crate::error::Result;
use crate::vfs::attr::{Device, FileType, StatFs};
use crate::vfs::inode::{CachePolicy, FileSystem, InodeRef};

/// How a tree is shown.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long lookups and attributes stay true.
    pub policy: CachePolicy,
    /// Most host descriptors kept open; those in use come on top.
    pub descriptors: usize,
    /// The file system's own options in `/proc/mounts`.
    pub text: String,
    /// What the host calls the root of the tree in the file system that it is a part of.
    pub root_name: Vec<u8>,
}

impl Options {
    /// The usual limits with this policy.
    #[must_use]
    pub fn new(policy: CachePolicy) -> Options {
        Options {
            policy,
            descriptors: 4096,
            text: String::new(),
            root_name: b"/".to_vec(),
        }
    }
}

/// A tree of host files.
#[derive(Debug)]
pub struct GoferFs {
    core: Arc<Core>,
    root: Arc<GoferInode>,
    /// FIFOs that were made in here, kept so that they are known as that.
    own_fifos: Mutex<VecDeque<Arc<GoferInode>>>,
}

/// How many descriptors are closed at once where this process has no room for one.
const ROOM: usize = 16;
/// The most FIFOs that are known as made in here; the oldest become strangers.
const MOST_OWN_FIFOS: usize = 256;

/// What inodes need of their instance; it does not keep the root alive.
#[derive(Debug)]
struct Core {
    tree: Arc<dyn HostTree>,
    device: Device,
    options: Options,
    fs: Weak<GoferFs>,
    inodes: Mutex<HashMap<NodeId, Weak<GoferInode>>>,
    descriptors: DescriptorCache,
    /// Counts changes of entries, so that a walk notices one.
    changes: AtomicU64,
}

impl GoferFs {
    /// Shows tree `id` of `tree`; `device` is what its inodes report as `st_dev`.
    ///
    /// # Errors
    /// What attaching reports: ENOENT if there is no such tree, EIO if the gofer is gone.
    pub fn new(
        tree: Arc<dyn HostTree>,
        id: TreeId,
        device: Device,
        options: Options,
    ) -> Result<Arc<GoferFs>> {
        let found = tree.attach(id)?;
        let kind = FileType::from_mode(found.attr.mode).ok_or(Errno::EIO)?;
        Ok(Arc::new_cyclic(|fs| {
            let core = Arc::new(Core {
                tree,
                device,
                descriptors: DescriptorCache::new(options.descriptors),
                options,
                fs: fs.clone(),
                inodes: Mutex::new(HashMap::new()),
                changes: AtomicU64::new(0),
            });
            let root = GoferInode::new(&core, found.node, kind, &found.attr);
            core.inodes.lock().insert(found.node, Arc::downgrade(&root));
            GoferFs {
                core,
                root,
                own_fifos: Mutex::default(),
            }
        }))
    }

    /// Closes some host descriptors that no file in use needs; false if there are none.
    #[must_use]
    pub fn make_room(&self) -> bool {
        self.core.descriptors.close_some(ROOM, |_| false) > 0
    }

    /// Its root, as the type it is.
    #[must_use]
    pub fn root_inode(&self) -> &Arc<GoferInode> {
        &self.root
    }
}

impl FileSystem for GoferFs {
    fn type_name(&self) -> &'static str {
        "9p"
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn device(&self) -> Device {
        self.core.device
    }

    fn stat(&self) -> Result<StatFs> {
        self.root
            .ask(|tree, node| tree.stat_fs(node))
            .map(|stat| attr::stat_fs(&stat))
    }

    fn root_name(&self) -> &[u8] {
        &self.core.options.root_name
    }

    fn cache_policy(&self) -> CachePolicy {
        self.core.options.policy
    }

    fn options(&self) -> String {
        self.core.options.text.clone()
    }

    fn sync(&self) -> Result<()> {
        self.root
            .ask(|tree, node| tree.sync(node, SyncKind::FileSystem))
    }
}

impl Core {
    /// The instance, or, for a file that is used after the last mount of it is gone, a stand-in.
    fn file_system(self: &Arc<Self>, inode: &Arc<GoferInode>) -> Arc<dyn FileSystem> {
        self.fs.upgrade().unwrap_or_else(|| {
            Arc::new(GoferFs {
                core: self.clone(),
                root: inode.clone(),
                own_fifos: Mutex::default(),
            })
        })
    }

    /// The inode of a node that the tree has just found, its attributes refreshed; `known` is the node that
    /// the question already had for it, whose inode the caller holds.
    fn adopt(self: &Arc<Self>, found: &Found, known: Option<NodeId>) -> Result<Arc<GoferInode>> {
        let is_new_finding = Some(found.node) != known;
        let Some(kind) = FileType::from_mode(found.attr.mode) else {
            self.give_back(found.node, is_new_finding);
            return Err(Errno::EIO);
        };
        let mut inodes = self.inodes.lock();
        if let Some(inode) = inodes.get(&found.node).and_then(Weak::upgrade) {
            drop(inodes);
            // It has a finding already, and holds no more than one.
            self.give_back(found.node, is_new_finding);
            inode.remember(&found.attr);
            return Ok(inode);
        }
        let inode = GoferInode::new(self, found.node, kind, &found.attr);
        inodes.insert(found.node, Arc::downgrade(&inode));
        Ok(inode)
    }

    fn give_back(&self, node: NodeId, is_new_finding: bool) {
        if is_new_finding {
            self.tree.close(&[node]);
        }
    }

    /// Forgets an inode that is being dropped.
    fn forget(&self, node: NodeId) {
        let mut inodes = self.inodes.lock();
        if inodes
            .get(&node)
            .is_some_and(|inode| inode.strong_count() == 0)
        {
            inodes.remove(&node);
        }
        drop(inodes);
        self.tree.close(&[node]);
    }
}
