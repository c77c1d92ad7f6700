//! Mount namespaces, and the changes of their trees.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use bitflags::bitflags;
use locks::Mutex;

use super::{Mount, MountFlags, Propagation};
use crate::error::Result;
use crate::kernel::Kernel;
use crate::kernel::user_namespace::UserNamespace;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::Vfs;
use crate::vfs::inode::FileSystem;
use crate::vfs::path::Path;

bitflags! {
    /// Flags of `umount2(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Unmount: u32 {
        /// MNT_FORCE
        const FORCE = 1;
        /// MNT_DETACH
        const DETACH = 2;
        /// MNT_EXPIRE
        const EXPIRE = 4;
        /// UMOUNT_NOFOLLOW
        const NO_FOLLOW = 8;
    }
}

/// Each mount of a namespace with its copy in another.
pub type Copies = Vec<(Arc<Mount>, Arc<Mount>)>;

/// A mount namespace.
#[derive(Debug)]
pub struct MountNamespace {
    /// Inode number.
    pub ino: u64,
    /// Whose capabilities count in it.
    pub user_ns: Arc<UserNamespace>,
    root: Mutex<Arc<Mount>>,
    /// Serialises changes of all mount trees of the kernel.
    topology: Arc<Mutex<()>>,
    /// How many mounts there are.
    nr_mounts: AtomicUsize,
    /// Changes of the tree so far, for those who poll `/proc/[pid]/mounts`.
    changes: AtomicU64,
    /// Woken (ERR and PRI) when the tree changes.
    pub events: WaitQueue,
}

impl MountNamespace {
    /// A namespace with `root` as its only mount.
    #[must_use]
    pub fn new(
        vfs: &Vfs,
        ino: u64,
        user_ns: Arc<UserNamespace>,
        root: Arc<Mount>,
    ) -> Arc<MountNamespace> {
        let namespace = Arc::new(MountNamespace {
            ino,
            user_ns,
            root: Mutex::new(root.clone()),
            topology: vfs.topology.clone(),
            nr_mounts: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            events: WaitQueue::new(),
        });
        let all = root.subtree();
        namespace.nr_mounts.store(all.len(), Ordering::Relaxed);
        for mount in all {
            mount.state.lock().namespace = Arc::downgrade(&namespace);
        }
        namespace
    }

    /// The root mount.
    #[must_use]
    pub fn root(&self) -> Arc<Mount> {
        self.root.lock().clone()
    }

    /// The topmost directory at the root.
    #[must_use]
    pub fn root_path(&self) -> Path {
        self.root().root_path().topmost()
    }

    /// All mounts, parents first.
    #[must_use]
    pub fn mounts(&self) -> Vec<Arc<Mount>> {
        let _topology = self.topology.lock();
        self.root().subtree()
    }

