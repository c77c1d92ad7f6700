//! Dentries: the place of an inode in a tree of names, and the tree that holds them.
//!
//! A [`DentryTree`] belongs to one file system instance; every mount of that instance shares it, so
//! that a rename through one bind mount is seen through all. Only names that exist have dentries:
//! nothing negative is remembered.
//!
//! Locks: `changes` (one per directory, the sleeping *dentry* lock: held over the file system's work)
//! before `children` and `place`, which are held for a moment only. A dentry is never dropped while
//! one of the latter is held.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, MutexGuard};

use crate::kernel::user_namespace::UserNamespace;
use crate::vfs::inode::{FileSystem, InodeRef};

/// Dentries that a tree keeps although nobody uses them.
const KEPT: usize = 4096;
/// Children below which a directory's map is not searched for dead entries.
const FEW_CHILDREN: usize = 64;

/// The dentries of one file system instance.
#[derive(Debug)]
pub struct DentryTree {
    fs: Arc<dyn FileSystem>,
    root: Arc<Dentry>,
    /// Held over a rename that moves a directory, so that no loop can arise.
    pub(crate) rename: Mutex<()>,
    /// Counts removals and renames of names: a lookup that overlaps with one is not remembered.
    removals: AtomicU64,
    recent: Mutex<Recent>,
    owner: OnceLock<Arc<UserNamespace>>,
}

/// Recently found dentries, oldest first.
#[derive(Debug, Default)]
struct Recent {
    next: u64,
    by_id: HashMap<u64, Arc<Dentry>>,
    order: VecDeque<u64>,
}

/// An inode's place in a tree.
#[derive(Debug)]
pub struct Dentry {
    inode: InodeRef,
    place: Mutex<Place>,
    children: Mutex<Children>,
    changes: Mutex<()>,
    /// Mounts on top of it, in any namespace.
    mounts: AtomicUsize,
    /// Its key among the recent ones, 0 if it was never there.
    recent_id: AtomicU64,
    tree: Weak<DentryTree>,
}

#[derive(Debug, Default)]
struct Children {
    by_name: HashMap<Vec<u8>, Weak<Dentry>>,
    prune_at: usize,
}

/// Where a dentry is; changes with rename.
#[derive(Clone, Debug)]
struct Place {
    parent: Option<Arc<Dentry>>,
    name: Vec<u8>,
    /// Unlinked: shown with ` (deleted)`.
    deleted: bool,
}

impl DentryTree {
    /// The user namespace that the file system was mounted in; `asker` is any that it may be.
    #[must_use]
    pub fn owner(&self, asker: &Arc<UserNamespace>) -> Arc<UserNamespace> {
        // What the kernel made belongs to the outermost namespace.
        let owner = self.owner.get();
        owner.unwrap_or_else(|| asker.outermost()).clone()
    }

    /// Says which user namespace it was mounted in, once.
    pub fn set_owner(&self, owner: Arc<UserNamespace>) {
        self.owner.get_or_init(|| owner);
    }

    /// The tree of a file system, with its root.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>) -> Arc<DentryTree> {
        let inode = fs.root();
        Arc::new_cyclic(|tree| DentryTree {
            fs,
            root: Dentry::make(inode, None, Vec::new(), tree.clone()),
            rename: Mutex::default(),
            removals: AtomicU64::new(0),
            recent: Mutex::default(),
            owner: OnceLock::new(),
        })
    }

    /// The file system.
    #[must_use]
    pub fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    fn keep(&self, dentry: &Arc<Dentry>) {
        let mut recent = self.recent.lock();
        recent.next += 1;
        let id = recent.next;
        dentry.recent_id.store(id, Ordering::Relaxed);
        recent.by_id.insert(id, dentry.clone());
        recent.order.push_back(id);
        let mut oldest = None;
        if recent.order.len() > KEPT {
            let id = recent.order.pop_front().unwrap_or(0);
            oldest = recent.by_id.remove(&id);
        }
        drop(recent);
        drop(oldest);
    }

    fn forget(&self, dentry: &Dentry) {
        let id = dentry.recent_id.swap(0, Ordering::Relaxed);
        let old = self.recent.lock().by_id.remove(&id);
        drop(old);
    }
}

impl Dentry {
    fn make(
        inode: InodeRef,
        parent: Option<Arc<Dentry>>,
        name: Vec<u8>,
        tree: Weak<DentryTree>,
    ) -> Arc<Dentry> {
        Arc::new(Dentry {
            inode,
            place: Mutex::new(Place {
                parent,
                name,
                deleted: false,
            }),
            children: Mutex::default(),
            changes: Mutex::default(),
            mounts: AtomicUsize::new(0),
            recent_id: AtomicU64::new(0),
            tree,
        })
    }

    /// A dentry outside every tree, shown as `name` alone: pipes, sockets, anonymous inodes.
    #[must_use]
    pub fn anonymous(inode: InodeRef, name: Vec<u8>) -> Arc<Dentry> {
        Dentry::make(inode, None, name, Weak::new())
    }

    /// A dentry for a file that was made without a name in directory `self` (`O_TMPFILE`).
    #[must_use]
    pub fn unnamed_child(self: &Arc<Dentry>, inode: InodeRef, name: Vec<u8>) -> Arc<Dentry> {
        let dentry = Dentry::make(inode, Some(self.clone()), name, self.tree.clone());
        dentry.place.lock().deleted = true;
        dentry
    }

