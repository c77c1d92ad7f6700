//! Size and storage: `truncate(2)`, `fallocate(2)`, `fsync(2)`, `posix_fadvise(2)` and their kin.

use abi::Errno;
use abi::raw::general as nr;

use super::{at, io};
use crate::error::{Result, SyscallResult};
use crate::kernel::limits::{INFINITY, Resource};
use crate::kernel::oom;
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::attr::{FileType, SetAttr};
use crate::vfs::attributes;
use crate::vfs::file::OpenFlags;
use crate::vfs::notify::{self, FileEvent};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_truncate, "truncate", truncate),
    Call::full(nr::__NR_ftruncate, "ftruncate", ftruncate),
    Call::partial(
        nr::__NR_fallocate,
        "fallocate",
        fallocate,
        "modes that move data depend on the file system, as on Linux",
    ),
    Call::full(nr::__NR_fsync, "fsync", fsync),
    Call::full(nr::__NR_fdatasync, "fdatasync", fsync),
    Call::partial(
        nr::__NR_sync_file_range,
        "sync_file_range",
        sync_file_range,
        "writes the whole file",
    ),
    Call::full(nr::__NR_syncfs, "syncfs", syncfs),
    Call::full(nr::__NR_sync, "sync", sync),
    Call::hint(nr::__NR_fadvise64, "fadvise64", fadvise),
    Call::hint(nr::__NR_readahead, "readahead", readahead),
];

/// A length that `RLIMIT_FSIZE` allows; EINVAL if negative, EFBIG and SIGXFSZ.
fn length(task: &Task, raw: i64) -> Result<u64> {
    u64::try_from(raw)
        .map_err(|_| Errno::EINVAL)
        .and_then(|len| {
            check_file_size(task, len)?;
            Ok(len)
        })
}

fn check_file_size(task: &Task, len: u64) -> Result<()> {
    let limit = task.group().limits().get(Resource::FileSize).soft;
    if limit != INFINITY && len > limit {
        io::send_file_size_signal(task);
        return Err(Errno::EFBIG);
    }
    Ok(())
}

fn truncate(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let len = u64::try_from(args.i64(1)).map_err(|_| Errno::EINVAL)?;
    let path = at::follow(task, args.usize(0))?;
    attributes::check_truncate(task, &path)?;
    check_file_size(task, len)?;
    attributes::truncate(task, &path, len)?;
    Ok(0)
}

fn ftruncate(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    let regular = open.inode().kind()? == FileType::Regular;
    if !regular || !open.flags().writable() {
        return Err(Errno::EINVAL.into());
    }
    let len = length(task, args.i64(1))?;
    attributes::set_size(task, open.inode(), len)?;
    notify::happened(open.path(), FileEvent::MODIFY);
    Ok(0)
}

fn fallocate(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    let (mode, offset, len) = (args.u32(1), args.i64(2), args.i64(3));
    let (Ok(offset), Ok(len)) = (u64::try_from(offset), u64::try_from(len)) else {
        return Err(Errno::EINVAL.into());
    };
    if len == 0 {
        return Err(Errno::EINVAL.into());
    }
    check_fallocate_mode(mode)?;
    if !open.flags().writable() {
        return Err(Errno::EBADF.into());
    }
    match open.inode().kind()? {
        FileType::Fifo => return Err(Errno::ESPIPE.into()),
        FileType::Directory => return Err(Errno::EISDIR.into()),
        FileType::Regular => {}
        _ => return Err(Errno::ENODEV.into()),
    }
    let end = offset
        .checked_add(len)
        .filter(|end| i64::try_from(*end).is_ok())
        .ok_or(Errno::EFBIG)?;
    if mode & nr::FALLOC_FL_KEEP_SIZE == 0 {
        check_file_size(task, end)?;
    }
    let permissions = attributes::permissions_after_write(task, &open.inode().attr()?);
    oom::with_room(task, || open.file().allocate(mode, offset, len))?;
    if permissions.is_some() {
        open.inode().set_attr(&SetAttr {
            permissions,
            ..SetAttr::default()
        })?;
    }
    Ok(0)
}

fn check_fallocate_mode(mode: u32) -> Result<()> {
    let keep = nr::FALLOC_FL_KEEP_SIZE;
    match mode & !keep {
        0 | nr::FALLOC_FL_ZERO_RANGE | nr::FALLOC_FL_UNSHARE_RANGE => Ok(()),
        nr::FALLOC_FL_PUNCH_HOLE if mode & keep != 0 => Ok(()),
        nr::FALLOC_FL_COLLAPSE_RANGE | nr::FALLOC_FL_INSERT_RANGE if mode & keep == 0 => Ok(()),
        nr::FALLOC_FL_COLLAPSE_RANGE | nr::FALLOC_FL_INSERT_RANGE => Err(Errno::EINVAL),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn fsync(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    open.file().sync()?;
    Ok(0)
}

fn sync_file_range(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    let (offset, len) = (args.i64(1), args.i64(2));
    let fits = offset >= 0 && len >= 0 && offset.checked_add(len).is_some();
    if !fits || args.u32(3) & !7 != 0 {
        return Err(Errno::EINVAL.into());
    }
    match open.inode().kind()? {
        FileType::Regular | FileType::BlockDevice | FileType::Directory | FileType::Symlink => {}
        _ => return Err(Errno::ESPIPE.into()),
    }
    if args.u32(3) != 0 {
        open.file().sync()?;
    }
    Ok(0)
}

fn syncfs(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    open.path().mount.fs.sync()?;
    Ok(0)
}

fn sync(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    let root = task.fs().root();
    if let Some(namespace) = root.mount.namespace() {
        for mount in namespace.mounts() {
            // `sync` never fails (`man 2 sync`).
            let _ = mount.fs.sync();
        }
    }
    Ok(0)
}

fn fadvise(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    if matches!(open.inode().kind()?, FileType::Fifo) {
        return Err(Errno::ESPIPE.into());
    }
    if args.i64(2) < 0 || args.u32(3) > 5 {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}

fn readahead(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    if !open.flags().readable() {
        return Err(Errno::EBADF.into());
    }
    let regular = open.inode().kind()? == FileType::Regular;
    if !regular || args.i64(1) < 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}
