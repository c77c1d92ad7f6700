//! Nodes: what the tree remembers for its client, and how a node finds its file again.
//!
//! A node stands for a file. It knows the places (a parent node and a name) where the file was found, and
//! what it looked like there. Its `O_PATH` descriptor is opened on first use and closed again when there
//! are too many ([`super::budget`]); it is reopened from its places, one component beneath the parent's
//! descriptor, and must then lead to the same file ([`super::identity`]), else the node is stale
//! (`ESTALE`). To open by a file handle would survive a rename by others, but needs a capability in the
//! host's first user namespace. A node that loses its last name through us keeps its descriptor until the
//! client gives it back, and can be opened through it where `/proc/self/fd` may be used.
//!
//! Lock order: a node's `fd`, then its `seen` or its `places`, never with another node's; the budget's queue
//! comes before all of them, the table's `nodes` are held alone.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use parking_lot::{Mutex, RwLock};
use rustix::fs::{Mode, OFlags};

use super::Root;
use super::budget::PathFd;
use super::identity::{At, Seen};
use super::sys;
use super::table::{Maps, Table};
use crate::types::{Attr, FileKind, NodeId, Result};

/// How far up a node's parents are followed; deeper trees than this cannot be reopened.
const DEPTH_MAX: usize = 1 << 16;
/// Most names of one file that are remembered.
const PLACES_MAX: usize = 8;
/// How often a file is looked for again that is not where it was: a rename may be under way.
const RACES_MAX: usize = 3;

/// A file the client knows.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) root: Arc<Root>,
    pub(super) kind: FileKind,
    /// How many answers have named it that the client has not given back.
    pub(super) findings: AtomicU64,
    /// Where it was found, the best place last; empty if it has no name any more.
    places: Mutex<Vec<Place>>,
    seen: Mutex<Seen>,
    /// Device and inode number under which the table has it.
    indexed: Mutex<(u64, u64)>,
    maps: Weak<RwLock<Maps>>,
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
}

impl Place {
    fn is(&self, dir: &Arc<Node>, name: &CStr) -> bool {
        matches!(self, Place::Child(parent, old) if Arc::ptr_eq(parent, dir) && **old == *name)
    }
}

impl Node {
    pub(super) fn new(
        id: NodeId,
        root: &Arc<Root>,
        attr: &Attr,
        place: Option<Place>,
        maps: Weak<RwLock<Maps>>,
    ) -> Result<Node> {
        Ok(Node {
            id,
            root: root.clone(),
            kind: attr.kind().ok_or(Errno::EIO)?,
            findings: AtomicU64::new(1),
            places: Mutex::new(place.into_iter().collect()),
            seen: Mutex::new(Seen::of(attr)),
            indexed: Mutex::new(attr.identity()),
            maps,
            fd: Mutex::new(None),
            recently_used: AtomicBool::new(false),
            reader: Mutex::new(None),
        })
    }

    /// Sets the identity under which the table has it; returns what it was.
    pub(super) fn index_as(&self, identity: (u64, u64)) -> (u64, u64) {
        std::mem::replace(&mut *self.indexed.lock(), identity)
    }

    pub(super) fn is_root(&self) -> bool {
        matches!(self.places.lock().as_slice(), [Place::Root])
    }

    /// Whether one of the names by which it was found is such a one; the root of a tree has none.
    pub(super) fn has_name(&self, is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.places().iter().any(|place| match place {
            Place::Child(_, name) => is_it(name.to_bytes()),
            Place::Root => self
                .root
                .file
                .as_ref()
                .is_some_and(|name| is_it(name.to_bytes())),
        })
    }

    /// Whether no name leads to it any more: only its open descriptor reaches it.
    pub(super) fn is_nameless(&self) -> bool {
        self.places.lock().is_empty()
    }

    fn has_place(&self, dir: &Arc<Node>, name: &CStr) -> bool {
        self.places.lock().iter().any(|place| place.is(dir, name))
    }

    /// Where it is, the best place last.
    fn places(&self) -> Vec<Place> {
        self.places.lock().clone()
    }

    /// Has `name` in `dir` as its only place.
    pub(super) fn move_to(&self, dir: &Arc<Node>, name: Arc<CStr>) {
        let place = Place::Child(dir.clone(), name);
        let old = std::mem::replace(&mut *self.places.lock(), vec![place]);
        drop(old);
    }

    /// Has `name` in `dir` as one more place.
    pub(super) fn add_place(&self, dir: &Arc<Node>, name: Arc<CStr>) {
        let mut places = self.places.lock();
        places.push(Place::Child(dir.clone(), name));
        let surplus = places.len().saturating_sub(PLACES_MAX);
        let old: Vec<_> = places.drain(..surplus).collect();
        drop(places);
        drop(old);
    }

