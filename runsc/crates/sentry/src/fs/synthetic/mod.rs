//! File systems whose files are made up when they are looked at: proc and sysfs are built on this.
//!
//! A directory is something that knows its entries ([`Directory`]), a file something that has a text
//! ([`Content`]), a link something that leads somewhere ([`Link`]). An [`Entry`] describes one of them; the
//! inodes, their numbers and their caching are this module's.

mod file;
mod inode;
mod tree;

use std::fmt;
use std::sync::{Arc, Weak};

use abi::Errno;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::{Device, FileType, StatFs};
use crate::vfs::inode::{CachePolicy, FileSystem, InodeRef, LinkTarget, NewNode};

pub use inode::SyntheticInode;
pub use tree::StaticDirectory;

/// A directory's entries.
pub trait Directory: Send + Sync + fmt::Debug {
    /// The entry of this name; ENOENT.
    fn entry(&self, name: &[u8]) -> Result<Entry>;

    /// All names with their types, in the order they are listed.
    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>>;

    /// What `mkdir(2)` does.
    fn make_directory(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EACCES)
    }

    /// What `rmdir(2)` does.
    fn remove_directory(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// What `open(2)` with `O_CREAT` does.
    fn make_file(&self, _name: &[u8], _node: &NewNode<'_>) -> Result<()> {
        Err(Errno::EACCES)
    }

    /// What `unlink(2)` does.
    fn remove_file(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }
}

/// A file's content.
pub trait Content: Send + Sync + fmt::Debug {
    /// The whole of it, as `task` sees it now.
    fn read(&self, task: &Task) -> Result<Vec<u8>>;

    /// For files too large to be made whole: up to `len` bytes from `offset` on.
    fn read_at(&self, _task: &Task, _offset: u64, _len: usize) -> Option<Result<Vec<u8>>> {
        None
    }

    /// What a write of `bytes` at `offset` does; returns how many were taken.
    fn write(&self, _task: &Task, _bytes: &[u8], _offset: u64) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Whether `task` may open it, beyond its permission bits; what the open file shows if that is not this
    /// content itself.
    fn open(&self, _task: &Task) -> Result<Option<Arc<dyn Content>>> {
        Ok(None)
    }

    /// `st_size`.
    fn size(&self) -> u64 {
        0
    }
}

/// A symbolic link.
pub trait Link: Send + Sync + fmt::Debug {
    /// Where it leads for `task`.
    fn target(&self, task: &Task) -> Result<LinkTarget>;
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum Body {
    /// A directory.
    Directory(Arc<dyn Directory>),
    /// A regular file.
    File(Arc<dyn Content>),
    /// A symbolic link.
    Link(Arc<dyn Link>),
    /// A regular file whose inode somebody else keeps.
    Inode(InodeRef),
}

impl Body {
    /// The type of file.
    #[must_use]
    pub const fn file_type(&self) -> FileType {
        match self {
            Body::Directory(_) => FileType::Directory,
            Body::File(_) | Body::Inode(_) => FileType::Regular,
            Body::Link(_) => FileType::Symlink,
        }
    }
}

/// Whose an entry is.
#[derive(Clone, Debug)]
pub enum Owner {
    /// Root's.
    Root,
    /// That of a task's effective ids.
    Task(Weak<Task>),
}

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub body: Body,
    /// Permission bits.
    pub permissions: u32,
    /// Whose it is.
    pub owner: Owner,
    /// Tells it from an entry that had the same name before: a looked-up inode stays as long as this does.
    pub identity: u64,
}

impl Entry {
    /// A directory of root's that all may search.
    #[must_use]
    pub fn directory(directory: Arc<dyn Directory>) -> Entry {
        Entry {
            body: Body::Directory(directory),
            permissions: 0o555,
            owner: Owner::Root,
            identity: 0,
        }
    }

    /// A file of root's that all may read.
    #[must_use]
    pub fn file(content: Arc<dyn Content>) -> Entry {
        Entry {
            body: Body::File(content),
            permissions: 0o444,
            owner: Owner::Root,
            identity: 0,
        }
    }

    /// A link of root's.
    #[must_use]
    pub fn link(link: Arc<dyn Link>) -> Entry {
        Entry {
            body: Body::Link(link),
            permissions: 0o777,
            owner: Owner::Root,
            identity: 0,
        }
    }

    /// A regular file that has an inode, and owner and permissions there.
    #[must_use]
    pub fn inode(inode: InodeRef) -> Entry {
        Entry {
            body: Body::Inode(inode),
            permissions: 0,
            owner: Owner::Root,
            identity: 0,
        }
    }

    /// The same with other permissions.
    #[must_use]
    pub fn with_permissions(self, permissions: u32) -> Entry {
        Entry {
            permissions,
            ..self
        }
    }
}

/// A content that a function makes.
pub struct Generated<F>(pub F);

impl<F> fmt::Debug for Generated<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generated")
    }
}

impl<F: Fn(&Task) -> Result<Vec<u8>> + Send + Sync> Content for Generated<F> {
    fn read(&self, task: &Task) -> Result<Vec<u8>> {
        (self.0)(task)
    }
}

/// A link with a fixed text.
#[derive(Debug)]
pub struct FixedLink(pub &'static str);

impl Link for FixedLink {
    fn target(&self, _task: &Task) -> Result<LinkTarget> {
        Ok(LinkTarget::Path(self.0.as_bytes().to_vec()))
    }
}

/// What all instances of a file system have in common.
#[derive(Clone, Copy, Debug)]
pub struct SyntheticType {
    /// Its name for `mount(2)`.
    pub name: &'static str,
    /// `f_type`.
    pub magic: u64,
    /// `st_blksize` of its files.
    pub block_size: u32,
}

/// An instance of such a file system.
#[derive(Debug)]
pub struct SyntheticFs {
    fs_type: SyntheticType,
    device: Device,
    root: Arc<SyntheticInode>,
    options: String,
}

impl SyntheticFs {
    /// An instance with `root` as its root directory.
    #[must_use]
    pub fn new(fs_type: SyntheticType, device: Device, root: Entry) -> Arc<SyntheticFs> {
        SyntheticFs::with_options(fs_type, device, root, String::new())
    }

    /// The same, with options to be shown in the mount table.
    #[must_use]
    pub fn with_options(
        fs_type: SyntheticType,
        device: Device,
        root: Entry,
        options: String,
    ) -> Arc<SyntheticFs> {
        Arc::new_cyclic(|fs| SyntheticFs {
            fs_type,
            device,
            root: SyntheticInode::root(fs.clone(), fs_type.block_size, root),
            options,
        })
    }
}

impl FileSystem for SyntheticFs {
    fn type_name(&self) -> &'static str {
        self.fs_type.name
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn device(&self) -> Device {
        self.device
    }

    fn stat(&self) -> Result<StatFs> {
        Ok(StatFs {
            magic: self.fs_type.magic,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }

    fn cache_policy(&self) -> CachePolicy {
        CachePolicy::Revalidate
    }

    fn options(&self) -> String {
        self.options.clone()
    }
}
