//! Names: `link(2)`, `unlink(2)`, `symlink(2)`, `rename(2)`, `readlink(2)`, `mknod(2)` and their kin.

use abi::Errno;
use abi::raw::general as nr;
use mm::user_ptr::UserPtr;

use super::{at, directory};
use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, UserPath};
use crate::syscalls::declare::calls;
use crate::vfs::attr::{Device, FileType};
use crate::vfs::edit;
use crate::vfs::inode::{NewKind, RenameFlags};
use crate::vfs::walk::{LastName, PATH_MAX, Resolver, WalkFlags};

calls! {
    86 link(old: UserPath, new: UserPath) => full ["link::link_errors", "link::hard_link_shares_the_inode"];
    265 linkat(
        old_dirfd: DirFd,
        old: UserPath,
        new_dirfd: DirFd,
        new: UserPath,
        flags: u32 as Flags(file::AT),
    )
        => full ["link::linkat_follows_only_when_asked", "link::link_errors"];
    87 unlink(path: UserPath) => full ["link::unlink_errors", "link::unlinked_open_file_lives_on"];
    263 unlinkat(dirfd: DirFd, path: UserPath, flags: u32 as Flags(file::AT))
        => full ["link::unlinkat_removes_directories_when_asked", "link::unlink_errors"];
    88 symlink(target: UserPath, path: UserPath)
        => full ["path::empty_symlink_target_is_refused", "openat::nofollow_on_a_symlink_is_eloop"];
    266 symlinkat(target: UserPath, dirfd: DirFd, path: UserPath) => full [
            "forms::names_relative_to_a_directory",
        ];
    89 readlink(path: UserPath, buffer: UserPtr<u8> as Filled, size: i32 as Size)
        => full ["path::readlink_errors", "path::readlink_cuts_silently"];
    267 readlinkat(dirfd: DirFd, path: UserPath, buffer: UserPtr<u8> as Filled, size: i32 as Size)
        => full ["openat::path_nofollow_opens_the_symlink_itself"];
    82 rename(old: UserPath, new: UserPath)
        => full ["link::rename_into_its_own_descendant_is_einval", "link::rename_errors"];
    264 renameat(old_dirfd: DirFd, old: UserPath, new_dirfd: DirFd, new: UserPath) => full [
            "forms::names_relative_to_a_directory",
        ];
    316 renameat2(
        old_dirfd: DirFd,
        old: UserPath,
        new_dirfd: DirFd,
        new: UserPath,
        flags: u32 as Flags(file::RENAME),
    )
        => full ["link::rename_flags_are_checked", "link::rename_exchange"];
    133 mknod(path: UserPath, mode: u32 as Before(file::node_mode), device: u32 as Before(file::device))
        => full ["link::mknod_kinds", "link::mknod_of_a_device_needs_the_capability"];
    259 mknodat(
        dirfd: DirFd,
        path: UserPath,
        mode: u32 as Before(file::node_mode),
        device: u32 as Before(file::device),
    )
        => full ["forms::names_relative_to_a_directory"];
}

fn link(task: &Task, old: UserPath, new: UserPath) -> SyscallResult {
    let cwd = DirFd::CWD;
    link_at(task, (cwd, old), (cwd, new), 0)
}

fn linkat(
    task: &Task,
    old_dirfd: DirFd,
    old: UserPath,
    new_dirfd: DirFd,
    new: UserPath,
    flags: u32,
) -> SyscallResult {
    let (old, new) = ((old_dirfd, old), (new_dirfd, new));
    link_at(task, old, new, flags)
}

fn link_at(
    task: &Task,
    old: (DirFd, UserPath),
    new: (DirFd, UserPath),
    flags: u32,
) -> SyscallResult {
    let flags = at::flags_not_following(flags)?;
    let text = old.1.read(task)?;
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

fn unlink(task: &Task, path: UserPath) -> SyscallResult {
    remove(task, DirFd::CWD, path)
}

fn unlinkat(task: &Task, dirfd: DirFd, path: UserPath, flags: u32) -> SyscallResult {
    match flags {
        0 => remove(task, dirfd, path),
        nr::AT_REMOVEDIR => directory::remove_directory(task, dirfd, path),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn remove(task: &Task, dirfd: DirFd, path: UserPath) -> SyscallResult {
    let entry = at::entry(task, dirfd, path, |_| Errno::EISDIR)?;
    edit::unlink(task, &entry)?;
    Ok(0)
}

fn symlink(task: &Task, target: UserPath, path: UserPath) -> SyscallResult {
    make_symlink(task, target, DirFd::CWD, path)
}

fn symlinkat(task: &Task, target: UserPath, dirfd: DirFd, path: UserPath) -> SyscallResult {
    make_symlink(task, target, dirfd, path)
}

fn make_symlink(task: &Task, target: UserPath, dirfd: DirFd, path: UserPath) -> SyscallResult {
    let target = target.read(task)?;
    if target.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let entry = at::entry(task, dirfd, path, |_| Errno::EEXIST)?;
    edit::make(task, &entry, NewKind::Symlink(&target), 0o777)?;
    Ok(0)
}

fn readlink(task: &Task, path: UserPath, buffer: UserPtr<u8>, size: i32) -> SyscallResult {
    let buffer = (buffer.address(), size);
    read_link(task, DirFd::CWD, path, buffer)
}

fn readlinkat(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    buffer: UserPtr<u8>,
    size: i32,
) -> SyscallResult {
    let buffer = (buffer.address(), size);
    read_link(task, dirfd, path, buffer)
}

fn read_link(task: &Task, dirfd: DirFd, path: UserPath, buffer: (usize, i32)) -> SyscallResult {
    let room = usize::try_from(buffer.1).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Err(Errno::EINVAL.into());
    }
    let text = path.read(task)?;
    let start = at::start(task, dirfd, &text)?;
    let path = Resolver::of(task, start.as_ref()).resolve(&text, WalkFlags::EMPTY)?;
    if text.is_empty() && dirfd == DirFd::CWD {
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

fn rename(task: &Task, old: UserPath, new: UserPath) -> SyscallResult {
    let cwd = DirFd::CWD;
    rename_at(task, (cwd, old), (cwd, new), 0)
}

fn renameat(
    task: &Task,
    old_dirfd: DirFd,
    old: UserPath,
    new_dirfd: DirFd,
    new: UserPath,
) -> SyscallResult {
    let (old, new) = ((old_dirfd, old), (new_dirfd, new));
    rename_at(task, old, new, 0)
}

fn renameat2(
    task: &Task,
    old_dirfd: DirFd,
    old: UserPath,
    new_dirfd: DirFd,
    new: UserPath,
    flags: u32,
) -> SyscallResult {
    let (old, new) = ((old_dirfd, old), (new_dirfd, new));
    rename_at(task, old, new, flags)
}

fn rename_at(
    task: &Task,
    old: (DirFd, UserPath),
    new: (DirFd, UserPath),
    flags: u32,
) -> SyscallResult {
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

fn mknod(task: &Task, path: UserPath, mode: u32, device: u32) -> SyscallResult {
    make_node(task, DirFd::CWD, path, (mode, device))
}

fn mknodat(task: &Task, dirfd: DirFd, path: UserPath, mode: u32, device: u32) -> SyscallResult {
    make_node(task, dirfd, path, (mode, device))
}

fn make_node(task: &Task, dirfd: DirFd, path: UserPath, node: (u32, u32)) -> SyscallResult {
    let (mode, device) = node;
    let kind = node_kind(mode, Device::decode(u64::from(device)))?;
    let entry = at::entry(task, dirfd, path, |name| match name {
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
