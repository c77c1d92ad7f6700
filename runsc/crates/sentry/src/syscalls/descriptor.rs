//! Descriptors: `close(2)`, `close_range(2)`, `dup(2)` and its kin.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use crate::error::{Result, SyscallResult};
use crate::kernel::limits::Resource;
use crate::kernel::oom;
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::OpenFlags;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_close, "close", close),
    Call::full(nr::__NR_close_range, "close_range", close_range),
    Call::full(nr::__NR_dup, "dup", dup),
    Call::full(nr::__NR_dup2, "dup2", dup2),
    Call::full(nr::__NR_dup3, "dup3", dup3),
];

/// The caller gets a table of its own first.
const CLOSE_RANGE_UNSHARE: u32 = 2;
/// The descriptors become close-on-exec.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// `RLIMIT_NOFILE`
pub(super) fn limit(task: &Task) -> u64 {
    task.group().limits().get(Resource::OpenFiles).soft
}

/// Puts a duplicate of `fd` at the lowest free number from `lowest` on.
pub(super) fn duplicate(task: &Task, fd: i32, lowest: usize, close_on_exec: bool) -> Result<u64> {
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

fn close(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let files = task.files();
    let descriptor = files.remove(args.i32(0))?;
    files.ended(task, descriptor)?;
    Ok(0)
}

fn close_range(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (first, last, flags) = (args.u32(0), args.u32(1), args.u32(2));
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

fn dup(task: &Task, args: &SyscallArgs) -> SyscallResult {
    Ok(duplicate(task, args.i32(0), 0, false)?)
}

fn dup2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (old, new) = (args.i32(0), args.i32(1));
    if old == new {
        task.files().get(old)?;
        return Ok(u64::from(new.unsigned_abs()));
    }
    replace(task, old, new, false)
}

fn dup3(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (old, new, flags) = (args.i32(0), args.i32(1), args.open_flags(2));
    if !OpenFlags::CLOEXEC.contains(flags) || old == new {
        return Err(Errno::EINVAL.into());
    }
    replace(task, old, new, flags.contains(OpenFlags::CLOEXEC))
}

fn replace(task: &Task, old: i32, new: i32, close_on_exec: bool) -> SyscallResult {
    let files = task.files();
    let descriptor = Descriptor {
        file: files.get(old)?,
        close_on_exec,
    };
    let _room = if u64::from(new.unsigned_abs()) < limit(task) {
        oom::reserve(task, files.growth_to(new))?
    } else {
        None
    };
    if let Some(before) = files.replace(new, descriptor, limit(task))? {
        // As with close, but nobody is told (`man 2 dup2`, NOTES).
        let _ = files.ended(task, before);
    }
    Ok(u64::from(new.unsigned_abs()))
}
