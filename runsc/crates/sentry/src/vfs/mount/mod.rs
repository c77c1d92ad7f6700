//! Mounts and mount namespaces (`man 7 mount_namespaces`).
//!
//! A [`Mount`] shows a dentry tree, or a part of one, at a place of another mount. Mounts form a tree
//! per [`MountNamespace`]; children are owned by their parents, so that a namespace that ends takes
//! its mounts along, except where a path still holds one.
//!
//! Locks: the namespace's `topology` (shared by all namespaces of a kernel) serialises changes; each
//! mount's `state` is held for a moment only, also by those who just look.

mod children;
mod flags;
pub mod namespace;
mod propagation;
mod text;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::vfs::dentry::{Dentry, DentryTree};
use crate::vfs::inode::FileSystem;
use crate::vfs::path::Path;

use children::Children;
pub use flags::MountFlags;
pub use namespace::{MountNamespace, Unmount, translate};
pub(crate) use propagation::PeerGroup;
pub use propagation::Propagation;
pub use text::{mount_info_text, mount_stats_text, mounts_text};

/// A file system, or a part of one, at its place.
#[derive(Debug)]
pub struct Mount {
    /// Its number in `/proc/[pid]/mountinfo`, unique in the kernel.
    pub id: u64,
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    tree: Arc<DentryTree>,
    root: Arc<Dentry>,
    /// What was mounted, as `/proc/mounts` shows it.
    source: Vec<u8>,
    flags: AtomicU32,
    /// Files that are open for writing through it.
    writers: AtomicUsize,
    state: Mutex<MountState>,
}

#[derive(Debug, Default)]
struct MountState {
    /// Where it is mounted; none for a root and for what is detached.
    place: Option<Place>,
    children: Children,
    namespace: Weak<MountNamespace>,
    group: Option<Arc<PeerGroup>>,
    master: Option<Arc<PeerGroup>>,
    unbindable: bool,
}

#[derive(Clone, Debug)]
struct Place {
    parent: Weak<Mount>,
    dentry: Arc<Dentry>,
    /// By what the parent's list knows it.
    order: u64,
}

