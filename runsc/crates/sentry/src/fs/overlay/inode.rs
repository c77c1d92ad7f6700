//! [`OverlayInode`]: a lower file with what has changed, or a file of our own.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use abi::Errno;
use locks::{Mutex, rank};

use super::Core;
use super::directory::Entries;
use super::file::{OverlayDirectory, OverlayFile};
use super::own_attr::{self, OwnAttr};
use crate::error::Result;
use crate::fs::gofer::{GoferInode, Use};
use crate::fs::page_store::PageStore;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, FileType, SetAttr};
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::inode::{FileSystem, Inode, InodeRef, NewNode, RenameFlags, XattrFlags};
use crate::vfs::shared::InodeShared;
use crate::vfs::xattr;

/// One file of an overlay.
#[derive(Debug)]
pub struct OverlayInode {
    pub(super) core: Arc<Core>,
    me: Weak<OverlayInode>,
    ino: u64,
    kind: FileType,
    lower: Option<Arc<GoferInode>>,
    shared: InodeShared,
    /// None as long as the lower file's attributes are true.
    own: Mutex<Option<OwnAttr>>,
    /// The contents of a regular file; none as long as the lower file's are true.
    pub(super) content: Mutex<Option<Arc<PageStore>>, rank::Content>,
    /// What a directory has and the lower one has not, or the other way round.
    pub(super) entries: Mutex<Entries>,
    /// The target of a symbolic link of our own.
    target: Vec<u8>,
    /// Held by writers that append: between looking for the end and writing there.
    pub(super) append: Mutex<()>,
    /// The identity of shared futexes, given on first opening.
    pub(super) mapping_id: OnceLock<u64>,
}

impl OverlayInode {
    /// Shows `lower`.
    pub(super) fn over(core: &Arc<Core>, lower: &Arc<GoferInode>) -> Arc<OverlayInode> {
        let kind = lower.file_type();
        OverlayInode::build(
            core,
            lower.ino(),
            kind,
            Some(lower.clone()),
            None,
            Vec::new(),
        )
    }

    /// Something new, with no lower file.
    pub(super) fn create(
        core: &Arc<Core>,
        kind: FileType,
        own: OwnAttr,
        target: &[u8],
    ) -> Arc<OverlayInode> {
        let inode =
            OverlayInode::build(core, core.new_ino(), kind, None, Some(own), target.to_vec());
        if kind == FileType::Regular {
            let store = PageStore::new(core.memory.clone(), core.quota.clone());
            *inode.content.lock() = Some(Arc::new(store));
        }
        inode
    }

    fn build(
        core: &Arc<Core>,
        ino: u64,
        kind: FileType,
        lower: Option<Arc<GoferInode>>,
        own: Option<OwnAttr>,
        target: Vec<u8>,
    ) -> Arc<OverlayInode> {
        Arc::new_cyclic(|me| OverlayInode {
            core: core.clone(),
            me: me.clone(),
            ino,
            kind,
            lower,
            shared: InodeShared::default(),
            own: Mutex::new(own),
            content: Mutex::new(None),
            entries: Mutex::default(),
            target,
            append: Mutex::new(()),
            mapping_id: OnceLock::new(),
        })
    }

    /// The lower file, if there is one.
    pub(super) fn lower(&self) -> Option<&Arc<GoferInode>> {
        self.lower.as_ref()
    }

    pub(super) fn ino(&self) -> u64 {
        self.ino
    }

    /// The type of the file, which never changes.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.kind
    }

    pub(super) fn arc(&self) -> Result<Arc<OverlayInode>> {
        // `self` was reached through an `Arc`, except while it is being dropped.
        self.me.upgrade().ok_or(Errno::ESTALE)
    }

    /// Changes the inode's own attributes, copied from the lower file's first.
    pub(super) fn with_own<T>(&self, change: impl FnOnce(&mut OwnAttr) -> T) -> Result<T> {
        let mut own = self.own.lock();
        if let Some(own) = &mut *own {
            return Ok(change(own));
        }
        let lower = self.lower.as_ref().ok_or(Errno::EIO)?;
        let copied = own.insert(OwnAttr::copy(&lower.attr()?));
        let result = change(copied);
        drop(own);
        self.core.keep(&self.arc()?);
        Ok(result)
    }

    /// Changes the inode's own attributes if it has any: for what is not worth copying them.
    pub(super) fn if_own(&self, change: impl FnOnce(&mut OwnAttr)) {
        if let Some(own) = &mut *self.own.lock() {
            change(own);
        }
    }

    /// Whether the last name is gone.
    pub(super) fn is_removed(&self) -> bool {
        self.own.lock().as_ref().is_some_and(|own| own.nlink == 0)
    }

    /// Takes a name away; with the last one goes what was kept for it.
    pub(super) fn lose_name(&self) -> Result<()> {
        let removed = self.with_own(|own| {
            own.nlink = if self.kind == FileType::Directory {
                0
            } else {
                own.nlink.saturating_sub(1)
            };
            own.ctime = own_attr::now();
            own.nlink == 0
        })?;
        if removed {
            self.core.let_go(&self.arc()?);
        }
        Ok(())
    }

    fn size_and_blocks(&self, lower: Option<&Attr>) -> (u64, u64) {
        let content = self.content.lock().clone();
        match (content, lower) {
            (Some(store), _) => (store.size(), store.allocated() / 512),
            (None, Some(lower)) => (lower.size, lower.blocks),
            (None, None) if self.kind == FileType::Directory => (abi::PAGE_SIZE as u64, 0),
            (None, None) => (self.target.len() as u64, 0),
        }
    }

    /// Runs `act` on the extended attributes, copied from the lower file's first.
    fn with_xattrs<T>(
        &self,
        act: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        if self.with_own(|own| own.xattrs.is_none())? {
            let mut copied = BTreeMap::new();
            if let Some(lower) = &self.lower {
                for name in lower.list_xattr()? {
                    copied.insert(name.clone(), lower.get_xattr(&name)?);
                }
            }
            self.with_own(|own| own.xattrs.get_or_insert(copied).len())?;
        }
        self.with_own(|own| {
            own.ctime = own_attr::now();
            act(own.xattrs.get_or_insert_default())
        })?
    }

    /// The file's contents or owner change: what its capabilities were given for is gone.
    pub(super) fn drop_capabilities(&self) -> Result<()> {
        if self.kind == FileType::Directory
            || self.own_xattrs(|own| own.contains_key(xattr::CAPABILITY)) == Some(false)
        {
            return Ok(());
        }
        self.with_xattrs(|xattrs| {
            xattrs.remove(xattr::CAPABILITY);
            Ok(())
        })
    }

    /// The extended attributes, if they are our own.
    fn own_xattrs<T>(&self, look: impl FnOnce(&BTreeMap<Vec<u8>, Vec<u8>>) -> T) -> Option<T> {
        self.own
            .lock()
            .as_ref()
            .and_then(|own| own.xattrs.as_ref())
            .map(look)
    }
}

