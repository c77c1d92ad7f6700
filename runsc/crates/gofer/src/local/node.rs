//! Nodes: what the tree remembers for its client, and how a node finds its file again.
//!
//! A node is a place (the parent node and a name) and an identity (device and inode number). Its
//! `O_PATH` descriptor is opened on first use and closed again, least recently used first, when
//! [`Budget`] is exceeded; it is reopened from its place, one component beneath the parent's
//! descriptor, and must then have the same identity, else the node is stale (`ESTALE`). File handles
//! would survive a rename by others, but need a capability in the host's first user namespace.
//! A node that loses its name through us keeps its descriptor for as long as the budget allows, and can
//! be opened through it where `/proc/self/fd` may be used.
//!
//! Lock order: a node's `place`, then its `fd`, then the budget's queue; never two nodes at once.

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use host::rustix::fs::{Mode, OFlags};
use parking_lot::{Mutex, RwLock};

use super::Root;
use super::sys;
use crate::types::{Attr, FileKind, NodeId, Result};

/// Most nodes that a client may keep: a bound on the gofer's memory.
const NODES_MAX: usize = 1 << 20;
/// How far up a node's parents are followed; deeper trees than this cannot be reopened.
const DEPTH_MAX: usize = 1 << 16;

/// How often a file is looked for again that is not where it was: a rename may be under way.
const RACES_MAX: usize = 3;

/// A file the client knows.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) root: Arc<Root>,
    pub(super) kind: FileKind,
    identity: (u64, u64),
    place: Mutex<Place>,
    fd: Mutex<Option<Arc<PathFd>>>,
    recently_used: AtomicBool,
    pub(super) reader: Mutex<Option<super::dir::Reader>>,
}

/// Where a node can be found.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The root of its tree.
    Root,
    /// A name in a directory.
    Child(Arc<Node>, Arc<CStr>),
    /// Nowhere any more: only its open descriptor reaches it.
    Nowhere,
}

/// An open `O_PATH` descriptor, counted in the budget.
#[derive(Debug)]
pub(super) struct PathFd {
    fd: OwnedFd,
    budget: Arc<Budget>,
}

impl AsFd for PathFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for PathFd {
    fn drop(&mut self) {
        self.budget.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many descriptors may stay open, and which to close next (second chance).
#[derive(Debug)]
pub(super) struct Budget {
    open: AtomicUsize,
    limit: usize,
    queue: Mutex<VecDeque<Weak<Node>>>,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget {
            open: AtomicUsize::new(0),
            limit,
            queue: Mutex::new(VecDeque::new()),
        })
    }

    fn hold(self: &Arc<Self>, fd: OwnedFd) -> Arc<PathFd> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Arc::new(PathFd {
            fd,
            budget: self.clone(),
        })
    }

    /// Notes that `node` has an open descriptor, and closes others if that is one too many.
    fn enqueue(&self, node: &Arc<Node>) {
        let mut closed = Vec::new();
        let mut queue = self.queue.lock();
        queue.push_back(Arc::downgrade(node));
        if queue.len() > self.limit.saturating_mul(2) {
            queue.retain(|weak| weak.strong_count() > 0);
        }
        for _ in 0..queue.len() {
            if self
                .open
                .load(Ordering::Relaxed)
                .saturating_sub(closed.len())
                <= self.limit
            {
                break;
            }
            let Some(candidate) = queue.pop_front().and_then(|weak| weak.upgrade()) else {
                continue;
            };
            let spared = candidate.recently_used.swap(false, Ordering::Relaxed)
                || Arc::ptr_eq(&candidate, node)
                || candidate
                    .fd
                    .try_lock()
                    .is_none_or(|mut fd| match fd.take() {
                        Some(fd) => {
                            closed.push(fd);
                            false
                        }
                        None => false,
                    });
            if spared {
                queue.push_back(Arc::downgrade(&candidate));
            }
        }
    }
}

impl Node {
    /// The parent and name, if the node has one.
    pub(super) fn place(&self) -> Place {
        self.place.lock().clone()
    }

    pub(super) fn move_to(&self, place: Place) {
        *self.place.lock() = place;
    }

    /// The node was recognised as `name` in `dir`, which may be another hard link than the one it was
    /// found by, if that is gone. Directories have one name; a bind mount that shows one twice must not
    /// become a loop of parents.
    pub(super) fn found_at(&self, dir: &Arc<Node>, name: CString) {
        let mut place = self.place.lock();
        let same = matches!(&*place, Place::Child(parent, old) if Arc::ptr_eq(parent, dir) && **old == *name);
        if self.kind != FileKind::Directory && !same && !matches!(&*place, Place::Root) {
            let old = std::mem::replace(&mut *place, Place::Child(dir.clone(), name.into()));
            drop(place);
            drop(old);
        }
    }

