//! [`GoferInode`]: one file of the host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use ::gofer::{HostTree, NodeId, XattrMode};
use abi::Errno;
use locks::{Mutex, rank};
use mm::mapping_set::Invalidate;

use super::children::Children;
use super::dir::GoferDirectory;
use super::file::GoferFile;
use super::host_file::{END, HostSlot, Use};
use super::{Core, MOST_OWN_FIFOS, attr};
use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, FileType, SetAttr};
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::inode::{
    CachePolicy, FileSystem, Inode, InodeRef, NewNode, RenameFlags, XattrFlags,
};
use crate::vfs::locks::HostLock;
use crate::vfs::shared::InodeShared;

/// How long attributes of a tree that the host changes too are believed: a walk asks for them, and the
/// call that walked looks at them several times.
const FRESH: Duration = Duration::from_millis(2);

/// One file of the host.
#[derive(Debug)]
pub struct GoferInode {
    pub(super) core: Arc<Core>,
    me: Weak<GoferInode>,
    node: NodeId,
    kind: FileType,
    shared: InodeShared,
    attr: Mutex<CachedAttr>,
    /// The entries that have been looked up and are in use.
    pub(super) children: Mutex<Children>,
    pub(super) host: Mutex<HostSlot, rank::HostFile>,
    pub(super) recently_used: AtomicBool,
    /// Held by writers that append: between looking for the end and writing there.
    pub(super) append: Mutex<()>,
    /// The target of a symbolic link, which never changes.
    pub(super) target: OnceLock<Vec<u8>>,
    /// The identity of shared futexes, given on first opening.
    pub(super) mapping_id: OnceLock<u64>,
    /// It was made in here.
    made_here: AtomicBool,
}

#[derive(Debug)]
struct CachedAttr {
    attr: ::gofer::Attr,
    /// When the host said so; none if it is known to be wrong.
    as_of: Option<Instant>,
}

impl GoferInode {
    pub(super) fn new(
        core: &Arc<Core>,
        node: NodeId,
        kind: FileType,
        attr: &::gofer::Attr,
    ) -> Arc<GoferInode> {
        Arc::new_cyclic(|me| GoferInode {
            core: core.clone(),
            me: me.clone(),
            node,
            kind,
            shared: InodeShared::default(),
            attr: Mutex::new(CachedAttr {
                attr: *attr,
                as_of: Some(Instant::now()),
            }),
            children: Mutex::default(),
            host: Mutex::default(),
            recently_used: AtomicBool::new(false),
            append: Mutex::new(()),
            target: OnceLock::new(),
            mapping_id: OnceLock::new(),
            made_here: AtomicBool::new(false),
        })
    }

    /// A FIFO has been made in here: whoever opens it meets others in here.
    pub(super) fn keep_as_own_fifo(self: &Arc<GoferInode>) {
        self.made_here.store(true, Ordering::Relaxed);
        let Some(fs) = self.core.fs.upgrade() else {
            return;
        };
        let mut own = fs.own_fifos.lock();
        let gone = (own.len() >= MOST_OWN_FIFOS).then(|| own.pop_front());
        own.push_back(self.clone());
        drop(own);
        if let Some(Some(stranger)) = gone {
            stranger.made_here.store(false, Ordering::Relaxed);
        }
    }

    fn is_shared_with_host(&self) -> bool {
        self.core.options.policy == CachePolicy::Revalidate
    }

    /// The inode as a shared reference.
    pub(super) fn arc(&self) -> Result<Arc<GoferInode>> {
        // `self` was reached through an `Arc`, except while it is being dropped.
        self.me.upgrade().ok_or(Errno::ESTALE)
    }

    /// Its node in the tree.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Asks the tree about this node. A file that the tree does not find again is one that the host has
    /// removed.
    pub(super) fn ask<T>(
        &self,
        question: impl Fn(&dyn HostTree, NodeId) -> Result<T>,
    ) -> Result<T> {
        self.ask_or_stale(question).map_err(|error| match error {
            Errno::ESTALE => Errno::ENOENT,
            error => error,
        })
    }

