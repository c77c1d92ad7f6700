//! What a file system offers: inodes, and the instance they belong to.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use abi::Errno;
use bitflags::bitflags;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, StatFs};
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::locks::HostLock;
use crate::vfs::path::Path;
use crate::vfs::shared::InodeShared;

/// A reference to an inode. A file system hands out the same `Arc` for the same file, so that hard
/// links share locks, mappings and watches: identity is pointer identity.
pub type InodeRef = Arc<dyn Inode>;

/// What a new directory entry is made as. Ids and mode are final (umask, set-group-ID directories and
/// POSIX defaults are the caller's work).
#[derive(Clone, Debug)]
pub struct NewNode<'a> {
    /// What it is.
    pub kind: NewKind<'a>,
    /// Permission bits, 0o7777 at most.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The kinds of new nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKind<'a> {
    /// An empty regular file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link with this content.
    Symlink(&'a [u8]),
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
}

bitflags! {
    /// Flags of `renameat2(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// RENAME_NOREPLACE
        const NOREPLACE = 1;
        /// RENAME_EXCHANGE
        const EXCHANGE = 2;
        /// RENAME_WHITEOUT
        const WHITEOUT = 4;
    }
}

/// Where a symbolic link leads.
#[derive(Clone, Debug)]
pub enum LinkTarget {
    /// A path, resolved from the link's directory.
    Path(Vec<u8>),
    /// An object itself, as `/proc/self/fd/3` and `/proc/self/exe` do, whatever their text says.
    Jump(Path),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Name, without slashes or NUL.
    pub name: Vec<u8>,
    /// Inode number.
    pub ino: u64,
    /// Type.
    pub file_type: FileType,
    /// The cursor that continues behind this entry (`d_off`).
    pub next: u64,
}

bitflags! {
    /// Flags of `setxattr(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct XattrFlags: u32 {
        /// XATTR_CREATE
        const CREATE = 1;
        /// XATTR_REPLACE
        const REPLACE = 2;
    }
}

/// One file of a file system, whatever its type. Operations that do not fit the type fail as Linux's do;
/// the defaults are those of a file system without the feature.
///
/// Names are non-empty, at most 255 bytes, without `/` or NUL, and neither `.` nor `..`.
pub trait Inode: Any + Send + Sync + fmt::Debug {
    /// What the kernel keeps per inode, the same for all file systems.
    fn shared(&self) -> &InodeShared;

    /// The file system instance.
    fn file_system(&self) -> Arc<dyn FileSystem>;

    /// The attributes, fresh enough for `stat`.
    fn attr(&self) -> Result<Attr>;

    /// The type, which never changes.
    fn kind(&self) -> Result<FileType> {
        Ok(self.attr()?.file_type)
    }

    /// Whether it is a FIFO of a tree that others use too, and not made in here: whoever opens it means to meet them,
    /// who are out of reach.
    fn is_foreign_fifo(&self) -> bool {
        false
    }

    /// Where the host has its part of the file's locks, if other programs of the host use it too; for one that is
    /// open for writing if `writable`.
    fn host_lock(&self, _writable: bool) -> Result<Option<HostLock>> {
        Ok(None)
    }

    /// Whether it is a directory in which nothing can ever be, made for others to be mounted on.
    fn is_always_empty(&self) -> bool {
        false
    }

    /// Changes attributes and ctime.
    fn set_attr(&self, change: &SetAttr) -> Result<()>;

    /// A directory's entry.
    fn lookup(&self, _name: &[u8]) -> Result<InodeRef> {
        Err(Errno::ENOTDIR)
    }

    /// Entries along a path in as few round trips as possible: the inodes of the longest prefix of
    /// `names` that exists and crosses only directories; an error only if the first is not there.
    fn lookup_path(&self, names: &[&[u8]]) -> Result<Vec<InodeRef>> {
        let first = names.first().ok_or(Errno::ENOENT)?;
        Ok(vec![self.lookup(first)?])
    }