impl Drop for OverlayInode {
    fn drop(&mut self) {
        if let Some(lower) = &self.lower {
            self.core.forget(lower);
        }
    }
}

impl Inode for OverlayInode {
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
        let own = self.own.lock().clone();
        let lower = match &self.lower {
            Some(lower) => Some(lower.attr()?),
            None => None,
        };
        let Some(own) = own else {
            return lower.ok_or(Errno::EIO);
        };
        let (size, blocks) = self.size_and_blocks(lower.as_ref());
        Ok(Attr {
            ino: self.ino,
            file_type: self.kind,
            permissions: own.permissions,
            nlink: own.nlink,
            uid: own.uid,
            gid: own.gid,
            rdev: own.rdev,
            size,
            blocks,
            block_size: 4096,
            atime: own.atime,
            mtime: own.mtime,
            ctime: own.ctime,
            btime: own.btime,
        })
    }

    fn set_attr(&self, change: &SetAttr) -> Result<()> {
        if let Some(size) = change.size {
            self.resize(size)?;
        }
        if change.drops_capabilities() {
            self.drop_capabilities()?;
        }
        self.with_own(|own| own.change(change))
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        Ok(self.find(name)?)
    }

    fn lookup_path(&self, names: &[&[u8]]) -> Result<Vec<InodeRef>> {
        Ok(self
            .walk(names)?
            .into_iter()
            .map(|inode| inode as InodeRef)
            .collect())
    }

    fn create(&self, name: &[u8], node: &NewNode<'_>) -> Result<InodeRef> {
        self.core.memory.check_lasting(Errno::ENOSPC)?;
        Ok(self.make(name, node)?)
    }

    fn create_unnamed(&self, permissions: u32, uid: u32, gid: u32) -> Result<InodeRef> {
        let own = OwnAttr::new(
            permissions,
            uid,
            gid,
            0,
            crate::vfs::attr::Device::default(),
        );
        Ok(OverlayInode::create(
            &self.core,
            FileType::Regular,
            own,
            b"",
        ))
    }

    fn link(&self, name: &[u8], target: &InodeRef) -> Result<()> {
        self.core.memory.check_lasting(Errno::ENOSPC)?;
        self.add_link(name, target)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        self.remove_file(name)
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        self.remove_dir(name)
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
                Ok(Arc::new(OverlayFile::open(self, flags)?))
            }
            FileType::Directory => Ok(Arc::new(OverlayDirectory::new(self))),
            FileType::Symlink => Err(Errno::ELOOP),
            _ => Err(Errno::ENXIO),
        }
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        match self.own_xattrs(|own| own.get(name).cloned()) {
            Some(value) => value.ok_or(Errno::ENODATA),
            None => self.lower.as_ref().ok_or(Errno::ENODATA)?.get_xattr(name),
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: XattrFlags) -> Result<()> {
        self.core.memory.check_lasting(Errno::ENOSPC)?;
        self.with_xattrs(|xattrs| own_attr::set_xattr(xattrs, name, value, flags))
    }

    fn list_xattr(&self) -> Result<Vec<Vec<u8>>> {
        match self.own_xattrs(|own| own.keys().cloned().collect()) {
            Some(names) => Ok(names),
            None => self
                .lower
                .as_ref()
                .map_or(Ok(Vec::new()), |lower| lower.list_xattr()),
        }
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.with_xattrs(|xattrs| xattrs.remove(name).map(drop).ok_or(Errno::ENODATA))
    }
}

impl OverlayInode {
    /// The target of a symbolic link.
    pub(super) fn link_target(&self) -> Result<Vec<u8>> {
        match &self.lower {
            _ if self.kind != FileType::Symlink => Err(Errno::EINVAL),
            Some(lower) => lower.link_target(),
            None => Ok(self.target.clone()),
        }
    }

    /// Makes sure that the lower contents can be read, unless there are some of our own.
    pub(super) fn ready_to_read(&self) -> Result<()> {
        let has_own = self.content.lock().is_some();
        match &self.lower {
            Some(lower) if !has_own => lower.host_file(Use::Read).map(drop),
            _ => Ok(()),
        }
    }
}
