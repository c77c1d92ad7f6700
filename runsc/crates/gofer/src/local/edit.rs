//! Changes of directories: new entries, links, removal, renaming.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use abi::Errno;
use host::errno;
use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid};

use super::budget::PathFd;
use super::identity::At;
use super::node::Node;
use super::open::MODE_BITS;
use super::table::Table;
use super::{found, sys};
use crate::name;
use crate::types::{
    Attr, FileKind, Found, Linked, Made, NewFile, NodeId, Remove, Rename, RenameMode, Renamed,
    Result,
};

/// See [`crate::HostTree::make_dir`].
pub(super) fn make_dir(
    table: &Table,
    dir: NodeId,
    file_name: &[u8],
    new: &NewFile,
) -> Result<Made> {
    make(
        table,
        dir,
        file_name,
        new,
        FileKind::Directory,
        &|parent, name| {
            fs::mkdirat(parent, name, Mode::from_raw_mode(new.mode & 0o777)).map_err(errno)
        },
    )
}

/// See [`crate::HostTree::symlink`].
pub(super) fn symlink(
    table: &Table,
    dir: NodeId,
    file_name: &[u8],
    target: &[u8],
    new: &NewFile,
) -> Result<Made> {
    let target = name::target_to_c(target)?;
    make(
        table,
        dir,
        file_name,
        new,
        FileKind::Symlink,
        &|parent, name| fs::symlinkat(target.as_c_str(), parent, name).map_err(errno),
    )
}

/// See [`crate::HostTree::make_node`]. No device: what the host's programs could open is not the container's to make.
pub(super) fn make_node(
    table: &Table,
    dir: NodeId,
    file_name: &[u8],
    new: &NewFile,
) -> Result<Made> {
    let kind = FileKind::from_mode(new.mode).ok_or(Errno::EINVAL)?;
    let file_type = match kind {
        FileKind::Fifo => FileType::Fifo,
        FileKind::Socket => FileType::Socket,
        FileKind::Regular => FileType::RegularFile,
        _ => return Err(Errno::EPERM),
    };
    make(table, dir, file_name, new, kind, &|parent, name| {
        let mode = Mode::from_raw_mode(new.mode & 0o777);
        fs::mknodat(parent, name, file_type, mode, 0).map_err(errno)
    })
}

