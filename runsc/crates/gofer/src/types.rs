//! The vocabulary of [`crate::HostTree`]: nodes, attributes, changes, listings.

use std::os::fd::OwnedFd;

use abi::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a host file operation returns.
pub type Result<T> = std::result::Result<T, Errno>;

/// Which of the gofer's trees: the container's root or one of its bind mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeId(pub u32);

/// A file or directory that the tree remembers for its client, never zero. It costs a few hundred
/// bytes there until it is closed, a descriptor only while it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

/// A point in time as `struct timespec` has it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(C)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub sec: i64,
    /// Nanoseconds within the second, below 10⁹.
    pub nsec: i64,
}

/// What `statx(2)` tells about an inode.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Attr {
    /// Inode number.
    pub ino: u64,
    /// Host device the inode lives on, as `makedev(3)` packs it.
    pub dev: u64,
    /// Device number of a device node, packed likewise.
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// Units of 512 bytes allocated.
    pub blocks: u64,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of contents.
    pub mtime: Timestamp,
    /// Last change of the inode.
    pub ctime: Timestamp,
    /// Creation; zero where the file system has none.
    pub btime: Timestamp,
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Preferred I/O size in bytes.
    pub blksize: u32,
    /// Zero.
    pub reserved: u32,
}

impl Attr {
    /// The type of the file; `None` if the host reports one that Linux does not have.
    #[must_use]
    pub fn kind(&self) -> Option<FileKind> {
        FileKind::from_mode(self.mode)
    }

    /// Whether the inode is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind() == Some(FileKind::Directory)
    }

    /// Whether the inode is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.kind() == Some(FileKind::Symlink)
    }

    /// What tells two inodes of one host apart.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// The type of a file, numbered as `d_type` of `getdents64(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// A named pipe.
    Fifo = 1,
    /// A character device.
    CharDevice = 2,
    /// A directory.
    Directory = 4,
    /// A block device.
    BlockDevice = 6,
    /// A regular file.
    Regular = 8,
    /// A symbolic link.
    Symlink = 10,
    /// A unix socket.
    Socket = 12,
}

/// The mask of the type in `st_mode`.
pub const S_IFMT: u32 = 0o170_000;

impl FileKind {
    /// The type in an `st_mode`.
    #[must_use]
    pub fn from_mode(mode: u32) -> Option<FileKind> {
        FileKind::from_dirent((mode & S_IFMT) >> 12)
    }

    /// The type in a `d_type`; `None` for an unknown one.
    #[must_use]
    pub fn from_dirent(number: u32) -> Option<FileKind> {
        Some(match number {
            1 => FileKind::Fifo,
            2 => FileKind::CharDevice,
            4 => FileKind::Directory,
            6 => FileKind::BlockDevice,
            8 => FileKind::Regular,
            10 => FileKind::Symlink,
            12 => FileKind::Socket,
            _ => return None,
        })
    }

    /// The type as the bits of `st_mode`.
    #[must_use]
    pub fn mode_bits(self) -> u32 {
        u32::from(self.dirent()) << 12
    }

    /// The type as `d_type`.
    #[must_use]
    pub fn dirent(self) -> u8 {
        match self {
            FileKind::Fifo => 1,
            FileKind::CharDevice => 2,
            FileKind::Directory => 4,
            FileKind::BlockDevice => 6,
            FileKind::Regular => 8,
            FileKind::Symlink => 10,
            FileKind::Socket => 12,
        }
    }
}

/// A node and its attributes at the time of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The node; the client gives this finding back.
    pub node: NodeId,
    /// Its attributes.
    pub attr: Attr,
}

/// One component of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The name, one component.
    pub name: &'a [u8],
    /// The node that the client already has under this name. If it still is the same file, the answer
    /// names the same node, and is no new finding.
    pub known: Option<NodeId>,
}

impl<'a> Step<'a> {
    /// A step to a name the client knows nothing of.
    #[must_use]
    pub fn new(name: &'a [u8]) -> Step<'a> {
        Step { name, known: None }
    }
}

/// How far a walk went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The nodes of the first components, in order. All of them exist, even if the walk failed later.
    pub found: Vec<Found>,
    /// Why there are no more.
    pub end: WalkEnd,
}

/// Why a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// Every component was found, and the last is no symbolic link.
    Done,
    /// The component after the last one found does not exist.
    Missing,
    /// The last one found is a symbolic link, with this target; it may be the last component.
    Symlink(Vec<u8>),
    /// The last one found is not a directory, and components remain.
    NotDirectory,
    /// The host refused the component after the last one found.
    Failed(Errno),
}

