//! Names: `link(2)`, `unlink(2)`, `symlink(2)`, `rename(2)`, `readlink(2)`, `mknod(2)` and their kin.

use abi::Errno;
use abi::raw::general as nr;

use super::{at, directory};
use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::attr::{Device, FileType};
use crate::vfs::edit;
use crate::vfs::inode::{NewKind, RenameFlags};
use crate::vfs::walk::{LastName, PATH_MAX, Resolver, WalkFlags};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_link, "link", link),
    Call::full(nr::__NR_linkat, "linkat", linkat),
    Call::full(nr::__NR_unlink, "unlink", unlink),
    Call::full(nr::__NR_unlinkat, "unlinkat", unlinkat),
    Call::full(nr::__NR_symlink, "symlink", symlink),
    Call::full(nr::__NR_symlinkat, "symlinkat", symlinkat),
    Call::full(nr::__NR_readlink, "readlink", readlink),
    Call::full(nr::__NR_readlinkat, "readlinkat", readlinkat),
    Call::full(nr::__NR_rename, "rename", rename),
    Call::full(nr::__NR_renameat, "renameat", renameat),
    Call::full(nr::__NR_renameat2, "renameat2", renameat2),
    Call::full(nr::__NR_mknod, "mknod", mknod),
    Call::full(nr::__NR_mknodat, "mknodat", mknodat),
];

fn link(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let cwd = nr::AT_FDCWD;
    link_at(task, (cwd, args.usize(0)), (cwd, args.usize(1)), 0)
}

fn linkat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (old, new) = ((args.i32(0), args.usize(1)), (args.i32(2), args.usize(3)));
    link_at(task, old, new, args.u32(4))
}

fn link_at(task: &Task, old: (i32, usize), new: (i32, usize), flags: u32) -> SyscallResult {
    let flags = at::flags_not_following(flags)?;
    let text = at::path_text(task, old.1)?;
    let start = at::start(task, old.0, &text)?;
    // A descriptor may only be linked by who could have made it name a file (`man 2 linkat`).
    let by_descriptor = text.is_empty() && flags.contains(WalkFlags::EMPTY);
    if by_descriptor && !task.has_capability(Capability::DacReadSearch) {
        return Err(Errno::ENOENT.into());
    }
    let old = Resolver::of(task, start.as_ref()).resolve(&text, flags)?;
    let entry = at::entry(task, new.0, new.1, |_| Errno::EEXIST)?;
    edit::link(task, &old, &entry)?;
    Ok(0)
}

fn unlink(task: &Task, args: &SyscallArgs) -> SyscallResult {
    remove(task, nr::AT_FDCWD, args.usize(0))
}

fn unlinkat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    match args.u32(2) {
        0 => remove(task, args.i32(0), args.usize(1)),
        nr::AT_REMOVEDIR => directory::remove_directory(task, args.i32(0), args.usize(1)),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn remove(task: &Task, dirfd: i32, address: usize) -> SyscallResult {
    let entry = at::entry(task, dirfd, address, |_| Errno::EISDIR)?;
    edit::unlink(task, &entry)?;
    Ok(0)
}

fn symlink(task: &Task, args: &SyscallArgs) -> SyscallResult {
    make_symlink(task, args.usize(0), nr::AT_FDCWD, args.usize(1))
}

fn symlinkat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    make_symlink(task, args.usize(0), args.i32(1), args.usize(2))
}

fn make_symlink(task: &Task, target: usize, dirfd: i32, address: usize) -> SyscallResult {
    let target = at::path_text(task, target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let entry = at::entry(task, dirfd, address, |_| Errno::EEXIST)?;
    edit::make(task, &entry, NewKind::Symlink(&target), 0o777)?;
    Ok(0)
}

fn readlink(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let buffer = (args.usize(1), args.i32(2));
    read_link(task, nr::AT_FDCWD, args.usize(0), buffer)
}

fn readlinkat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let buffer = (args.usize(2), args.i32(3));
    read_link(task, args.i32(0), args.usize(1), buffer)
}