    /// The inode.
    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        &self.inode
    }

    /// The name in the parent; empty for a root.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        self.place.lock().name.clone()
    }

    /// The directory it is in; none for a root or an anonymous one.
    #[must_use]
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.lock().parent.clone()
    }

    /// Parent and name at one moment.
    #[must_use]
    pub fn place(&self) -> (Option<Arc<Dentry>>, Vec<u8>) {
        let place = self.place.lock();
        (place.parent.clone(), place.name.clone())
    }

    /// Whether its name has been removed.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.place.lock().deleted
    }

    /// Whether it is outside every tree.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.tree.strong_count() == 0
    }

    /// The tree it belongs to.
    pub(crate) fn tree(&self) -> Option<Arc<DentryTree>> {
        self.tree.upgrade()
    }

    /// Whether something is mounted on it, in any namespace.
    #[must_use]
    pub fn is_mountpoint(&self) -> bool {
        self.mounts.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn mount_added(&self) {
        self.mounts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn mount_removed(&self) {
        self.mounts.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it is `ancestor` or below it.
    #[must_use]
    pub fn is_within(self: &Arc<Dentry>, ancestor: &Arc<Dentry>) -> bool {
        let mut here = self.clone();
        loop {
            if Arc::ptr_eq(&here, ancestor) {
                return true;
            }
            let Some(parent) = here.parent() else {
                return false;
            };
            here = parent;
        }
    }

    /// Serialises changes of this directory's names.
    pub(crate) fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.changes.lock()
    }

    /// A moment in the history of the tree's names, for [`Dentry::remember`].
    pub(crate) fn moment(&self) -> u64 {
        self.tree
            .upgrade()
            .map_or(0, |tree| tree.removals.load(Ordering::Acquire))
    }

    /// The child of that name, if it is known.
    #[must_use]
    pub fn known_child(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        self.children.lock().by_name.get(name)?.upgrade()
    }

    /// The dentry of the child that a lookup found, begun at `moment`; none if names were removed
    /// since then, so that it may be out of date.
    pub(crate) fn remember(
        self: &Arc<Dentry>,
        name: &[u8],
        inode: &InodeRef,
        moment: u64,
    ) -> Option<Arc<Dentry>> {
        let tree = self.tree.upgrade();
        let known = self.known_child(name);
        if let Some(known) = known {
            if Arc::ptr_eq(&known.inode, inode) {
                return Some(known);
            }
            self.forget_child(name, &known);
        }
        let new = Dentry::make(
            inode.clone(),
            Some(self.clone()),
            name.to_vec(),
            self.tree.clone(),
        );
        let mut children = self.children.lock();
        if tree
            .as_ref()
            .is_some_and(|tree| tree.removals.load(Ordering::Acquire) != moment)
        {
            drop(children);
            return None;
        }
        let other = children.by_name.get(name).and_then(Weak::upgrade);
        if let Some(other) = other {
            drop(children);
            return Arc::ptr_eq(&other.inode, inode).then_some(other);
        }
        children.insert(name, &new);
        drop(children);
        if let Some(tree) = tree {
            tree.keep(&new);
        }
        Some(new)
    }

    /// Enters a child that was just made or linked, while the directory's changes are locked.
    pub(crate) fn add_child(self: &Arc<Dentry>, name: &[u8], inode: &InodeRef) -> Arc<Dentry> {
        loop {
            if let Some(dentry) = self.remember(name, inode, self.moment()) {
                return dentry;
            }
        }
    }

    /// Takes out a child whose name is gone.
    pub(crate) fn forget_child(&self, name: &[u8], child: &Arc<Dentry>) {
        let tree = self.tree.upgrade();
        let mut children = self.children.lock();
        if let Some(tree) = &tree {
            tree.removals.fetch_add(1, Ordering::AcqRel);
        }
        if children
            .by_name
            .get(name)
            .is_some_and(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(child)))
        {
            children.by_name.remove(name);
        }
        drop(children);
        child.place.lock().deleted = true;
        if let Some(tree) = tree {
            tree.forget(child);
        }
    }

    /// A name that has no dentry is gone: lookups under way must not bring one.
    pub(crate) fn name_removed(&self) {
        if let Some(tree) = self.tree.upgrade() {
            tree.removals.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Gives `self` another place. Changes of both directories are locked.
    pub(crate) fn move_to(self: &Arc<Dentry>, parent: &Arc<Dentry>, name: &[u8]) {
        let (old_parent, old_name) = self.place();
        if let Some(old_parent) = old_parent {
            let mut children = old_parent.children.lock();
            old_parent.name_removed();
            let this = std::ptr::from_ref(&**self);
            if children
                .by_name
                .get(&old_name)
                .is_some_and(|known| std::ptr::eq(known.as_ptr(), this))
            {
                children.by_name.remove(&old_name);
            }
        }
        parent.children.lock().insert(name, self);
        let old = {
            let mut place = self.place.lock();
            place.name = name.to_vec();
            place.deleted = false;
            place.parent.replace(parent.clone())
        };
        drop(old);
    }
}

impl Children {
    fn insert(&mut self, name: &[u8], child: &Arc<Dentry>) {
        if self.by_name.len() >= self.prune_at.max(FEW_CHILDREN) {
            self.by_name.retain(|_, child| child.strong_count() > 0);
            self.prune_at = self.by_name.len() * 2;
        }
        self.by_name.insert(name.to_vec(), Arc::downgrade(child));
    }
}

impl Drop for Dentry {
    /// Lets go of the ancestors one after the other: a chain of them may be deeper than the stack.
    fn drop(&mut self) {
        let mut parent = self.place.get_mut().parent.take();
        while let Some(mut dentry) = parent.and_then(Arc::into_inner) {
            parent = dentry.place.get_mut().parent.take();
        }
    }
}