    /// Like [`GoferInode::ask`], but tells ESTALE from ENOENT: for questions about two nodes.
    pub(super) fn ask_or_stale<T>(
        &self,
        question: impl Fn(&dyn HostTree, NodeId) -> Result<T>,
    ) -> Result<T> {
        locks::assert_may_sleep();
        question(&*self.core.tree, self.node)
    }

    pub(super) fn remember(&self, attr: &::gofer::Attr) {
        *self.attr.lock() = CachedAttr {
            attr: *attr,
            as_of: Some(Instant::now()),
        };
    }

    /// Notes attributes that were read through a donated descriptor. Owner and group are the gofer's
    /// word: this process may be in a user namespace that has one id, and sees the others as nobody.
    pub(super) fn remember_seen_here(&self, mut attr: ::gofer::Attr) -> ::gofer::Attr {
        let mut cached = self.attr.lock();
        (attr.uid, attr.gid) = (cached.attr.uid, cached.attr.gid);
        *cached = CachedAttr {
            attr,
            as_of: Some(Instant::now()),
        };
        attr
    }

    /// Notes that the attributes have changed, and how is not known.
    pub(super) fn attr_changed(&self) {
        self.attr.lock().as_of = None;
    }

    /// Notes that the entry `name` of this directory is now `entry`, or gone or not known, and the
    /// directory's attributes afterwards.
    pub(super) fn entry_changed(
        &self,
        name: &[u8],
        entry: Option<&Arc<GoferInode>>,
        attr: Option<&::gofer::Attr>,
    ) {
        self.core.changes.fetch_add(1, Ordering::AcqRel);
        let mut children = self.children.lock();
        match entry {
            Some(entry) => children.insert(name, entry),
            None => children.remove(name),
        }
        drop(children);
        match attr {
            Some(attr) => self.remember(attr),
            None => self.attr_changed(),
        }
    }

    fn cached_attr(&self) -> Option<::gofer::Attr> {
        let cached = self.attr.lock();
        let fresh = match self.core.options.policy {
            CachePolicy::Keep => true,
            CachePolicy::Revalidate => cached.as_of?.elapsed() <= FRESH,
        };
        (fresh && cached.as_of.is_some()).then_some(cached.attr)
    }

    /// The attributes as the host has them.
    pub(crate) fn host_attr(&self) -> Result<::gofer::Attr> {
        if let Some(attr) = self.attr_of_open_file() {
            return attr;
        }
        if let Some(attr) = self.cached_attr() {
            return Ok(attr);
        }
        let attr = self.ask(|tree, node| tree.attributes(node))?;
        self.remember(&attr);
        Ok(attr)
    }

    /// The permissions, if set-ID bits are among them as far as is known, else 0.
    pub(super) fn set_id_bits(&self) -> u32 {
        let mode = self.attr.lock().attr.mode;
        if mode & 0o6000 == 0 { 0 } else { mode & 0o7777 }
    }

    /// Sets permissions that a write has changed.
    pub(super) fn restore_permissions(&self, permissions: u32) -> Result<()> {
        let change = SetAttr {
            permissions: Some(permissions),
            ..SetAttr::default()
        };
        self.set_attr(&change)
    }

    /// Its inode number on the host, when it was last asked for.
    pub(crate) fn ino(&self) -> u64 {
        self.attr.lock().attr.ino
    }

    /// The type of the file, which never changes.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.kind
    }

    fn resize(&self, size: u64) -> Result<()> {
        if !self.truncate_open_file(size)? {
            let change = ::gofer::SetAttr {
                size: Some(size),
                ..::gofer::SetAttr::default()
            };
            let attr = self.ask(|tree, node| tree.set_attributes(node, &change))?;
            self.remember(&attr);
        }
        let from = size
            .checked_next_multiple_of(abi::PAGE_SIZE as u64)
            .ok_or(Errno::EFBIG)?;
        self.shared
            .mappings
            .invalidate(from..END, Invalidate::CopiesToo);
        Ok(())
    }
}

