//! Attributes as the gofer has them and as the kernel has them.

use ::gofer::SetTime as HostSetTime;
use abi::Errno;

use crate::error::Result;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, SetTime, StatFs, Timestamp};

/// Permission bits with set-id and sticky bits.
const PERMISSIONS: u32 = 0o7777;

fn timestamp(time: ::gofer::Timestamp) -> Timestamp {
    Timestamp {
        seconds: time.sec,
        nanoseconds: u32::try_from(time.nsec).unwrap_or(0),
    }
}

/// The kernel's form of the host's attributes.
pub(super) fn from_host(attr: &::gofer::Attr) -> Result<Attr> {
    Ok(Attr {
        ino: attr.ino,
        file_type: FileType::from_mode(attr.mode).ok_or(Errno::EIO)?,
        permissions: attr.mode & PERMISSIONS,
        nlink: attr.nlink.into(),
        uid: attr.uid,
        gid: attr.gid,
        rdev: Device::decode(attr.rdev),
        size: attr.size,
        blocks: attr.blocks,
        block_size: attr.blksize,
        atime: timestamp(attr.atime),
        mtime: timestamp(attr.mtime),
        ctime: timestamp(attr.ctime),
        btime: Some(timestamp(attr.btime)).filter(|time| *time != Timestamp::default()),
    })
}

fn set_time(time: Option<SetTime>) -> HostSetTime {
    match time {
        None => HostSetTime::Omit,
        Some(SetTime::Now) => HostSetTime::Now,
        Some(SetTime::To(time)) => HostSetTime::At(::gofer::Timestamp {
            sec: time.seconds,
            nsec: time.nanoseconds.into(),
        }),
    }
}

/// The gofer's form of a change.
pub(super) fn to_host(change: &SetAttr) -> ::gofer::SetAttr {
    ::gofer::SetAttr {
        mode: change.permissions,
        uid: change.uid,
        gid: change.gid,
        size: change.size,
        atime: set_time(change.atime),
        mtime: set_time(change.mtime),
    }
}

/// The kernel's form of the host's sizes.
pub(super) fn stat_fs(stat: &::gofer::StatFs) -> StatFs {
    StatFs {
        magic: stat.fs_type,
        block_size: stat.block_size,
        blocks: stat.blocks,
        blocks_free: stat.blocks_free,
        blocks_available: stat.blocks_available,
        files: stat.files,
        files_free: stat.files_free,
        name_max: stat.name_len,
    }
}

/// The type of a directory entry.
pub(super) fn file_type(kind: ::gofer::FileKind) -> FileType {
    match kind {
        ::gofer::FileKind::Fifo => FileType::Fifo,
        ::gofer::FileKind::CharDevice => FileType::CharDevice,
        ::gofer::FileKind::Directory => FileType::Directory,
        ::gofer::FileKind::BlockDevice => FileType::BlockDevice,
        ::gofer::FileKind::Regular => FileType::Regular,
        ::gofer::FileKind::Symlink => FileType::Symlink,
        ::gofer::FileKind::Socket => FileType::Socket,
    }
}
