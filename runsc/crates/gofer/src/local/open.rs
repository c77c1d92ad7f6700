//! Opening and creating regular files, whose descriptors go to the client.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use abi::Errno;
use host::errno;
use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, Uid};

use super::identity::At;
use super::node::Node;
use super::table::Table;
use super::{Policy, found, sys};
use crate::name;
use crate::types::{Access, Attr, Created, FileKind, Made, NewFile, NodeId, Opened, Result};

/// Permission bits with set-id and sticky bits.
pub(super) const MODE_BITS: u32 = 0o7777;

fn open_flags(access: Access) -> OFlags {
    let mode = match access {
        Access::Read => OFlags::RDONLY,
        Access::Write => OFlags::WRONLY,
        Access::ReadWrite => OFlags::RDWR,
    };
    mode | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY
}

/// See [`crate::HostTree::open`]. A special file is opened non-blocking.
pub(super) fn open(table: &Table, node: NodeId, access: Access) -> Result<Opened> {
    let node = table.get(node)?;
    openable(node.kind, node.root.policy)?;
    if access.writes() && node.kind == FileKind::Regular {
        node.root.writable()?;
    }
    let fd = if access.writes() {
        node.open_to_write(table, open_flags(access))?
    } else {
        node.open_again(table, open_flags(access))?
    };
    let attr = sys::stat_fd(fd.as_fd())?;
    if attr.kind() != Some(node.kind) {
        return Err(Errno::ESTALE);
    }
    if sys::is_proc(fd.as_fd())? {
        proc_may_be_open(&node, access)?;
    }
    Ok(Opened { fd, attr })
}

/// Files of proc that show, or could change, the memory of processes or of the kernel, and what else is not for
/// others.
const SECRETS_OF_PROC: [&[u8]; 17] = [
    b"auxv",
    b"clear_refs",
    b"environ",
    b"kcore",
    b"kmsg",
    b"kpagecgroup",
    b"kpagecount",
    b"kpageflags",
    b"maps",
    b"mem",
    b"numa_maps",
    b"pagemap",
    b"smaps",
    b"smaps_rollup",
    b"stack",
    b"syscall",
    b"sysrq-trigger",
];

/// A proc of the host that is bind-mounted is for looking at what the machine does. The kernel asks the one who opens,
/// which is this process, and this process may do all it likes with its own memory: so nothing is written, and what
/// shows memory is opened for nobody; EACCES.
fn proc_may_be_open(node: &Node, access: Access) -> Result<()> {
    let secret = |name: &[u8]| SECRETS_OF_PROC.contains(&name);
    if access.writes() || node.has_name(secret) {
        return Err(Errno::EACCES);
    }
    Ok(())
}

fn openable(kind: FileKind, policy: Policy) -> Result<()> {
    match kind {
        FileKind::Regular => Ok(()),
        FileKind::Directory => Err(Errno::EISDIR),
        FileKind::Symlink => Err(Errno::ELOOP),
        FileKind::Fifo if policy.host_fifos => Ok(()),
        _ => Err(Errno::ENXIO),
    }
}

/// See [`crate::HostTree::create`].
pub(super) fn create(
    table: &Table,
    dir: NodeId,
    file_name: &[u8],
    access: Access,
    new: &NewFile,
) -> Result<Created> {
    let dir = table.directory(dir)?;
    dir.root.writable()?;
    let file_name = name::to_c(file_name)?;
    let parent = dir.path_fd(table)?;
    let flags = open_flags(access) | OFlags::CREATE | OFlags::EXCL;
    let mode = Mode::from_raw_mode(new.mode & 0o777);
    let fd = sys::open_beneath(parent.as_fd(), &file_name, flags, mode)?;
    let created = own(fd.as_fd(), new).and_then(|attr| {
        let node = table.child(&dir, file_name.clone(), &attr, At::open(fd.as_fd()), None)?;
        Ok(found(&node, attr))
    });
    match created {
        Ok(found) => Ok(Created {
            made: Made {
                found,
                dir: super::edit::attr_after(&parent),
            },
            fd,
        }),
        Err(error) => {
            // Best effort: the error that made the file useless is the one to report.
            let _ = fs::unlinkat(parent.as_fd(), &file_name, AtFlags::empty());
            Err(error)
        }
    }
}

/// See [`crate::HostTree::create_unnamed`]. The node's descriptor is all that names the file.
pub(super) fn create_unnamed(
    table: &Table,
    dir: NodeId,
    access: Access,
    new: &NewFile,
) -> Result<Created> {
    let dir = table.directory(dir)?;
    dir.root.writable()?;
    let access = if access == Access::Read {
        Access::ReadWrite
    } else {
        access
    };
    let flags = open_flags(access) | OFlags::TMPFILE;
    let mode = Mode::from_raw_mode(new.mode & 0o777);
    let fd = sys::open_beneath(dir.path_fd(table)?.as_fd(), c".", flags, mode)?;
    let attr = own(fd.as_fd(), new)?;
    let node = table.unnamed(&dir.root, &attr)?;
    node.keep(duplicate(&fd)?, table);
    Ok(Created {
        made: Made {
            found: found(&node, attr),
            dir: None,
        },
        fd,
    })
}

fn duplicate(fd: &OwnedFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 0).map_err(errno)
}

/// Gives a new file, open as `fd`, its owner, and only then the set-id bits: at no time has another
/// owner a file with them.
fn own(fd: BorrowedFd<'_>, new: &NewFile) -> Result<Attr> {
    let attr = sys::stat_fd(fd)?;
    let mut changed = false;
    if (attr.uid, attr.gid) != (new.uid, new.gid) {
        let (uid, gid) = (Uid::from_raw(new.uid), Gid::from_raw(new.gid));
        fs::fchown(fd, Some(uid), Some(gid)).map_err(errno)?;
        changed = true;
    }
    if attr.mode & MODE_BITS != new.mode & MODE_BITS {
        fs::fchmod(fd, Mode::from_raw_mode(new.mode & MODE_BITS)).map_err(errno)?;
        changed = true;
    }
    if changed { sys::stat_fd(fd) } else { Ok(attr) }
}