/// How a donated descriptor may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    /// Whether the descriptor can be written.
    #[must_use]
    pub fn writes(self) -> bool {
        self != Access::Read
    }
}

/// An opened file.
#[derive(Debug)]
pub struct Opened {
    /// The host descriptor, the receiver's own.
    pub fd: OwnedFd,
    /// Attributes after opening.
    pub attr: Attr,
}

/// An entry that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its node.
    pub found: Found,
    /// The attributes of its directory afterwards.
    pub dir: Option<Attr>,
}

/// A link that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The attributes of the file afterwards.
    pub attr: Attr,
    /// The attributes of the new name's directory afterwards.
    pub dir: Option<Attr>,
}

/// A rename that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The attributes of the old name's directory afterwards.
    pub old_dir: Option<Attr>,
    /// The attributes of the new name's directory afterwards.
    pub new_dir: Option<Attr>,
}

/// A file that was created and opened.
#[derive(Debug)]
pub struct Created {
    /// Its node, and for a file with a name the attributes of its directory.
    pub made: Made,
    /// The host descriptor, the receiver's own.
    pub fd: OwnedFd,
}

/// Mode and owner of a new file; the umask is already applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Permission bits with set-id and sticky bits; for `make_node` the type too.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A change of one time stamp, as `utimensat(2)` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetTime {
    /// Left alone.
    #[default]
    Omit,
    /// The host's current time.
    Now,
    /// This time.
    At(Timestamp),
}

/// Changes of attributes; what is `None` stays. Applied in the order size, owner, mode, times, so
/// that a mode given with an owner is what remains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// New permission bits with set-id and sticky bits.
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size in bytes.
    pub size: Option<u64>,
    /// Last access.
    pub atime: SetTime,
    /// Last change of contents.
    pub mtime: SetTime,
}

/// A rename as `renameat2(2)` has it.
#[derive(Clone, Copy, Debug)]
pub struct Rename<'a> {
    /// Directory of the old name.
    pub old_dir: NodeId,
    /// The old name.
    pub old_name: &'a [u8],
    /// Directory of the new name.
    pub new_dir: NodeId,
    /// The new name.
    pub new_name: &'a [u8],
    /// Whether the target may exist.
    pub mode: RenameMode,
    /// The client's node of the old name, which moves along.
    pub moved: Option<NodeId>,
    /// The client's node of the new name, which loses it (or moves the other way).
    pub replaced: Option<NodeId>,
}

/// What a rename does with an existing target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// Replaces it.
    Replace,
    /// Fails with `EEXIST` (`RENAME_NOREPLACE`).
    NoReplace,
    /// Swaps the two (`RENAME_EXCHANGE`).
    Exchange,
}

/// What a removal expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remove {
    /// Anything but a directory (`unlink(2)`).
    File,
    /// An empty directory (`rmdir(2)`).
    Directory,
}

/// What a listing tells about each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Name, inode number and type.
    Types,
    /// The attributes too.
    Attributes,
}

/// One directory entry; `.` and `..` are never listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, one component.
    pub name: Vec<u8>,
    /// Inode number.
    pub ino: u64,
    /// Type, if the host's file system says so.
    pub kind: Option<FileKind>,
    /// Where the listing continues after this entry.
    pub cookie: u64,
    /// Attributes, if asked for and the entry still existed.
    pub attr: Option<Attr>,
}

/// One batch of a directory's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The entries, in the host's order.
    pub entries: Vec<Entry>,
    /// Whether the directory ends here.
    pub end: bool,
}

/// What `statfs(2)` tells.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct StatFs {
    /// Magic number of the file system type.
    pub fs_type: u64,
    /// Optimal transfer size in bytes.
    pub block_size: u64,
    /// Blocks of `fragment_size` in all.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks for unprivileged users.
    pub blocks_available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Longest name in bytes.
    pub name_len: u64,
    /// Fragment size in bytes.
    pub fragment_size: u64,
    /// Mount flags.
    pub flags: u64,
}

/// How much `sync` writes to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// Contents (`fdatasync(2)`).
    Data,
    /// Contents and attributes (`fsync(2)`).
    All,
    /// The whole file system (`syncfs(2)`).
    FileSystem,
}

/// What setting an extended attribute expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    /// Either.
    Any,
    /// Nothing of that name (`XATTR_CREATE`).
    Create,
    /// An attribute of that name (`XATTR_REPLACE`).
    Replace,
}

/// The type of a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// `SOCK_STREAM`.
    Stream,
    /// `SOCK_DGRAM`.
    Datagram,
    /// `SOCK_SEQPACKET`.
    SeqPacket,
}