    /// Notes that it is no longer `name` in `dir`, if it was.
    pub(super) fn lose_place(&self, dir: &Arc<Node>, name: &CStr) {
        let mut places = self.places.lock();
        let lost: Vec<_> = places.extract_if(.., |place| place.is(dir, name)).collect();
        drop(places);
        drop(lost);
    }

    /// Whether this is the file that `name` in `dir` is, `at` with attributes `attr`; the place is
    /// remembered then.
    pub(super) fn is_at(
        self: &Arc<Self>,
        table: &Table,
        dir: &Arc<Node>,
        name: &CStr,
        attr: &Attr,
        at: At<'_>,
    ) -> bool {
        if !Arc::ptr_eq(&self.root, &dir.root) || !self.recognises(table, attr, at) {
            return false;
        }
        if self.has_place(dir, name) {
            return true;
        }
        if self.kind == FileKind::Directory {
            return self.has_moved_to(table, dir, name);
        }
        if attr.nlink > 1 && at.is_in_lower_layer() {
            return false;
        }
        self.add_place(dir, name.into());
        true
    }

    /// Whether others have moved this directory, which is `name` in `dir` now. One that is where it was too
    /// is shown twice, by a bind mount: there is a node for each, as other mounts may lie below.
    fn has_moved_to(self: &Arc<Self>, table: &Table, dir: &Arc<Node>, name: &CStr) -> bool {
        let is_still_there = self.places().iter().any(|place| match place {
            Place::Root => true,
            Place::Child(parent, old) => parent.path_fd(table).is_ok_and(|fd| {
                let at = At {
                    dir: fd.as_fd(),
                    name: old,
                };
                sys::stat_at(fd.as_fd(), old).is_ok_and(|attr| self.recognises(table, &attr, at))
            }),
        });
        if is_still_there || dir.is_within(self) {
            return false;
        }
        self.move_to(dir, name.into());
        true
    }

    /// Whether it is `ancestor` or somewhere below.
    fn is_within(self: &Arc<Self>, ancestor: &Arc<Node>) -> bool {
        let mut here = self.clone();
        for _ in 0..DEPTH_MAX {
            if Arc::ptr_eq(&here, ancestor) {
                return true;
            }
            let Some(Place::Child(parent, _)) = here.places.lock().last().cloned() else {
                return false;
            };
            here = parent;
        }
        true
    }

    /// Whether the file at `at`, with attributes `attr`, is this node's.
    fn recognises(self: &Arc<Self>, table: &Table, attr: &Attr, at: At<'_>) -> bool {
        if attr.kind() != Some(self.kind) {
            return false;
        }
        let fd = self.fd.lock().clone();
        let mut seen = self.seen.lock();
        let is_it = match fd {
            _ if seen.is(attr) => return fd.is_some() || !self.is_nameless(),
            Some(fd) => {
                sys::stat_fd(fd.as_fd()).is_ok_and(|held| held.identity() == attr.identity())
            }
            None => !self.is_nameless() && seen.is_the_closed(attr, at),
        };
        if is_it {
            seen.refresh(attr);
            drop(seen);
            table.renumbered(self, attr.identity());
        }
        is_it
    }

