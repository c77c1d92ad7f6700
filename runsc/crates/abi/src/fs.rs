//! Structures of files and file systems, as laid out on x86-64.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct stat` (`man 2 stat`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Stat {
    /// Device of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Hard links.
    pub nlink: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Zero.
    pub padding: u32,
    /// The device that a device file stands for.
    pub rdev: u64,
    /// Bytes.
    pub size: i64,
    /// Preferred size of an I/O operation.
    pub blksize: i64,
    /// Units of 512 bytes allocated.
    pub blocks: i64,
    /// Last access: seconds.
    pub atime: i64,
    /// Last access: nanoseconds.
    pub atime_nsec: u64,
    /// Last modification: seconds.
    pub mtime: i64,
    /// Last modification: nanoseconds.
    pub mtime_nsec: u64,
    /// Last change: seconds.
    pub ctime: i64,
    /// Last change: nanoseconds.
    pub ctime_nsec: u64,
    /// Zero.
    pub unused: [i64; 3],
}

/// `struct statx_timestamp` (`man 2 statx`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct StatxTimestamp {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds.
    pub nsec: u32,
    /// Zero.
    pub reserved: i32,
}

/// `struct statx` (`man 2 statx`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Statx {
    /// Which fields are filled in.
    pub mask: u32,
    /// Preferred size of an I/O operation.
    pub blksize: u32,
    /// `STATX_ATTR_*`
    pub attributes: u64,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type and permissions.
    pub mode: u16,
    /// Zero.
    pub spare0: u16,
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Units of 512 bytes allocated.
    pub blocks: u64,
    /// Which attributes are supported.
    pub attributes_mask: u64,
    /// Last access.
    pub atime: StatxTimestamp,
    /// Creation.
    pub btime: StatxTimestamp,
    /// Last change.
    pub ctime: StatxTimestamp,
    /// Last modification.
    pub mtime: StatxTimestamp,
    /// Major number of the device that a device file stands for.
    pub rdev_major: u32,
    /// Minor number of it.
    pub rdev_minor: u32,
    /// Major number of the file system's device.
    pub dev_major: u32,
    /// Minor number of it.
    pub dev_minor: u32,
    /// Mount id.
    pub mnt_id: u64,
    /// Zero.
    pub spare: [u64; 13],
}

/// `struct statfs` (`man 2 statfs`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct StatFs {
    /// The file system's magic number.
    pub magic: u64,
    /// Optimal transfer size.
    pub bsize: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free blocks for the unprivileged.
    pub bavail: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
    /// An id of the file system.
    pub fsid: u64,
    /// Longest name.
    pub namelen: u64,
    /// Size that blocks are counted in.
    pub frsize: u64,
    /// `ST_*`
    pub flags: u64,
    /// Zero.
    pub spare: [u64; 4],
}

/// `struct flock` (`man 2 fcntl`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Flock {
    /// `F_RDLCK`, `F_WRLCK`, `F_UNLCK`
    pub kind: i16,
    /// What `start` is relative to.
    pub whence: i16,
    /// Padding.
    pub padding: i32,
    /// First byte.
    pub start: i64,
    /// Number of bytes, 0 for all that follow.
    pub len: i64,
    /// The process that holds the lock.
    pub pid: i32,
    /// Padding.
    pub padding2: i32,
}

/// `struct open_how` (`man 2 openat2`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct OpenHow {
    /// `O_*`
    pub flags: u64,
    /// Permissions of a new file.
    pub mode: u64,
    /// `RESOLVE_*`
    pub resolve: u64,
}

/// `struct f_owner_ex` (`man 2 fcntl`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct OwnerEx {
    /// `F_OWNER_*`
    pub kind: i32,
    /// Thread, process or process group.
    pub pid: i32,
}

/// `struct mount_attr` (`man 2 mount_setattr`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct MountAttr {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// `MS_PRIVATE` and the like.
    pub propagation: u64,
    /// A user namespace.
    pub userns_fd: u64,
}

const _: () = {
    assert!(size_of::<Stat>() == 144);
    assert!(size_of::<Statx>() == 256);
    assert!(size_of::<StatFs>() == 120);
    assert!(size_of::<Flock>() == 32);
};