impl Mount {
    /// A mount of `tree` from `root` on that is nowhere yet.
    #[must_use]
    pub fn new(
        id: u64,
        tree: Arc<DentryTree>,
        root: Arc<Dentry>,
        source: &[u8],
        flags: MountFlags,
    ) -> Arc<Mount> {
        Arc::new(Mount {
            id,
            fs: tree.fs().clone(),
            tree,
            root,
            source: source.to_vec(),
            flags: AtomicU32::new(flags.bits()),
            writers: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    /// The root of what it shows.
    #[must_use]
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The root of what it shows, as a path.
    #[must_use]
    pub fn root_path(self: &Arc<Mount>) -> Path {
        Path {
            mount: self.clone(),
            dentry: self.root.clone(),
        }
    }

    /// The dentries of its file system.
    #[must_use]
    pub fn tree(&self) -> &Arc<DentryTree> {
        &self.tree
    }

    /// What was mounted.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Its own flags.
    #[must_use]
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Changes its own flags; EBUSY: it becomes read-only while files are open for writing.
    pub fn set_flags(&self, flags: MountFlags) -> Result<()> {
        let becomes_read_only =
            flags.contains(MountFlags::READ_ONLY) && !self.flags().contains(MountFlags::READ_ONLY);
        if becomes_read_only && self.writers.load(Ordering::Acquire) > 0 {
            return Err(Errno::EBUSY);
        }
        let locks = self.flags() & MountFlags::LOCKS;
        self.flags.store((flags | locks).bits(), Ordering::Relaxed);
        Ok(())
    }

    /// Locks the mount, which was copied into the namespace of others (`man 7 mount_namespaces`, *Restrictions on
    /// mount namespaces*).
    pub(crate) fn lock(&self, locks: MountFlags) {
        self.flags
            .fetch_or((locks & MountFlags::LOCKS).bits(), Ordering::Relaxed);
    }

    fn unlock(&self, locks: MountFlags) {
        self.flags
            .fetch_and(!(locks & MountFlags::LOCKS).bits(), Ordering::Relaxed);
    }

    /// Whether programs can't be executed from it (`MS_NOEXEC`).
    #[must_use]
    pub fn is_no_exec(&self) -> bool {
        self.flags().contains(MountFlags::NO_EXEC)
    }

    /// Whether set-ID bits and file capabilities count for nothing (`MS_NOSUID`).
    #[must_use]
    pub fn is_no_suid(&self) -> bool {
        self.flags().contains(MountFlags::NO_SUID)
    }

    /// EROFS if changes through it are not allowed.
    pub fn check_writable(&self) -> Result<()> {
        if self.flags().contains(MountFlags::READ_ONLY) {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    pub(crate) fn writer_added(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn writer_removed(&self) {
        self.writers.fetch_sub(1, Ordering::AcqRel);
    }

    /// Where it is mounted; none for the root of a namespace and for what is detached.
    #[must_use]
    pub fn mountpoint(&self) -> Option<Path> {
        let place = self.state.lock().place.clone()?;
        Some(Path {
            mount: place.parent.upgrade()?,
            dentry: place.dentry,
        })
    }

    /// The namespace it is in; none if detached.
    #[must_use]
    pub fn namespace(&self) -> Option<Arc<MountNamespace>> {
        self.state.lock().namespace.upgrade()
    }

    /// The mount on top of `dentry`, seen through this mount.
    #[must_use]
    pub fn child_at(&self, dentry: &Arc<Dentry>) -> Option<Arc<Mount>> {
        if !dentry.is_mountpoint() {
            return None;
        }
        self.state.lock().children.at(dentry)
    }

    /// The mounts directly on it, in the order in which they came.
    #[must_use]
    pub fn children(&self) -> Vec<Arc<Mount>> {
        self.state.lock().children.list()
    }

    /// Whether all of its file system can be seen through it: from its root on, with no locked mount over anything
    /// but directories that are always empty.
    fn shows_everything(&self) -> bool {
        let whole = Arc::ptr_eq(&self.root, self.tree.root());
        let hides = |child: &Arc<Mount>| {
            let place = child.state.lock().place.clone();
            child.flags().contains(MountFlags::LOCKED)
                && place.is_none_or(|place| !place.dentry.inode().is_always_empty())
        };
        whole && !self.children().iter().any(hides)
    }

    /// It and everything below it, parents first.
    #[must_use]
    pub fn subtree(self: &Arc<Mount>) -> Vec<Arc<Mount>> {
        let mut all = vec![self.clone()];
        let mut next = 0;
        while let Some(mount) = all.get(next).cloned() {
            all.extend(mount.children());
            next += 1;
        }
        all
    }

    /// Whether bind mounts of it are refused.
    #[must_use]
    pub fn is_unbindable(&self) -> bool {
        self.state.lock().unbindable
    }

    /// Its peer group's number, if it is shared.
    #[must_use]
    pub fn group_id(&self) -> Option<u64> {
        self.state.lock().group.as_ref().map(|group| group.id)
    }

    /// The number of the group it is a slave of.
    #[must_use]
    pub fn master_id(&self) -> Option<u64> {
        self.state.lock().master.as_ref().map(|group| group.id)
    }

    /// Puts it on `place`, which is the topmost there. Topology is locked.
    fn attach(self: &Arc<Mount>, place: &Path, namespace: &Weak<MountNamespace>) {
        place.dentry.mount_added();
        let order = {
            let mut parent = place.mount.state.lock();
            parent.children.add(self.clone(), &place.dentry)
        };
        self.state.lock().place = Some(Place {
            parent: Arc::downgrade(&place.mount),
            dentry: place.dentry.clone(),
            order,
        });
        for mount in self.subtree() {
            mount.state.lock().namespace = namespace.clone();
        }
    }

    /// Takes it off its place. Topology is locked.
    fn detach(self: &Arc<Mount>) -> Option<Path> {
        let place = self.state.lock().place.take()?;
        place.dentry.mount_removed();
        let parent = place.parent.upgrade()?;
        let taken = {
            let mut state = parent.state.lock();
            state.children.remove(place.order, &place.dentry)
        };
        drop(taken);
        Some(Path {
            mount: parent,
            dentry: place.dentry,
        })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(place) = &state.place {
            place.dentry.mount_removed();
        }
        // Children are dropped one after the other, not recursively through each other.
        let mut orphans = state.children.take();
        while let Some(orphan) = orphans.pop() {
            if let Some(mut orphan) = Arc::into_inner(orphan) {
                orphans.append(&mut orphan.state.get_mut().children.take());
            }
        }
        propagation::forget(self.id, state);
    }
}
