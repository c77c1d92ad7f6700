//! Descriptors: `close(2)`, `close_range(2)`, `dup(2)` and its kin.

use std::sync::Arc;

use abi::Errno;

use crate::error::{Result, SyscallResult};
use crate::kernel::limits::Resource;
use crate::kernel::oom;
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::OpenFlags;

calls! {
    3 close(fd: Fd)
        => full [
            "read::closed_descriptor_is_ebadf",
            "lock::record_lock_is_not_taken_through_a_closed_descriptor",
        ];
    436 close_range(first: u32, last: u32, flags: u32 as Flags(file::CLOSE_RANGE))
        => full ["dup::close_range_closes", "dup::close_range_cloexec"];
    32 dup(fd: Fd) => full ["dup::dup_takes_the_lowest_number", "dup::dup_errors"];
    33 dup2(old: Fd, new: Fd) => full ["dup::dup2_replaces", "dup::dup_errors"];
    292 dup3(old: Fd, new: Fd, flags: OpenFlags as Flags(file::OPEN)) => full ["dup::dup3_flags"];
}

/// The caller gets a table of its own first.
const CLOSE_RANGE_UNSHARE: u32 = 2;
/// The descriptors become close-on-exec.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// `RLIMIT_NOFILE`
pub(super) fn limit(task: &Task) -> u64 {
    task.group().limits().get(Resource::OpenFiles).soft
}

/// Puts a duplicate of `fd` at the lowest free number from `lowest` on.
pub(super) fn duplicate(task: &Task, fd: Fd, lowest: usize, close_on_exec: bool) -> Result<u64> {
    let files = task.files();
    let descriptor = Descriptor {
        file: files.get(fd)?,
        close_on_exec,
    };
    let growth = i32::try_from(lowest).map_or(0, |lowest| files.growth_to(lowest));
    let _room = oom::reserve(task, growth)?;
    let new = files.insert(descriptor, lowest, limit(task))?;
    Ok(u64::from(new.unsigned_abs()))
}

fn close(task: &Task, fd: Fd) -> SyscallResult {
    let files = task.files();
    let descriptor = files.remove(fd)?;
    files.ended(task, descriptor)?;
    Ok(0)
}

fn close_range(task: &Task, first: u32, last: u32, flags: u32) -> SyscallResult {
    let known = CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC;
    if first > last || flags & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        let own = Arc::new(task.files().fork());
        let shared = std::mem::replace(&mut *task.files.lock(), own);
        drop(shared);
    }
    let files = task.files();
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        files.set_range_close_on_exec(first, last);
        return Ok(0);
    }
    for descriptor in files.remove_range(first, last) {
        // Errors of single descriptors are not reported (`man 2 close_range`).
        let _ = files.ended(task, descriptor);
    }
    Ok(0)
}

fn dup(task: &Task, fd: Fd) -> SyscallResult {
    Ok(duplicate(task, fd, 0, false)?)
}

fn dup2(task: &Task, old: Fd, new: Fd) -> SyscallResult {
    if old == new {
        task.files().get(old)?;
        return Ok(u64::from(new.0.unsigned_abs()));
    }
    replace(task, old, new, false)
}

fn dup3(task: &Task, old: Fd, new: Fd, flags: OpenFlags) -> SyscallResult {
    if !OpenFlags::CLOEXEC.contains(flags) || old == new {
        return Err(Errno::EINVAL.into());
    }
    replace(task, old, new, flags.contains(OpenFlags::CLOEXEC))
}

fn replace(task: &Task, old: Fd, new: Fd, close_on_exec: bool) -> SyscallResult {
    let files = task.files();
    let descriptor = Descriptor {
        file: files.get(old)?,
        close_on_exec,
    };
    let _room = if u64::from(new.0.unsigned_abs()) < limit(task) {
        oom::reserve(task, files.growth_to(new.0))?
    } else {
        None
    };
    if let Some(before) = files.replace(new.0, descriptor, limit(task))? {
        // As with close, but nobody is told (`man 2 dup2`, NOTES).
        let _ = files.ended(task, before);
    }
    Ok(u64::from(new.0.unsigned_abs()))
}