fn read_link(task: &Task, dirfd: i32, address: usize, buffer: (usize, i32)) -> SyscallResult {
    let room = usize::try_from(buffer.1).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Err(Errno::EINVAL.into());
    }
    let text = at::path_text(task, address)?;
    let start = at::start(task, dirfd, &text)?;
    let path = Resolver::of(task, start.as_ref()).resolve(&text, WalkFlags::EMPTY)?;
    if text.is_empty() && dirfd == nr::AT_FDCWD {
        return Err(Errno::ENOENT.into());
    }
    if path.inode().kind()? != FileType::Symlink {
        let errno = if text.is_empty() {
            Errno::ENOENT
        } else {
            Errno::EINVAL
        };
        return Err(errno.into());
    }
    let mut target = path.inode().link_text(task)?;
    target.truncate(room.min(PATH_MAX));
    task.mm().write_bytes(buffer.0, &target)?;
    Ok(target.len() as u64)
}

fn rename(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let cwd = nr::AT_FDCWD;
    rename_at(task, (cwd, args.usize(0)), (cwd, args.usize(1)), 0)
}

fn renameat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (old, new) = ((args.i32(0), args.usize(1)), (args.i32(2), args.usize(3)));
    rename_at(task, old, new, 0)
}

fn renameat2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (old, new) = ((args.i32(0), args.usize(1)), (args.i32(2), args.usize(3)));
    rename_at(task, old, new, args.u32(4))
}

fn rename_at(task: &Task, old: (i32, usize), new: (i32, usize), flags: u32) -> SyscallResult {
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(RenameFlags::EXCHANGE)
        && flags.intersects(RenameFlags::NOREPLACE | RenameFlags::WHITEOUT)
    {
        return Err(Errno::EINVAL.into());
    }
    if flags.contains(RenameFlags::WHITEOUT) && !task.has_capability(Capability::Mknod) {
        return Err(Errno::EPERM.into());
    }
    let from = at::entry_if_named(task, old.0, old.1, |_| Errno::EBUSY)?;
    let no_replace = flags.contains(RenameFlags::NOREPLACE);
    let to = at::entry_if_named(task, new.0, new.1, |_| {
        if no_replace {
            Errno::EEXIST
        } else {
            Errno::EBUSY
        }
    })?;
    edit::rename(task, &from?, &to?, flags)?;
    Ok(0)
}

fn mknod(task: &Task, args: &SyscallArgs) -> SyscallResult {
    make_node(
        task,
        nr::AT_FDCWD,
        args.usize(0),
        (args.u32(1), args.u32(2)),
    )
}

fn mknodat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    make_node(task, args.i32(0), args.usize(1), (args.u32(2), args.u32(3)))
}

fn make_node(task: &Task, dirfd: i32, address: usize, node: (u32, u32)) -> SyscallResult {
    let (mode, device) = node;
    let kind = node_kind(mode, Device::decode(u64::from(device)))?;
    let entry = at::entry(task, dirfd, address, |name| match name {
        LastName::Root | LastName::Dot | LastName::DotDot | LastName::Name(_) => Errno::EEXIST,
    })?;
    let is_device = matches!(kind, NewKind::CharDevice(_) | NewKind::BlockDevice(_));
    // The number of overlayfs's whiteouts needs no privilege.
    let is_whiteout = kind == NewKind::CharDevice(Device::new(0, 0));
    if is_device && !is_whiteout && !task.has_capability(Capability::Mknod) {
        return Err(Errno::EPERM.into());
    }
    edit::make(task, &entry, kind, mode)?;
    Ok(0)
}

fn node_kind(mode: u32, device: Device) -> Result<NewKind<'static>> {
    if mode & nr::S_IFMT == 0 {
        return Ok(NewKind::Regular);
    }
    match FileType::from_mode(mode).ok_or(Errno::EINVAL)? {
        FileType::Regular => Ok(NewKind::Regular),
        FileType::CharDevice => Ok(NewKind::CharDevice(device)),
        FileType::BlockDevice => Ok(NewKind::BlockDevice(device)),
        FileType::Fifo => Ok(NewKind::Fifo),
        FileType::Socket => Ok(NewKind::Socket),
        FileType::Directory => Err(Errno::EPERM),
        FileType::Symlink => Err(Errno::EINVAL),
    }
}