    /// Fails with `ESTALE` unless the file at `at`, with attributes `attr`, is this node's.
    pub(super) fn expect(self: &Arc<Self>, table: &Table, attr: &Attr, at: At<'_>) -> Result<()> {
        if self.recognises(table, attr, at) {
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
            let place = chain.last().and_then(|node| node.places().pop());
            let Some(Place::Child(parent, _)) = place else {
                break;
            };
            if parent.open_fd().is_some() {
                break;
            }
            chain.push(parent);
        }
        let mut fd = Err(Errno::ESTALE);
        while let Some(node) = chain.pop() {
            fd = node
                .open_again(table, OFlags::PATH)
                .map(|fd| node.keep(fd, table));
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

    /// Whether it was used since this was asked last.
    pub(super) fn was_used(&self) -> bool {
        self.recently_used.swap(false, Ordering::Relaxed)
    }

    /// Puts its descriptor into `closed`, unless it is in use now, perhaps by who is about to remove the file's last
    /// name, or is all that reaches the file; notes how to recognise the file.
    pub(super) fn give_up(&self, closed: &mut Vec<Arc<PathFd>>) -> bool {
        let Some(mut slot) = self.fd.try_lock() else {
            return false;
        };
        let is_in_use = slot.as_mut().is_some_and(|fd| Arc::get_mut(fd).is_none());
        // Who removes a name holds the descriptor until the name is lost: this is asked after that.
        if is_in_use || self.is_nameless() {
            return false;
        }
        let Some(fd) = slot.take() else {
            return true;
        };
        if let Ok(attr) = sys::stat_fd(fd.as_fd()) {
            *self.seen.lock() = Seen::before_closing(&attr, fd.as_fd());
        }
        drop(slot);
        closed.push(fd);
        true
    }

    /// Keeps `fd` as the node's descriptor.
    pub(super) fn keep(self: &Arc<Self>, fd: OwnedFd, table: &Table) -> Arc<PathFd> {
        let fd = table.budget.hold(fd);
        let old = self.fd.lock().replace(fd.clone());
        drop(old);
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

    /// Like [`Node::open_again`], for opening that may change what the file looks like: it is held meanwhile.
    pub(super) fn open_to_write(self: &Arc<Self>, table: &Table, flags: OFlags) -> Result<OwnedFd> {
        let _held = self.path_fd(table)?;
        self.open_again(table, flags)
    }

    fn open_where_it_is(self: &Arc<Self>, table: &Table, flags: OFlags) -> Result<OwnedFd> {
        let is_dir = self.kind == FileKind::Directory;
        if let Some(fd) = self.open_fd().filter(|_| is_dir) {
            return sys::open_beneath(fd.as_fd(), c".", flags, Mode::empty());
        }
        let places = self.places();
        let Some((best, others)) = places.split_last() else {
            return self.open_nameless(table, flags);
        };
        let mut opened = self.open_at(table, best, flags);
        for place in others.iter().rev() {
            if !is_gone(&opened) {
                break;
            }
            opened = self.open_at(table, place, flags);
        }
        match best {
            Place::Child(parent, _) if is_dir && is_gone(&opened) => {
                self.open_renamed(table, parent, flags)
            }
            _ => opened,
        }
    }

    /// Opens a directory that others have renamed within its parent.
    fn open_renamed(
        self: &Arc<Self>,
        table: &Table,
        parent: &Arc<Node>,
        flags: OFlags,
    ) -> Result<OwnedFd> {
        let ino = self.seen.lock().ino();
        let fd = parent.path_fd(table)?;
        for name in super::dir::directories(table, parent, ino)? {
            let at = At {
                dir: fd.as_fd(),
                name: &name,
            };
            let is_it =
                sys::stat_at(at.dir, at.name).is_ok_and(|attr| self.recognises(table, &attr, at));
            if is_it {
                self.move_to(parent, name.as_c_str().into());
                let place = Place::Child(parent.clone(), name.into());
                return self.open_at(table, &place, flags);
            }
        }
        Err(Errno::ESTALE)
    }

    fn open_at(self: &Arc<Self>, table: &Table, place: &Place, flags: OFlags) -> Result<OwnedFd> {
        let fd = match place {
            Place::Child(parent, name) => {
                let parent = parent.path_fd(table)?;
                sys::open_beneath(parent.as_fd(), name, flags, Mode::empty())?
            }
            Place::Root => self.root.open(flags)?,
        };
        self.expect(table, &sys::stat_fd(fd.as_fd())?, At::open(fd.as_fd()))?;
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

    /// The descriptor of a parent and the name in it, for calls that take a directory and a name.
    pub(super) fn parent_fd(&self, table: &Table) -> Result<Option<(Arc<PathFd>, Arc<CStr>)>> {
        match self.places().pop() {
            Some(Place::Child(parent, name)) => Ok(Some((parent.path_fd(table)?, name))),
            Some(Place::Root) | None => Ok(None),
        }
    }

    /// The attributes now: through the open descriptor, else by name, without opening anything.
    pub(super) fn stat(self: &Arc<Self>, table: &Table) -> Result<Attr> {
        match self.stat_where_it_is(table) {
            // It may have another name, or a rename may be moving it.
            Err(Errno::ENOENT | Errno::ESTALE) => sys::stat_fd(self.path_fd(table)?.as_fd()),
            result => result,
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
        let at = At {
            dir: parent.as_fd(),
            name: &name,
        };
        self.expect(table, &attr, at)?;
        Ok(attr)
    }
}

/// Whether a place does not lead to the file any more.
fn is_gone<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Errno::ENOENT | Errno::ESTALE))
}

impl Drop for Node {
    /// Leaves the table, and frees a long chain of parents without recursion.
    fn drop(&mut self) {
        if let Some(maps) = self.maps.upgrade() {
            maps.write().unindex(*self.indexed.get_mut(), self.id);
        }
        let mut places = std::mem::take(self.places.get_mut());
        while let Some(place) = places.pop() {
            if let Place::Child(parent, _) = place
                && let Some(mut parent) = Arc::into_inner(parent)
            {
                places.append(parent.places.get_mut());
            }
        }
    }
}