impl Drop for GoferInode {
    fn drop(&mut self) {
        self.core.descriptors.dropped(self.host.get_mut());
        self.core.forget(self.node);
    }
}

impl Inode for GoferInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        let me = self
            .me
            .upgrade()
            .expect("called through an `Arc` that is alive");
        self.core.file_system(&me)
    }

    fn attr(&self) -> Result<Attr> {
        attr::from_host(&self.host_attr()?)
    }

    fn is_foreign_fifo(&self) -> bool {
        self.file_type() == FileType::Fifo
            && self.is_shared_with_host()
            && !self.made_here.load(Ordering::Relaxed)
    }

    fn host_lock(&self, writable: bool) -> Result<Option<HostLock>> {
        if !self.is_shared_with_host() || self.file_type() != FileType::Regular {
            return Ok(None);
        }
        let wanted = if writable { Use::Write } else { Use::Read };
        let file = self.host_file(wanted)?;
        Ok(Some(HostLock { file, writable }))
    }

    fn set_attr(&self, change: &SetAttr) -> Result<()> {
        if let Some(size) = change.size {
            self.resize(size)?;
        }
        let rest = SetAttr {
            size: None,
            ..*change
        };
        if rest == SetAttr::default() {
            self.attr_changed();
            return Ok(());
        }
        let change = attr::to_host(&rest);
        let attr = self.ask(|tree, node| tree.set_attributes(node, &change))?;
        self.remember(&attr);
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        let mut found = self.walk(&[name])?;
        found
            .pop()
            .map(|inode| inode as InodeRef)
            .ok_or(Errno::ENOENT)
    }

    fn lookup_path(&self, names: &[&[u8]]) -> Result<Vec<InodeRef>> {
        Ok(self
            .walk(names)?
            .into_iter()
            .map(|inode| inode as InodeRef)
            .collect())
    }

    fn create(&self, name: &[u8], node: &NewNode<'_>) -> Result<InodeRef> {
        Ok(self.make(name, node)?)
    }

    fn create_unnamed(&self, permissions: u32, uid: u32, gid: u32) -> Result<InodeRef> {
        Ok(self.make_unnamed(permissions, uid, gid)?)
    }

    fn link(&self, name: &[u8], target: &InodeRef) -> Result<()> {
        self.add_link(name, target)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        self.remove(name, ::gofer::Remove::File)
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        self.remove(name, ::gofer::Remove::Directory)
    }

    fn rename(
        &self,
        name: &[u8],
        new_parent: &InodeRef,
        new_name: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        self.move_entry(name, new_parent, new_name, flags)
    }

    fn symlink_text(&self) -> Result<Vec<u8>> {
        self.link_target()
    }

    fn open(self: Arc<Self>, flags: OpenFlags, task: &Task) -> Result<Arc<dyn File>> {
        match self.kind {
            FileType::Regular => {
                self.mapping_id.get_or_init(|| task.kernel().unique_id());
                Ok(GoferFile::open(self, flags)?)
            }
            FileType::Directory => Ok(Arc::new(GoferDirectory::new(self))),
            FileType::Symlink => Err(Errno::ELOOP),
            _ => Err(Errno::ENXIO),
        }
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.ask(|tree, node| tree.get_xattr(node, name))
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: XattrFlags) -> Result<()> {
        let mode = if flags.contains(XattrFlags::CREATE | XattrFlags::REPLACE) {
            return Err(Errno::EINVAL);
        } else if flags.contains(XattrFlags::CREATE) {
            XattrMode::Create
        } else if flags.contains(XattrFlags::REPLACE) {
            XattrMode::Replace
        } else {
            XattrMode::Any
        };
        self.attr_changed();
        self.ask(|tree, node| tree.set_xattr(node, name, value, mode))
    }

    fn list_xattr(&self) -> Result<Vec<Vec<u8>>> {
        let names = self.ask(|tree, node| tree.list_xattrs(node))?;
        let names = names
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty());
        Ok(names.map(<[u8]>::to_vec).collect())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.attr_changed();
        self.ask(|tree, node| tree.remove_xattr(node, name))
    }
}