    pub(super) fn is(&self, attr: &Attr) -> bool {
        self.identity == attr.identity()
    }

    /// Fails with `ESTALE` unless `attr` are this node's.
    pub(super) fn expect(&self, attr: &Attr) -> Result<()> {
        if self.is(attr) {
            Ok(())
        } else {
            Err(Errno::ESTALE)
        }
    }

    /// The `O_PATH` descriptor, opened if need be.
    pub(super) fn path_fd(self: &Arc<Self>, table: &Table) -> Result<Arc<PathFd>> {
        if let Some(fd) = self.open_fd() {
            return Ok(fd);
        }
        let mut chain = vec![self.clone()];
        loop {
            if chain.len() > DEPTH_MAX {
                return Err(Errno::ELOOP);
            }
            let Some(Place::Child(parent, _)) = chain.last().map(|node| node.place()) else {
                break;
            };
            if parent.open_fd().is_some() {
                break;
            }
            chain.push(parent);
        }
        let mut fd = Err(Errno::ESTALE);
        while let Some(node) = chain.pop() {
            fd = Ok(node.reopen(table)?);
        }
        fd
    }

    fn open_fd(&self) -> Option<Arc<PathFd>> {
        let fd = self.fd.lock().clone();
        if fd.is_some() {
            self.recently_used.store(true, Ordering::Relaxed);
        }
        fd
    }

    fn reopen(self: &Arc<Self>, table: &Table) -> Result<Arc<PathFd>> {
        let fd = self.open_again(table, OFlags::PATH)?;
        Ok(self.keep(fd, table))
    }

    /// Keeps `fd` as the node's descriptor.
    pub(super) fn keep(self: &Arc<Self>, fd: OwnedFd, table: &Table) -> Arc<PathFd> {
        let fd = table.budget.hold(fd);
        *self.fd.lock() = Some(fd.clone());
        self.recently_used.store(true, Ordering::Relaxed);
        table.budget.enqueue(self);
        fd
    }

    /// Opens the file anew with `flags`, never following a link, and checks that it is the same file.
    pub(super) fn open_again(self: &Arc<Self>, table: &Table, flags: OFlags) -> Result<OwnedFd> {
        let mut flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NONBLOCK;
        }
        let mut tries = 0..RACES_MAX;
        loop {
            let opened = self.open_where_it_is(table, flags);
            match opened {
                Err(Errno::ENOENT | Errno::ESTALE) if tries.next().is_some() => {
                    // A rename may be moving it; its descriptor, if there is one, reaches it anyway.
                    if let Ok(fd) = self.open_nameless(table, flags) {
                        return Ok(fd);
                    }
                }
                Err(Errno::ENOENT) => return Err(Errno::ESTALE),
                opened => return opened,
            }
        }
    }

    fn open_where_it_is(self: &Arc<Self>, table: &Table, flags: OFlags) -> Result<OwnedFd> {
        let fd = match self.place() {
            Place::Child(parent, name) => {
                let parent = parent.path_fd(table)?;
                sys::open_beneath(parent.as_fd(), &name, flags, Mode::empty())?
            }
            Place::Root => self.root.open(flags)?,
            Place::Nowhere if self.kind == FileKind::Directory => {
                let fd = self.open_fd().ok_or(Errno::ESTALE)?;
                sys::open_beneath(fd.as_fd(), c".", flags, Mode::empty())?
            }
            Place::Nowhere => self.open_nameless(table, flags)?,
        };
        self.expect(&sys::stat_fd(fd.as_fd())?)?;
        Ok(fd)
    }

    /// Opens a file that has no name any more through its descriptor's entry in `/proc/self/fd`.
    fn open_nameless(&self, table: &Table, flags: OFlags) -> Result<OwnedFd> {
        let own = table.own_descriptors.as_ref().ok_or(Errno::ESTALE)?;
        if flags.contains(OFlags::PATH) || self.kind == FileKind::Symlink {
            return Err(Errno::ESTALE);
        }
        let fd = self.open_fd().ok_or(Errno::ESTALE)?;
        sys::reopen(own.as_fd(), fd.as_fd(), flags - OFlags::NOFOLLOW)
    }

    /// The descriptor of the parent and the name in it, for calls that take a directory and a name.
    pub(super) fn parent_fd(&self, table: &Table) -> Result<Option<(Arc<PathFd>, Arc<CStr>)>> {
        match self.place() {
            Place::Child(parent, name) => Ok(Some((parent.path_fd(table)?, name))),
            Place::Root | Place::Nowhere => Ok(None),
        }
    }

    /// The attributes now: through the open descriptor, else by name, without opening anything.
    pub(super) fn stat(self: &Arc<Self>, table: &Table) -> Result<Attr> {
        let mut tries = 0..RACES_MAX;
        loop {
            match self.stat_where_it_is(table) {
                Err(Errno::ENOENT | Errno::ESTALE) if tries.next().is_some() => {}
                Err(Errno::ENOENT) => return Err(Errno::ESTALE),
                result => return result,
            }
        }
    }

    fn stat_where_it_is(self: &Arc<Self>, table: &Table) -> Result<Attr> {
        if let Some(fd) = self.open_fd() {
            return sys::stat_fd(fd.as_fd());
        }
        let Some((parent, name)) = self.parent_fd(table)? else {
            return sys::stat_fd(self.path_fd(table)?.as_fd());
        };
        let attr = sys::stat_at(parent.as_fd(), &name)?;
        self.expect(&attr)?;
        Ok(attr)
    }
}

