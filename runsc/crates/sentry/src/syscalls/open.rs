//! `open(2)`, `openat(2)`, `openat2(2)`, `creat(2)`.

use abi::Errno;
use abi::fs::OpenHow as UserHow;
use abi::raw::general as nr;
use mm::user_ptr::UserPtr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, Mode, UserPath};
use crate::syscalls::declare::calls;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::OpenFlags;
use crate::vfs::file_count;
use crate::vfs::open::{self, OpenHow};
use crate::vfs::walk::WalkFlags;

calls! {
    2 open(path: UserPath, flags: OpenFlags, mode: u32 as Before(file::open_mode))
        => full by open_ ["openat::files_that_are_opened_are_large", "openat::bad_path_address_is_efault"];
    257 openat(dirfd: DirFd, path: UserPath, flags: OpenFlags, mode: u32 as Before(file::open_mode))
        => full ["link::rename_moves_an_open_directory", "openat::bad_path_address_is_efault"];
    437 openat2(dirfd: DirFd, path: UserPath, how: UserPtr<UserHow> as In(file::open_how), size: usize)
        => full ["openat::openat2_checks_its_argument", "openat::openat2_resolve_flags"];
    85 creat(path: UserPath, mode: Mode) => full ["openat::creat_on_a_directory_is_eisdir"];
}

fn open_(task: &Task, path: UserPath, flags: OpenFlags, mode: u32) -> SyscallResult {
    let how = how(flags, mode);
    open_at(task, DirFd::CWD, path, &how)
}

fn creat(task: &Task, path: UserPath, mode: Mode) -> SyscallResult {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    open_at(task, DirFd::CWD, path, &how(flags, mode.0))
}

fn openat(task: &Task, dirfd: DirFd, path: UserPath, flags: OpenFlags, mode: u32) -> SyscallResult {
    let how = how(flags, mode);
    open_at(task, dirfd, path, &how)
}

fn openat2(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    how: UserPtr<UserHow>,
    size: usize,
) -> SyscallResult {
    let how = strict_how(&user_how(task, how, size)?)?;
    open_at(task, dirfd, path, &how)
}

/// Unknown flags of the old calls are ignored (`man 2 open`).
fn how(flags: OpenFlags, mode: u32) -> OpenHow {
    OpenHow {
        // On 64-bit machines every file is opened as a large one.
        flags: OpenFlags::from_bits_truncate(flags.bits()) | OpenFlags::LARGEFILE,
        mode: mode & 0o7777,
        resolve: WalkFlags::empty(),
    }
}

/// `struct open_how` of any size that starts as ours does; E2BIG if more is set.
fn user_how(task: &Task, how: UserPtr<UserHow>, size: usize) -> Result<UserHow> {
    const SIZE: usize = size_of::<UserHow>();
    if size < SIZE {
        return Err(Errno::EINVAL);
    }
    if size > abi::PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mm = task.mm();
    let mut tail = vec![0; size - SIZE];
    let tail_at = how.address().checked_add(SIZE).ok_or(Errno::EFAULT)?;
    mm.read_bytes(tail_at, &mut tail)?;
    if tail.iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    how.read(&mm)
}

fn strict_how(user: &UserHow) -> Result<OpenHow> {
    let flags = u32::try_from(user.flags)
        .ok()
        .and_then(OpenFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    let makes = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE_BIT);
    let mode = u32::try_from(user.mode).map_err(|_| Errno::EINVAL)?;
    if mode & !0o7777 != 0 || (mode != 0 && !makes) {
        return Err(Errno::EINVAL);
    }
    let with_path =
        OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
    if flags.contains(OpenFlags::PATH) && !with_path.contains(flags) {
        return Err(Errno::EINVAL);
    }
    Ok(OpenHow {
        flags,
        mode,
        resolve: resolve_flags(user.resolve)?,
    })
}

fn resolve_flags(resolve: u64) -> Result<WalkFlags> {
    let table = [
        (nr::RESOLVE_NO_XDEV, WalkFlags::NO_XDEV),
        (nr::RESOLVE_NO_MAGICLINKS, WalkFlags::NO_MAGICLINKS),
        (
            nr::RESOLVE_NO_SYMLINKS,
            WalkFlags::NO_SYMLINKS.union(WalkFlags::NO_MAGICLINKS),
        ),
        (nr::RESOLVE_BENEATH, WalkFlags::BENEATH),
        (nr::RESOLVE_IN_ROOT, WalkFlags::IN_ROOT),
    ];
    let mut rest = resolve;
    let mut flags = WalkFlags::empty();
    for (bit, flag) in table {
        if resolve & u64::from(bit) != 0 {
            flags |= flag;
            rest &= !u64::from(bit);
        }
    }
    if rest & u64::from(nr::RESOLVE_CACHED) != 0 {
        // Nothing is promised to be cached: the caller tries again without it.
        return Err(Errno::EAGAIN);
    }
    if rest != 0 || flags.contains(WalkFlags::BENEATH | WalkFlags::IN_ROOT) {
        return Err(Errno::EINVAL);
    }
    Ok(flags)
}

fn open_at(task: &Task, dirfd: DirFd, path: UserPath, how: &OpenHow) -> SyscallResult {
    let text = path.read(task)?;
    let start = if how.resolve.contains(WalkFlags::IN_ROOT) {
        at::start(task, dirfd, b"")?
    } else {
        at::start(task, dirfd, &text)?
    };
    let limit = task.group().limits().get(Resource::OpenFiles).soft;
    let files = task.files();
    files.check_room(limit)?;
    file_count::check(task)?;
    let file = open::open(task, start.as_ref(), &text, how)?;
    file_count::count(task, &file)?;
    let descriptor = Descriptor {
        file,
        close_on_exec: how.flags.contains(OpenFlags::CLOEXEC),
    };
    let fd = files.insert(descriptor, 0, limit)?;
    Ok(u64::from(fd.unsigned_abs()))
}
