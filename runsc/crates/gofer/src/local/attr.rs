//! Changes of attributes, and writing to the disk.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use abi::Errno;
use host::errno;
use rustix::fs::{
    self, AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
};

use super::node::Node;
use super::open::MODE_BITS;
use super::sys;
use super::table::Table;
use crate::types::{Attr, FileKind, NodeId, Result, SetAttr, SetTime, SyncKind};

/// See [`crate::HostTree::set_attributes`].
pub(super) fn set(table: &Table, node: NodeId, change: &SetAttr) -> Result<Attr> {
    let node = table.get(node)?;
    node.root.writable()?;
    if let Some(size) = change.size {
        truncate(table, &node, size)?;
    }
    let fd = node.path_fd(table)?;
    if change.uid.is_some() || change.gid.is_some() {
        // An id of all ones would mean "leave alone" to the host, which is not what was asked.
        let uid = change.uid.map(checked_id).transpose()?.map(Uid::from_raw);
        let gid = change.gid.map(checked_id).transpose()?.map(Gid::from_raw);
        fs::chownat(fd.as_fd(), c"", uid, gid, AtFlags::EMPTY_PATH).map_err(errno)?;
    }
    if let Some(mode) = change.mode {
        chmod(table, &node, fd.as_fd(), mode & MODE_BITS)?;
    }
    if change.atime != SetTime::Omit || change.mtime != SetTime::Omit {
        let times = Timestamps {
            last_access: timespec(change.atime)?,
            last_modification: timespec(change.mtime)?,
        };
        fs::utimensat(fd.as_fd(), c"", &times, AtFlags::EMPTY_PATH).map_err(errno)?;
    }
    sys::stat_fd(fd.as_fd())
}

fn checked_id(id: u32) -> Result<u32> {
    if id == u32::MAX {
        Err(Errno::EINVAL)
    } else {
        Ok(id)
    }
}

fn truncate(table: &Table, node: &Arc<Node>, size: u64) -> Result<()> {
    match node.kind {
        FileKind::Regular => {}
        FileKind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    let fd = node.open_to_write(table, OFlags::WRONLY)?;
    fs::ftruncate(&fd, size).map_err(errno)
}

fn timespec(time: SetTime) -> Result<Timespec> {
    Ok(match time {
        SetTime::Omit => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        SetTime::Now => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        },
        SetTime::At(at) if (0..1_000_000_000).contains(&at.nsec) => Timespec {
            tv_sec: at.sec,
            tv_nsec: at.nsec,
        },
        SetTime::At(_) => return Err(Errno::EINVAL),
    })
}

/// Sets the mode of the file that `fd`, an `O_PATH` descriptor of `node`, names.
pub(super) fn chmod(table: &Table, node: &Arc<Node>, fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    match host::at::chmod(fd, mode) {
        // Before Linux 6.6 only an open file's mode can be set without /proc.
        Err(Errno::ENOSYS) => {
            let file = node.open_again(table, OFlags::RDONLY)?;
            fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(errno)
        }
        result => result,
    }
}

/// See [`crate::HostTree::sync`].
pub(super) fn sync(table: &Table, node: NodeId, kind: SyncKind) -> Result<()> {
    let node = table.get(node)?;
    if !matches!(node.kind, FileKind::Regular | FileKind::Directory) {
        return Err(Errno::EINVAL);
    }
    let file = node.open_again(table, OFlags::RDONLY)?;
    match kind {
        SyncKind::Data => fs::fdatasync(&file),
        SyncKind::All => fs::fsync(&file),
        SyncKind::FileSystem => fs::syncfs(&file),
    }
    .map_err(errno)
}