/// Makes an entry with `act`, then gives it its owner and at last its special bits.
fn make(
    table: &Table,
    dir: NodeId,
    file_name: &[u8],
    new: &NewFile,
    kind: FileKind,
    act: &dyn Fn(BorrowedFd<'_>, &CStr) -> Result<()>,
) -> Result<Made> {
    let dir = table.directory(dir)?;
    dir.root.writable()?;
    let file_name = name::to_c(file_name)?;
    let parent = dir.path_fd(table)?;
    act(parent.as_fd(), &file_name)?;
    let made = adopt(table, &dir, &file_name, new, kind);
    if made.is_err() {
        let flags = if kind == FileKind::Directory {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        // Best effort: the error that made the entry useless is the one to report.
        let _ = fs::unlinkat(parent.as_fd(), &file_name, flags);
    }
    made.map(|found| Made {
        found,
        dir: attr_after(&parent),
    })
}

fn adopt(
    table: &Table,
    dir: &Arc<Node>,
    file_name: &CString,
    new: &NewFile,
    kind: FileKind,
) -> Result<Found> {
    let parent = dir.path_fd(table)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = sys::open_beneath(parent.as_fd(), file_name, flags, Mode::empty())?;
    let mut attr = sys::stat_fd(fd.as_fd())?;
    if attr.kind() != Some(kind) {
        return Err(Errno::ESTALE);
    }
    let node = table.child(dir, file_name.clone(), &attr, At::open(fd.as_fd()), None)?;
    let done = own(table, &node, fd.as_fd(), &attr, new).and_then(|()| sys::stat_fd(fd.as_fd()));
    match done {
        Ok(now) => attr = now,
        Err(error) => {
            table.give_back(&[node.id]);
            return Err(error);
        }
    }
    if kind == FileKind::Directory {
        node.keep(fd, table);
    }
    Ok(found(&node, attr))
}

fn own(
    table: &Table,
    node: &Arc<Node>,
    fd: BorrowedFd<'_>,
    attr: &Attr,
    new: &NewFile,
) -> Result<()> {
    if (attr.uid, attr.gid) != (new.uid, new.gid) {
        let (uid, gid) = (Uid::from_raw(new.uid), Gid::from_raw(new.gid));
        fs::chownat(fd, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH).map_err(errno)?;
    }
    if node.kind != FileKind::Symlink && attr.mode & MODE_BITS != new.mode & MODE_BITS {
        super::attr::chmod(table, node, fd, new.mode & MODE_BITS)?;
    }
    Ok(())
}

/// See [`crate::HostTree::link`].
pub(super) fn link(table: &Table, node: NodeId, dir: NodeId, file_name: &[u8]) -> Result<Linked> {
    let node = table.get(node)?;
    let dir = table.directory(dir)?;
    same_tree(&node, &dir)?;
    dir.root.writable()?;
    let file_name = name::to_c(file_name)?;
    let parent = dir.path_fd(table)?;
    let fd = node.path_fd(table)?;
    match fs::linkat(
        fd.as_fd(),
        c"",
        parent.as_fd(),
        &file_name,
        AtFlags::EMPTY_PATH,
    ) {
        Ok(()) => {}
        // Without CAP_DAC_READ_SEARCH the kernel does not link by descriptor.
        Err(error) if errno(error) == Errno::ENOENT => {
            let (old_dir, old_name) = node.parent_fd(table)?.ok_or(Errno::ENOENT)?;
            link_by_name(
                table,
                &node,
                old_dir.as_fd(),
                &old_name,
                parent.as_fd(),
                &file_name,
            )?;
        }
        Err(error) => return Err(errno(error)),
    }
    let attr = sys::stat_fd(fd.as_fd())?;
    node.expect(table, &attr, At::open(fd.as_fd()))?;
    node.add_place(&dir, file_name.into());
    Ok(Linked {
        attr,
        dir: attr_after(&parent),
    })
}

/// The attributes of a directory that has just changed: what the client would ask for next.
pub(super) fn attr_after(dir: &PathFd) -> Option<Attr> {
    sys::stat_fd(dir.as_fd()).ok()
}

fn link_by_name(
    table: &Table,
    node: &Arc<Node>,
    old_dir: BorrowedFd<'_>,
    old_name: &CStr,
    new_dir: BorrowedFd<'_>,
    new_name: &CStr,
) -> Result<()> {
    fs::linkat(old_dir, old_name, new_dir, new_name, AtFlags::empty()).map_err(errno)?;
    let at = At {
        dir: new_dir,
        name: new_name,
    };
    if node
        .expect(table, &sys::stat_at(new_dir, new_name)?, at)
        .is_err()
    {
        fs::unlinkat(new_dir, new_name, AtFlags::empty()).map_err(errno)?;
        return Err(Errno::ESTALE);
    }
    Ok(())
}

/// See [`crate::HostTree::remove`].
pub(super) fn remove(
    table: &Table,
    dir: NodeId,
    file_name: &[u8],
    what: Remove,
    known: Option<NodeId>,
) -> Result<Option<Attr>> {
    let dir = table.directory(dir)?;
    dir.root.writable()?;
    let file_name = name::to_c(file_name)?;
    let victim = held(table, known);
    let flags = match what {
        Remove::File => AtFlags::empty(),
        Remove::Directory => AtFlags::REMOVEDIR,
    };
    let parent = dir.path_fd(table)?;
    fs::unlinkat(parent.as_fd(), &file_name, flags).map_err(errno)?;
    if let Some((victim, _fd)) = victim {
        victim.lose_place(&dir, &file_name);
    }
    Ok(attr_after(&parent))
}

/// The client's node, and its descriptor, opened so that it outlives its name: who loses the name holds it until then,
/// or the budget might close it in between. A node that is stale already has nothing to keep.
fn held(table: &Table, node: Option<NodeId>) -> Option<(Arc<Node>, Arc<PathFd>)> {
    let node = table.get(node?).ok()?;
    node.path_fd(table).ok().map(|fd| (node, fd))
}

/// See [`crate::HostTree::rename`].
pub(super) fn rename(table: &Table, rename: &Rename<'_>) -> Result<Renamed> {
    let old_dir = table.directory(rename.old_dir)?;
    let new_dir = table.directory(rename.new_dir)?;
    same_tree(&old_dir, &new_dir)?;
    old_dir.root.writable()?;
    let old_name = name::to_c(rename.old_name)?;
    let new_name = name::to_c(rename.new_name)?;
    let (old_fd, new_fd) = (old_dir.path_fd(table)?, new_dir.path_fd(table)?);
    let moved = held(table, rename.moved);
    let replaced = held(table, rename.replaced);
    let flags = match rename.mode {
        RenameMode::Replace => RenameFlags::empty(),
        RenameMode::NoReplace => RenameFlags::NOREPLACE,
        RenameMode::Exchange => RenameFlags::EXCHANGE,
    };
    fs::renameat_with(old_fd.as_fd(), &old_name, new_fd.as_fd(), &new_name, flags)
        .map_err(errno)?;
    if let Some((replaced, _fd)) = replaced {
        match rename.mode {
            RenameMode::Exchange => {
                replaced.lose_place(&new_dir, &new_name);
                follow(table, &replaced, &old_dir, old_fd.as_fd(), &old_name)?;
            }
            RenameMode::Replace | RenameMode::NoReplace => {
                replaced.lose_place(&new_dir, &new_name);
            }
        }
    }
    if let Some((moved, _fd)) = moved {
        moved.lose_place(&old_dir, &old_name);
        follow(table, &moved, &new_dir, new_fd.as_fd(), &new_name)?;
    }
    Ok(Renamed {
        old_dir: attr_after(&old_fd),
        new_dir: attr_after(&new_fd),
    })
}

/// Moves a node to its new place, if it is what is there: a client that names a wrong node, or a
/// third party that renames at the same time, cannot build a loop of parents.
fn follow(
    table: &Table,
    node: &Arc<Node>,
    dir: &Arc<Node>,
    dir_fd: BorrowedFd<'_>,
    name: &CStr,
) -> Result<()> {
    let at = At { dir: dir_fd, name };
    match sys::stat_at(dir_fd, name) {
        Ok(attr) => {
            node.is_at(table, dir, name, &attr, at);
            Ok(())
        }
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

fn same_tree(one: &Node, other: &Node) -> Result<()> {
    if Arc::ptr_eq(&one.root, &other.root) {
        Ok(())
    } else {
        Err(Errno::EXDEV)
    }
}