impl Drop for Node {
    /// Frees a long chain of parents without recursion.
    fn drop(&mut self) {
        let mut place = std::mem::replace(self.place.get_mut(), Place::Nowhere);
        while let Place::Child(parent, _) = place {
            let Some(mut parent) = Arc::into_inner(parent) else {
                break;
            };
            place = std::mem::replace(parent.place.get_mut(), Place::Nowhere);
        }
    }
}

/// All nodes of one client.
#[derive(Debug)]
pub(super) struct Table {
    nodes: RwLock<HashMap<NodeId, Arc<Node>>>,
    next: AtomicU64,
    pub(super) budget: Arc<Budget>,
    /// `/proc/self/fd`, if it may be used.
    pub(super) own_descriptors: Option<OwnedFd>,
    /// Counts the open readers of directories.
    pub(super) readers: Arc<()>,
}

impl Table {
    pub(super) fn new(limit: usize) -> Table {
        Table {
            nodes: RwLock::new(HashMap::new()),
            next: AtomicU64::new(1),
            budget: Budget::new(limit),
            own_descriptors: None,
            readers: Arc::new(()),
        }
    }

    pub(super) fn get(&self, id: NodeId) -> Result<Arc<Node>> {
        self.nodes.read().get(&id).cloned().ok_or(Errno::EBADF)
    }

    /// A directory node; `ENOTDIR` for others.
    pub(super) fn directory(&self, id: NodeId) -> Result<Arc<Node>> {
        let node = self.get(id)?;
        if node.kind == FileKind::Directory {
            Ok(node)
        } else {
            Err(Errno::ENOTDIR)
        }
    }

    pub(super) fn add(&self, root: &Arc<Root>, attr: &Attr, place: Place) -> Result<Arc<Node>> {
        let id = NodeId(self.next.fetch_add(1, Ordering::Relaxed));
        let node = Arc::new(Node {
            id,
            root: root.clone(),
            kind: attr.kind().ok_or(Errno::EIO)?,
            identity: attr.identity(),
            place: Mutex::new(place),
            fd: Mutex::new(None),
            recently_used: AtomicBool::new(false),
            reader: Mutex::new(None),
        });
        let mut nodes = self.nodes.write();
        if nodes.len() >= NODES_MAX {
            return Err(Errno::ENFILE);
        }
        nodes.insert(id, node.clone());
        Ok(node)
    }

    /// A node for `name` in `parent`.
    pub(super) fn add_child(
        &self,
        parent: &Arc<Node>,
        name: CString,
        attr: &Attr,
    ) -> Result<Arc<Node>> {
        let name: Arc<CStr> = name.into();
        self.add(&parent.root, attr, Place::Child(parent.clone(), name))
    }

    pub(super) fn remove(&self, ids: &[NodeId]) {
        let gone: Vec<_> = {
            let mut nodes = self.nodes.write();
            ids.iter().filter_map(|id| nodes.remove(id)).collect()
        };
        drop(gone);
    }

    #[cfg(test)]
    pub(super) fn open_descriptors(&self) -> usize {
        self.budget.open.load(Ordering::Relaxed)
    }
}