    /// How often the tree has changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.events.wake(Events::ERR | Events::PRI);
    }

    /// Puts `mount` (with what is below it) on top of `at`, and its copies where `at` propagates to. ENOSPC: a
    /// namespace would have more mounts than `fs.mount-max` allows.
    pub fn attach(self: &Arc<Self>, kernel: &Kernel, mount: &Arc<Mount>, at: &Path) -> Result<()> {
        let vfs = &kernel.vfs;
        let _topology = self.topology.lock();
        let at = at.topmost();
        self.check_inside(&at.mount)?;
        if at.dentry.is_deleted() {
            return Err(Errno::ENOENT);
        }
        let shared = at.mount.group_id().is_some();
        let receivers = if shared {
            receivers_of(&at)
        } else {
            Vec::new()
        };
        let members = mount.subtree();
        let most = kernel.sysctl.number("fs/mount-max");
        self.make_room(members.len(), &receivers, most)?;
        if shared {
            for member in &members {
                member.set_propagation(Propagation::Shared, || vfs.mount_id());
            }
        }
        for receiver in receivers {
            self.propagate(vfs, mount, &at, &receiver);
        }
        mount.attach(&at, &Arc::downgrade(self));
        self.changed();
        Ok(())
    }

    /// Counts `len` more mounts in this namespace, and in that of each receiver; ENOSPC, and nothing is counted.
    fn make_room(self: &Arc<Self>, len: usize, receivers: &[Arc<Mount>], most: u64) -> Result<()> {
        let mut more = HashMap::from([(Arc::as_ptr(self), (self.clone(), len))]);
        for namespace in receivers.iter().filter_map(|mount| mount.namespace()) {
            let entry = more
                .entry(Arc::as_ptr(&namespace))
                .or_insert((namespace, 0));
            entry.1 = entry.1.saturating_add(len);
        }
        let fits = more.values().all(|(namespace, add)| {
            let now = namespace.nr_mounts.load(Ordering::Relaxed);
            now.saturating_add(*add) as u64 <= most
        });
        if !fits {
            return Err(Errno::ENOSPC);
        }
        for (namespace, add) in more.values() {
            namespace.nr_mounts.fetch_add(*add, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A copy of `from`, with what is mounted below it if `recursive`, for a bind mount. EINVAL:
    /// unbindable, or of another namespace.
    pub fn copy(self: &Arc<Self>, vfs: &Vfs, from: &Path, recursive: bool) -> Result<Arc<Mount>> {
        let _topology = self.topology.lock();
        self.check_inside(&from.mount)?;
        if from.mount.is_unbindable() {
            return Err(Errno::EINVAL);
        }
        // Without them it would show what they hide.
        let shows_hidden = from.mount.children().iter().any(|child| {
            child.flags().contains(MountFlags::LOCKED)
                && child
                    .mountpoint()
                    .is_some_and(|place| place.dentry.is_within(&from.dentry))
        });
        if shows_hidden && !recursive {
            return Err(Errno::EINVAL);
        }
        // What hides something can't be left out.
        if recursive
            && from
                .mount
                .subtree()
                .iter()
                .any(|below| below.is_unbindable() && below.flags().contains(MountFlags::LOCKED))
        {
            return Err(Errno::EPERM);
        }
        let copy = copy_tree(vfs, from, |mount| recursive && !mount.is_unbindable());
        copy.unlock(MountFlags::LOCKED);
        Ok(copy)
    }

    /// `MS_MOVE`.
    pub fn move_to(self: &Arc<Self>, from: &Path, to: &Path) -> Result<()> {
        let _topology = self.topology.lock();
        let to = to.topmost();
        let mount = from.mount.clone();
        self.check_inside(&mount)?;
        self.check_inside(&to.mount)?;
        let parent = mount.mountpoint().ok_or(Errno::EINVAL)?;
        if mount.flags().contains(MountFlags::LOCKED) {
            return Err(Errno::EINVAL);
        }
        if !Arc::ptr_eq(&from.dentry, mount.root()) || parent.mount.group_id().is_some() {
            return Err(Errno::EINVAL);
        }
        if mount
            .subtree()
            .iter()
            .any(|below| Arc::ptr_eq(below, &to.mount))
        {
            return Err(Errno::ELOOP);
        }
        let moved = mount.detach();
        mount.attach(&to, &Arc::downgrade(self));
        drop(moved);
        self.changed();
        Ok(())
    }

    /// `umount2(2)` of the mount whose root is at `at`.
    pub fn unmount(self: &Arc<Self>, at: &Path, flags: Unmount) -> Result<()> {
        let topology = self.topology.lock();
        let mount = &at.mount;
        if !Arc::ptr_eq(&at.dentry, mount.root()) {
            return Err(Errno::EINVAL);
        }
        self.check_inside(mount)?;
        if mount.flags().contains(MountFlags::LOCKED) {
            return Err(Errno::EINVAL);
        }
        let Some(parent) = mount.mountpoint() else {
            return Err(Errno::EINVAL);
        };
        if flags.contains(Unmount::EXPIRE) {
            // Whoever expires a mount calls twice; the first time marks it, which is not kept here.
            return Err(Errno::EAGAIN);
        }
        let detach = flags.contains(Unmount::DETACH);
        // The parent's list, the caller's path.
        if !detach && (!mount.children().is_empty() || Arc::strong_count(mount) > 2) {
            return Err(Errno::EBUSY);
        }
        let mut gone = take_off(mount);
        for receiver in parent.mount.receivers() {
            if let Some(copy) = receiver.child_at(&parent.dentry)
                && (detach || copy.children().is_empty())
            {
                gone.append(&mut take_off(&copy));
            }
        }
        drop(topology);
        drop(gone);
        self.changed();
        Ok(())
    }

    /// Changes the propagation of a mount, or of it and all below.
    pub fn set_propagation(
        self: &Arc<Self>,
        vfs: &Vfs,
        at: &Path,
        to: Propagation,
        recursive: bool,
    ) -> Result<()> {
        let _topology = self.topology.lock();
        self.check_inside(&at.mount)?;
        if !Arc::ptr_eq(&at.dentry, at.mount.root()) {
            return Err(Errno::EINVAL);
        }
        let all = if recursive {
            at.mount.subtree()
        } else {
            vec![at.mount.clone()]
        };
        for mount in all {
            mount.set_propagation(to, || vfs.mount_id());
        }
        Ok(())
    }

    /// `pivot_root(2)`: the mount at `new_root` becomes the root, the old one, at whose root `root`
    /// is, goes to `put_old`.
    pub fn pivot(self: &Arc<Self>, root: &Path, new_root: &Path, put_old: &Path) -> Result<()> {
        let _topology = self.topology.lock();
        let (new, old) = (&new_root.mount, &root.mount);
        for mount in [new, old, &put_old.mount] {
            self.check_inside(mount)?;
        }
        if new.flags().contains(MountFlags::LOCKED) {
            return Err(Errno::EINVAL);
        }
        if Arc::ptr_eq(new, old) || Arc::ptr_eq(&put_old.mount, old) {
            return Err(Errno::EBUSY);
        }
        let at_roots =
            Arc::ptr_eq(&new_root.dentry, new.root()) && Arc::ptr_eq(&root.dentry, old.root());
        let new_place = new.mountpoint().ok_or(Errno::EINVAL)?;
        let old_parent = old.mountpoint().map(|place| place.mount);
        let shared = [
            Some(&put_old.mount),
            Some(&new_place.mount),
            old_parent.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(|mount| mount.group_id().is_some());
        // Were the new root not below the old one, the tree would become a ring.
        let in_order = put_old.is_reachable_from(new_root) && new_root.is_reachable_from(root);
        if !at_roots || shared || !in_order {
            return Err(Errno::EINVAL);
        }
        if new_root.dentry.is_deleted() {
            return Err(Errno::ENOENT);
        }
        let weak = Arc::downgrade(self);
        // What hides is the new root now.
        if old.flags().contains(MountFlags::LOCKED) {
            new.lock(MountFlags::LOCKED);
            old.unlock(MountFlags::LOCKED);
        }
        let old_place = old.detach();
        new.detach();
        old.attach(&put_old.topmost(), &weak);
        match old_place {
            Some(place) => new.attach(&place, &weak),
            None => *self.root.lock() = new.clone(),
        }
        self.changed();
        Ok(())
    }

    /// A copy of the whole namespace (`CLONE_NEWNS`), and a function's worth of where old mounts went:
    /// pairs of an old mount and its copy.
    #[must_use]
    pub fn duplicate(
        &self,
        vfs: &Vfs,
        ino: u64,
        user_ns: Arc<UserNamespace>,
    ) -> (Arc<MountNamespace>, Copies) {
        let topology = self.topology.lock();
        let old = self.root().subtree();
        let root = copy_tree(vfs, &self.root().root_path(), |_| true);
        if !Arc::ptr_eq(&user_ns, &self.user_ns) {
            lock_tree(&root);
            // What the less privileged do does not come back.
            for mount in root.subtree() {
                if mount.group_id().is_some() {
                    mount.set_propagation(Propagation::Slave, || 0);
                }
            }
        }
        let pairs = old.into_iter().zip(root.subtree()).collect();
        drop(topology);
        (MountNamespace::new(vfs, ino, user_ns, root), pairs)
    }

    /// Puts a copy of `mount` where `receiver` shows the place `at`.
    fn propagate(&self, vfs: &Vfs, mount: &Arc<Mount>, at: &Path, receiver: &Arc<Mount>) {
        let copy = copy_tree(vfs, &mount.root_path(), |_| true);
        if receiver.group_id().is_none() {
            for member in copy.subtree() {
                member.set_propagation(Propagation::Slave, || 0);
            }
        }
        let place = Path {
            mount: receiver.clone(),
            dentry: at.dentry.clone(),
        };
        let namespace = receiver.state.lock().namespace.clone();
        let less_privileged = namespace
            .upgrade()
            .is_some_and(|namespace| !Arc::ptr_eq(&namespace.user_ns, &self.user_ns));
        if less_privileged {
            lock_tree(&copy);
        }
        copy.attach(&place, &namespace);
        if let Some(namespace) = namespace.upgrade() {
            namespace.changed();
        }
    }

    /// Whether a new mount of `fs`, with these flags, would show what locked mounts on another of its type hide
    /// (`mount_too_revealing` of Linux); EPERM. Else the locks that it takes over from that one.
    pub fn check_revealing(
        &self,
        fs: &Arc<dyn FileSystem>,
        flags: MountFlags,
    ) -> Result<MountFlags> {
        let reveals = matches!(fs.type_name(), "proc" | "sysfs");
        if !reveals || self.user_ns.is_root() {
            return Ok(MountFlags::empty());
        }
        let mounts = self.mounts();
        let like = mounts
            .iter()
            .filter(|mount| mount.fs.type_name() == fs.type_name() && mount.shows_everything());
        let locks = like.filter_map(|mount| mount.flags().covers(flags));
        locks.reduce(|all, more| all | more).ok_or(Errno::EPERM)
    }

    fn check_inside(&self, mount: &Mount) -> Result<()> {
        let namespace = mount.state.lock().namespace.clone();
        if std::ptr::eq(namespace.as_ptr(), self) {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }
}

/// Locks a tree that was copied for those of another user namespace: nobody there can allow what it forbids, or take
/// off what hides something (`man 7 mount_namespaces`, *Restrictions on mount namespaces*).
fn lock_tree(root: &Arc<Mount>) {
    for mount in root.subtree() {
        mount.lock(mount.flags().own_locks());
        if !Arc::ptr_eq(&mount, root) {
            mount.lock(MountFlags::LOCKED);
        }
    }
}

/// Where `path` of a duplicated namespace is in the copy.
#[must_use]
pub fn translate(path: &Path, pairs: &[(Arc<Mount>, Arc<Mount>)]) -> Path {
    pairs
        .iter()
        .find(|(old, _)| Arc::ptr_eq(old, &path.mount))
        .map_or_else(
            || path.clone(),
            |(_, new)| Path {
                mount: new.clone(),
                dentry: path.dentry.clone(),
            },
        )
}

/// Takes `mount` and what is below it out of their namespace and off each other, except for the
/// places that paths still held see. Returns them, to be dropped without locks.
fn take_off(mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
    let all = mount.subtree();
    for gone in &all {
        gone.set_propagation(Propagation::Private, || 0);
        let namespace = std::mem::take(&mut gone.state.lock().namespace);
        if let Some(namespace) = namespace.upgrade() {
            namespace.nr_mounts.fetch_sub(1, Ordering::Relaxed);
        }
    }
    mount.detach();
    all
}

/// Copies the mount at `from`, rooted there, and those below it that `wanted` chooses.
fn copy_tree(vfs: &Vfs, from: &Path, wanted: impl Fn(&Arc<Mount>) -> bool) -> Arc<Mount> {
    let top = copy_one(vfs, &from.mount, from);
    let mut pending = vec![(from.mount.clone(), top.clone())];
    let mut next = 0;
    while let Some((old, new)) = pending.get(next).cloned() {
        next += 1;
        for child in old.children() {
            let Some(place) = child.mountpoint() else {
                continue;
            };
            if !wanted(&child) || !place.dentry.is_within(new.root()) {
                continue;
            }
            let copy = copy_one(vfs, &child, &child.root_path());
            let place = Path {
                mount: new.clone(),
                dentry: place.dentry,
            };
            copy.attach(&place, &Weak::new());
            pending.push((child, copy));
        }
    }
    top
}

fn copy_one(vfs: &Vfs, mount: &Arc<Mount>, root: &Path) -> Arc<Mount> {
    let copy = Mount::new(
        vfs.mount_id(),
        mount.tree().clone(),
        root.dentry.clone(),
        mount.source(),
        mount.flags(),
    );
    copy.inherit_propagation(mount);
    copy
}

/// The mounts that show the place `at` and receive what is mounted there; not those that are in no namespace, such
/// as the copies that are about to be mounted.
fn receivers_of(at: &Path) -> Vec<Arc<Mount>> {
    let mut receivers = at.mount.receivers();
    receivers
        .retain(|receiver| receiver.namespace().is_some() && at.dentry.is_within(receiver.root()));
    receivers
}
