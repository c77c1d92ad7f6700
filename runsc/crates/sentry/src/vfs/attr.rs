//! What `stat` tells of an inode, and how it is changed.

use abi::raw::general;

/// The type of a file, `S_IFMT` of its mode (`man 7 inode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// `S_IFREG`
    Regular,
    /// `S_IFDIR`
    Directory,
    /// `S_IFLNK`
    Symlink,
    /// `S_IFCHR`
    CharDevice,
    /// `S_IFBLK`
    BlockDevice,
    /// `S_IFIFO`
    Fifo,
    /// `S_IFSOCK`
    Socket,
}

impl FileType {
    /// The `S_IFMT` bits.
    #[must_use]
    pub const fn mode_bits(self) -> u32 {
        match self {
            FileType::Regular => general::S_IFREG,
            FileType::Directory => general::S_IFDIR,
            FileType::Symlink => general::S_IFLNK,
            FileType::CharDevice => general::S_IFCHR,
            FileType::BlockDevice => general::S_IFBLK,
            FileType::Fifo => general::S_IFIFO,
            FileType::Socket => general::S_IFSOCK,
        }
    }

    /// The type in a mode's `S_IFMT` bits, none if they name no type.
    #[must_use]
    pub const fn from_mode(mode: u32) -> Option<FileType> {
        Some(match mode & general::S_IFMT {
            general::S_IFREG => FileType::Regular,
            general::S_IFDIR => FileType::Directory,
            general::S_IFLNK => FileType::Symlink,
            general::S_IFCHR => FileType::CharDevice,
            general::S_IFBLK => FileType::BlockDevice,
            general::S_IFIFO => FileType::Fifo,
            general::S_IFSOCK => FileType::Socket,
            _ => return None,
        })
    }

    /// `d_type` of a directory entry (`man 3 readdir`).
    #[must_use]
    pub const fn dirent_type(self) -> u8 {
        match self {
            FileType::Fifo => 1,
            FileType::CharDevice => 2,
            FileType::Directory => 4,
            FileType::BlockDevice => 6,
            FileType::Regular => 8,
            FileType::Symlink => 10,
            FileType::Socket => 12,
        }
    }
}

/// Seconds and nanoseconds since the epoch; nanoseconds are below 1,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// The time now, as precise as Linux keeps the times of files (`man 2 clock_gettime`,
    /// `CLOCK_REALTIME_COARSE`).
    #[must_use]
    pub fn now() -> Timestamp {
        use rustix::time::{ClockId, clock_gettime};
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Timestamp {
            seconds: now.tv_sec,
            nanoseconds: u32::try_from(now.tv_nsec).unwrap_or(0),
        }
    }
}

/// A device number as the kernel's `dev_t` holds it, encoded for user space by [`Device::encode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl Device {
    /// A device number.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Device {
        Device { major, minor }
    }

    /// The 64-bit form of `st_dev` and `st_rdev` (`man 3 makedev`).
    #[must_use]
    pub const fn encode(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
    }

    /// The reverse of [`Device::encode`].
    #[must_use]
    pub const fn decode(encoded: u64) -> Device {
        let major = ((encoded >> 8) & 0xfff) | ((encoded >> 32) & 0xffff_f000);
        let minor = (encoded & 0xff) | ((encoded >> 12) & 0xffff_ff00);
        // Both are masked to 32 bits above.
        Device {
            major: (major & 0xffff_ffff) as u32,
            minor: (minor & 0xffff_ffff) as u32,
        }
    }
}

/// An inode's attributes (`man 7 inode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Inode number within the file system.
    pub ino: u64,
    /// The file's type.
    pub file_type: FileType,
    /// Permission bits with set-user-ID, set-group-ID and sticky: 0o7777 at most.
    pub permissions: u32,
    /// Hard links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device that a device file stands for.
    pub rdev: Device,
    /// Length in bytes.
    pub size: u64,
    /// 512-byte units allocated.
    pub blocks: u64,
    /// Preferred I/O size in bytes.
    pub block_size: u32,
    /// Last access.
    pub atime: Timestamp,
    /// Last modification of the content.
    pub mtime: Timestamp,
    /// Last change of the inode.
    pub ctime: Timestamp,
    /// Creation, where the file system records it.
    pub btime: Option<Timestamp>,
}

impl Attr {
    /// `st_mode`: type and permissions.
    #[must_use]
    pub const fn mode(&self) -> u32 {
        self.file_type.mode_bits() | self.permissions
    }
}

/// A new value for a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The current time (`UTIME_NOW`).
    Now,
    /// This time.
    To(Timestamp),
}

/// A change of attributes; what is none stays. The caller has checked permissions and worked out the
/// set-ID bits that the change clears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// New permission bits.
    pub permissions: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New length.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<SetTime>,
    /// New modification time.
    pub mtime: Option<SetTime>,
}

impl SetAttr {
    /// Whether a program's capabilities go with it: another length, another owner (`man 7 capabilities`).
    #[must_use]
    pub fn drops_capabilities(&self) -> bool {
        self.size.is_some() || self.uid.is_some() || self.gid.is_some()
    }
}

/// What `statfs(2)` tells of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatFs {
    /// `f_type`, the magic number.
    pub magic: u64,
    /// `f_bsize` and `f_frsize`.
    pub block_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks for unprivileged users.
    pub blocks_available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Longest name.
    pub name_max: u64,
}
