//! Size and storage: `truncate(2)`, `fallocate(2)`, `fsync(2)`, `posix_fadvise(2)` and their kin.

use abi::Errno;
use abi::raw::general as nr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::limits::{INFINITY, Resource};
use crate::kernel::oom;
use crate::kernel::task::Task;
use crate::syscalls::args::{Fd, UserPath};
use crate::syscalls::declare::calls;
use crate::vfs::attr::{FileType, SetAttr};
use crate::vfs::attributes;
use crate::vfs::file::OpenFlags;
use crate::vfs::notify::{self, FileEvent};
use crate::vfs::read_write;

calls! {
    76 truncate(path: UserPath, len: i64 as Size)
        => full ["truncate::truncate_cuts_and_extends", "truncate::truncate_errors"];
    77 ftruncate(fd: Fd, len: i64) => full ["truncate::truncate_errors"];
    285 fallocate(fd: Fd, mode: u32 as Flags(file::FALLOCATE), offset: i64, len: i64)
        => partial("modes that move data depend on the file system, as on Linux") [
            "truncate::fallocate_errors",
        ];
    74 fsync(fd: Fd) => full ["pipe::pipe_status_is_a_fifo", "stat::blocks_and_sizes"];
    75 fdatasync(fd: Fd) => full by fsync ["truncate::sync_calls"];
    277 sync_file_range(fd: Fd, offset: i64, len: i64, flags: u32 as Flags(file::SYNC_RANGE))
        => partial("writes the whole file") ["truncate::sync_calls"];
    306 syncfs(fd: Fd) => full ["truncate::whole_file_systems_are_synced", "truncate::sync_calls"];
    162 sync() => full ["truncate::whole_file_systems_are_synced"];
    221 fadvise64(fd: Fd, start: i64, len: i64 as Size, advice: u32 as OneOf(file::FADVISE))
        => hint by fadvise ["truncate::fadvise_and_readahead"];
    187 readahead(fd: Fd, start: i64, len: usize) => hint;
}

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
        read_write::send_file_size_signal(task);
        return Err(Errno::EFBIG);
    }
    Ok(())
}

fn truncate(task: &Task, path: UserPath, len: i64) -> SyscallResult {
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    let path = at::follow(task, path)?;
    attributes::check_truncate(task, &path)?;
    check_file_size(task, len)?;
    attributes::truncate(task, &path, len)?;
    Ok(0)
}

fn ftruncate(task: &Task, fd: Fd, len: i64) -> SyscallResult {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    let regular = open.inode().kind()? == FileType::Regular;
    if !regular || !open.flags().writable() {
        return Err(Errno::EINVAL.into());
    }
    let len = length(task, len)?;
    attributes::set_size(task, open.inode(), len)?;
    notify::happened(open.path(), FileEvent::MODIFY);
    Ok(0)
}

fn fallocate(task: &Task, fd: Fd, mode: u32, offset: i64, len: i64) -> SyscallResult {
    let open = task.files().get(fd)?;
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

fn fsync(task: &Task, fd: Fd) -> SyscallResult {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    open.file().sync()?;
    Ok(0)
}

fn sync_file_range(task: &Task, fd: Fd, offset: i64, len: i64, flags: u32) -> SyscallResult {
    let open = task.files().get(fd)?;
    let fits = offset >= 0 && len >= 0 && offset.checked_add(len).is_some();
    if !fits || flags & !7 != 0 {
        return Err(Errno::EINVAL.into());
    }
    match open.inode().kind()? {
        FileType::Regular | FileType::BlockDevice | FileType::Directory | FileType::Symlink => {}
        _ => return Err(Errno::ESPIPE.into()),
    }
    if flags != 0 {
        open.file().sync()?;
    }
    Ok(0)
}

fn syncfs(task: &Task, fd: Fd) -> SyscallResult {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    open.path().mount.fs.sync()?;
    Ok(0)
}

fn sync(task: &Task) -> SyscallResult {
    let root = task.fs().root();
    if let Some(namespace) = root.mount.namespace() {
        for mount in namespace.mounts() {
            // `sync` never fails (`man 2 sync`).
            let _ = mount.fs.sync();
        }
    }
    Ok(0)
}

fn fadvise(task: &Task, fd: Fd, _start: i64, len: i64, advice: u32) -> SyscallResult {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    if matches!(open.inode().kind()?, FileType::Fifo) {
        return Err(Errno::ESPIPE.into());
    }
    if len < 0 || advice > 5 {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}

fn readahead(task: &Task, fd: Fd, start: i64, _len: usize) -> SyscallResult {
    let open = task.files().get(fd)?;
    if !open.flags().readable() {
        return Err(Errno::EBADF.into());
    }
    let regular = open.inode().kind()? == FileType::Regular;
    if !regular || start < 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}