    /// Makes a new entry; EEXIST if there is one.
    fn create(&self, _name: &[u8], _node: &NewNode<'_>) -> Result<InodeRef> {
        Err(Errno::EPERM)
    }

    /// Makes a regular file without a name (`O_TMPFILE`).
    fn create_unnamed(&self, _permissions: u32, _uid: u32, _gid: u32) -> Result<InodeRef> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Makes a hard link to an inode of the same file system instance.
    fn link(&self, _name: &[u8], _target: &InodeRef) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Removes an entry that is not a directory.
    fn unlink(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Removes an empty directory.
    fn rmdir(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Moves an entry to `new_name` in `new_parent`, a directory of the same instance. Loops (a directory
    /// into its own descendant) have been refused by the caller.
    fn rename(
        &self,
        _name: &[u8],
        _new_parent: &InodeRef,
        _new_name: &[u8],
        _flags: RenameFlags,
    ) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// The content of a symbolic link that is the same for everybody: all that an ordinary file system
    /// needs to offer for links.
    fn symlink_text(&self) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    /// Where a symbolic link leads, if that depends on `task` (`/proc/self`) or is an object itself.
    fn read_link(&self, _task: &Task) -> Result<LinkTarget> {
        self.symlink_text().map(LinkTarget::Path)
    }

    /// The text of a symbolic link, for `readlink(2)`; differs from [`Inode::read_link`] for links that jump.
    fn link_text(&self, task: &Task) -> Result<Vec<u8>> {
        match self.read_link(task)? {
            LinkTarget::Path(text) => Ok(text),
            LinkTarget::Jump(path) => Ok(path.text(task)),
        }
    }

    /// Opens it. `O_CREAT`, `O_EXCL` and permissions are dealt with; `O_TRUNC` has been done by
    /// [`Inode::set_attr`]. Fifos, sockets and devices are opened by the caller, through
    /// [`InodeShared`] and the device table.
    fn open(self: Arc<Self>, _flags: OpenFlags, _task: &Task) -> Result<Arc<dyn File>> {
        Err(Errno::ENXIO)
    }

    /// Opens it whatever its type says, for inodes that stand for something that is open already (a
    /// donated descriptor); none: it is opened as its type says.
    fn open_itself(&self, _flags: OpenFlags) -> Option<Result<Arc<dyn File>>> {
        None
    }

    /// Its seals, if files of its kind can be sealed (`F_ADD_SEALS`).
    fn seals(&self) -> Option<&crate::vfs::seals::Seals> {
        None
    }

    /// An extended attribute's value.
    fn get_xattr(&self, _name: &[u8]) -> Result<Vec<u8>> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Sets an extended attribute.
    fn set_xattr(&self, _name: &[u8], _value: &[u8], _flags: XattrFlags) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The names of the extended attributes.
    fn list_xattr(&self) -> Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    /// Removes an extended attribute.
    fn remove_xattr(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// How long the walker may believe what it has looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// Nobody else changes the tree: dentries stay until the Sentry itself changes them.
    Keep,
    /// Others may change the tree: every walk asks the file system again.
    Revalidate,
}

/// A mounted instance of a file system (Linux's super block).
pub trait FileSystem: Any + Send + Sync + fmt::Debug {
    /// Its type, as in `/proc/mounts`.
    fn type_name(&self) -> &'static str;

    /// Its root directory (or file, for a bind mount of a file).
    fn root(&self) -> InodeRef;

    /// `st_dev` of its inodes.
    fn device(&self) -> Device;

    /// Sizes.
    fn stat(&self) -> Result<StatFs>;

    /// What its root is called in the file system that it shows a part of, as `/proc/[pid]/mountinfo` names roots.
    fn root_name(&self) -> &[u8] {
        b"/"
    }

    /// How long lookups stay true.
    fn cache_policy(&self) -> CachePolicy {
        CachePolicy::Keep
    }

    /// Its own options, as in `/proc/mounts`, without a leading comma.
    fn options(&self) -> String {
        String::new()
    }

    /// Writes what is not yet on the host's disk (`syncfs(2)`).
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}
