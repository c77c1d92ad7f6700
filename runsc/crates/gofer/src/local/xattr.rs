//! Extended attributes: those a container may own.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use abi::Errno;
use host::errno;
use rustix::fs::{self, OFlags, XattrFlags};

use super::node::Node;
use super::table::Table;
use crate::types::{FileKind, NodeId, Result, XattrMode};

/// Longest name in bytes (`XATTR_NAME_MAX`).
const NAME_MAX: usize = 255;
/// Longest value, and longest list of names, in bytes (`XATTR_SIZE_MAX`).
const SIZE_MAX: usize = 65_536;

/// Names passed on besides `user.*`. `trusted.*` and other `security.*` belong to the host.
const NAMES: [&[u8]; 3] = [
    b"security.capability",
    b"system.posix_acl_access",
    b"system.posix_acl_default",
];

fn passed_on(name: &[u8]) -> bool {
    name.strip_prefix(b"user.")
        .is_some_and(|rest| !rest.is_empty())
        || NAMES.contains(&name)
}

fn checked(name: &[u8]) -> Result<CString> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Errno::ERANGE);
    }
    if !passed_on(name) {
        return Err(Errno::EOPNOTSUPP);
    }
    CString::new(name).map_err(|_| Errno::EINVAL)
}

/// Of what belongs to the host there is nothing to be seen; a file system that keeps such names says so with ENODATA.
fn unseen(name: &[u8], errno: Errno) -> Errno {
    let is_kept = name.starts_with(b"security.") || name.starts_with(b"trusted.");
    if errno == Errno::EOPNOTSUPP && is_kept {
        return Errno::ENODATA;
    }
    errno
}

/// See [`crate::HostTree::get_xattr`].
pub(super) fn get(table: &Table, node: NodeId, name: &[u8]) -> Result<Vec<u8>> {
    let name = checked(name).map_err(|errno| unseen(name, errno))?;
    let Some(file) = open(table, &table.get(node)?)? else {
        return Err(Errno::ENODATA);
    };
    let mut value = vec![0; SIZE_MAX];
    let len = fs::fgetxattr(&file, name.as_c_str(), value.as_mut_slice()).map_err(errno)?;
    value.truncate(len);
    Ok(value)
}

/// See [`crate::HostTree::set_xattr`].
pub(super) fn set(
    table: &Table,
    node: NodeId,
    name: &[u8],
    value: &[u8],
    mode: XattrMode,
) -> Result<()> {
    let node = table.get(node)?;
    node.root.writable()?;
    let name = checked(name)?;
    if value.len() > SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let flags = match mode {
        XattrMode::Any => XattrFlags::empty(),
        XattrMode::Create => XattrFlags::CREATE,
        XattrMode::Replace => XattrFlags::REPLACE,
    };
    let _held = node.path_fd(table)?;
    let file = open(table, &node)?.ok_or(Errno::EPERM)?;
    fs::fsetxattr(&file, name.as_c_str(), value, flags).map_err(errno)
}

/// See [`crate::HostTree::list_xattrs`].
pub(super) fn list(table: &Table, node: NodeId) -> Result<Vec<u8>> {
    let Some(file) = open(table, &table.get(node)?)? else {
        return Ok(Vec::new());
    };
    let mut names = vec![0; SIZE_MAX];
    let len = fs::flistxattr(&file, names.as_mut_slice()).map_err(errno)?;
    names.truncate(len);
    let mut kept = Vec::new();
    for name in names.split_inclusive(|&byte| byte == 0) {
        if CStr::from_bytes_with_nul(name).is_ok_and(|name| passed_on(name.to_bytes())) {
            kept.extend_from_slice(name);
        }
    }
    Ok(kept)
}

/// See [`crate::HostTree::remove_xattr`].
pub(super) fn remove(table: &Table, node: NodeId, name: &[u8]) -> Result<()> {
    let node = table.get(node)?;
    node.root.writable()?;
    let name = checked(name)?;
    let _held = node.path_fd(table)?;
    let file = open(table, &node)?.ok_or(Errno::EPERM)?;
    fs::fremovexattr(&file, name.as_c_str()).map_err(errno)
}

/// The file, open: an `O_PATH` descriptor does not reach the attributes, not even with `getxattrat(2)`.
/// `None` for links and special files, which can have no `user.*` attributes (`xattr(7)`).
fn open(table: &Table, node: &Arc<Node>) -> Result<Option<OwnedFd>> {
    if !matches!(node.kind, FileKind::Regular | FileKind::Directory) {
        return Ok(None);
    }
    node.open_again(table, OFlags::RDONLY).map(Some)
}
