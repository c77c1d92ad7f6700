//! Files of the host, behind the gofer.
//!
//! A [`GoferFs`] shows one tree of a [`HostTree`]. Its inodes are made on lookup and shared by all
//! names of the same host inode (device, inode number, birth time), so that hard links share locks,
//! mappings and attributes. Contents never pass the gofer: a regular file's host descriptor is donated
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

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use ::gofer::{Found, HostTree, NodeId, SyncKind, Timestamp, TreeId};
use abi::Errno;
use parking_lot::Mutex;

pub(crate) use self::dir::GoferDirectory;
use self::host_file::DescriptorCache;
pub(crate) use self::host_file::{END, Use};
pub use self::inode::GoferInode;
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

/// The most FIFOs that are known as made in here; the oldest become strangers.
const MOST_OWN_FIFOS: usize = 256;

/// What inodes need of their instance; it does not keep the root alive.
#[derive(Debug)]
struct Core {
    tree: Arc<dyn HostTree>,
    device: Device,
    options: Options,
    fs: Weak<GoferFs>,
    inodes: Mutex<HashMap<Identity, Weak<GoferInode>>>,
    descriptors: DescriptorCache,
    /// Counts changes of entries, so that a walk notices one.
    changes: AtomicU64,
}

/// What makes two names the same file. The birth time tells a new file from an old one whose inode
/// number the host used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    dev: u64,
    ino: u64,
    born: (i64, i64),
    kind: FileType,
}

impl Identity {
    fn of(attr: &::gofer::Attr) -> Result<Identity> {
        let Timestamp { sec, nsec } = attr.btime;
        Ok(Identity {
            dev: attr.dev,
            ino: attr.ino,
            born: (sec, nsec),
            kind: FileType::from_mode(attr.mode).ok_or(Errno::EIO)?,
        })
    }
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
        let identity = Identity::of(&found.attr)?;
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
            let root = GoferInode::new(&core, found.node, identity, &found.attr);
            core.inodes.lock().insert(identity, Arc::downgrade(&root));
            GoferFs {
                core,
                root,
                own_fifos: Mutex::default(),
            }
        }))
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
    /// the question already had for it.
    fn adopt(self: &Arc<Self>, found: &Found, known: Option<NodeId>) -> Result<Arc<GoferInode>> {
        let identity = match Identity::of(&found.attr) {
            Ok(identity) => identity,
            Err(error) => {
                self.tree.close(&[found.node]);
                return Err(error);
            }
        };
        let mut inodes = self.inodes.lock();
        if let Some(inode) = inodes.get(&identity).and_then(Weak::upgrade) {
            drop(inodes);
            inode.found_again(found, known);
            return Ok(inode);
        }
        let inode = GoferInode::new(self, found.node, identity, &found.attr);
        inodes.insert(identity, Arc::downgrade(&inode));
        Ok(inode)
    }

    /// Forgets an inode that is being dropped.
    fn forget(&self, identity: &Identity, nodes: &[NodeId]) {
        let mut inodes = self.inodes.lock();
        if inodes
            .get(identity)
            .is_some_and(|inode| inode.strong_count() == 0)
        {
            inodes.remove(identity);
        }
        drop(inodes);
        self.tree.close(nodes);
    }
}
