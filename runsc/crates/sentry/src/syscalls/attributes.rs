//! Attributes: `chmod(2)`, `chown(2)`, `utimensat(2)` and their kin.

use abi::Errno;
use abi::raw::general as nr;
use abi::time::{Timespec, Timeval};

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::attr::{SetTime, Timestamp};
use crate::vfs::attributes::{self, Times};
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::path::Path;
use crate::vfs::walk::WalkFlags;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_chmod, "chmod", chmod),
    Call::full(nr::__NR_fchmod, "fchmod", fchmod),
    Call::full(nr::__NR_fchmodat, "fchmodat", fchmodat),
    Call::full(nr::__NR_fchmodat2, "fchmodat2", fchmodat2),
    Call::full(nr::__NR_chown, "chown", chown),
    Call::full(nr::__NR_lchown, "lchown", lchown),
    Call::full(nr::__NR_fchown, "fchown", fchown),
    Call::full(nr::__NR_fchownat, "fchownat", fchownat),
    Call::full(nr::__NR_utime, "utime", utime),
    Call::full(nr::__NR_utimes, "utimes", utimes),
    Call::full(nr::__NR_futimesat, "futimesat", futimesat),
    Call::full(nr::__NR_utimensat, "utimensat", utimensat),
];

/// `UTIME_NOW`
const NOW: i64 = 0x3fff_ffff;
/// `UTIME_OMIT`
const OMIT: i64 = 0x3fff_fffe;

/// An open file whose inode may be changed: not one of `O_PATH`.
fn open_path(task: &Task, fd: i32) -> Result<Path> {
    let open = task.files().get(fd)?;
    check_not_path(&open)?;
    Ok(open.path().clone())
}

fn check_not_path(open: &OpenFile) -> Result<()> {
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    Ok(())
}

fn chmod(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = at::follow(task, args.usize(0))?;
    attributes::set_mode(task, &path, args.u32(1))?;
    Ok(0)
}

fn fchmod(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = open_path(task, args.i32(0))?;
    attributes::set_mode(task, &path, args.u32(1))?;
    Ok(0)
}

fn fchmodat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = at::resolve(task, args.i32(0), args.usize(1), WalkFlags::FOLLOW)?;
    attributes::set_mode(task, &path, args.u32(2))?;
    Ok(0)
}

fn fchmodat2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let flags = at::flags_following(args.u32(3), allowed)?;
    let path = at::resolve(task, args.i32(0), args.usize(1), flags)?;
    attributes::set_mode(task, &path, args.u32(2))?;
    Ok(0)
}

/// An id, none for −1.
fn id(raw: u32) -> Option<u32> {
    (raw != u32::MAX).then_some(raw)
}

/// With ids of the caller's user namespace; EINVAL for those that it does not have.
fn set_owner(task: &Task, path: &Path, uid: u32, gid: u32) -> Result<()> {
    let user_ns = task.credentials().user_ns.clone();
    let uid = id(uid)
        .map(|uid| user_ns.user_outward(uid).ok_or(Errno::EINVAL))
        .transpose()?;
    let gid = id(gid)
        .map(|gid| user_ns.group_outward(gid).ok_or(Errno::EINVAL))
        .transpose()?;
    attributes::set_owner(task, path, uid, gid)
}

fn chown(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = at::follow(task, args.usize(0))?;
    set_owner(task, &path, args.u32(1), args.u32(2))?;
    Ok(0)
}

fn lchown(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = at::resolve(task, nr::AT_FDCWD, args.usize(0), WalkFlags::empty())?;
    set_owner(task, &path, args.u32(1), args.u32(2))?;
    Ok(0)
}

fn fchown(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = open_path(task, args.i32(0))?;
    set_owner(task, &path, args.u32(1), args.u32(2))?;
    Ok(0)
}

fn fchownat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let flags = at::flags_following(args.u32(4), allowed)?;
    let path = at::resolve(task, args.i32(0), args.usize(1), flags)?;
    set_owner(task, &path, args.u32(2), args.u32(3))?;
    Ok(0)
}

/// One time of `utimensat`; EINVAL.
fn time(value: Timespec) -> Result<Option<SetTime>> {
    match value.nsec {
        NOW => Ok(Some(SetTime::Now)),
        OMIT => Ok(None),
        nsec => {
            let nanoseconds = u32::try_from(nsec)
                .ok()
                .filter(|nsec| *nsec < 1_000_000_000)
                .ok_or(Errno::EINVAL)?;
            Ok(Some(SetTime::To(Timestamp {
                seconds: value.sec,
                nanoseconds,
            })))
        }
    }
}

fn utimensat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let times = if args.u64(2) == 0 {
        Times::NOW
    } else {
        let mm = task.mm();
        let second = args.usize(2).wrapping_add(size_of::<Timespec>());
        Times {
            access: time(mm.read_value(args.usize(2))?)?,
            modification: time(mm.read_value(second)?)?,
        }
    };
    if times == Times::NONE {
        return Ok(0);
    }
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let flags = at::flags_following(args.u32(3), allowed)?;
    let path = if args.usize(1) == 0 {
        // A NULL path is the descriptor itself (`man 2 utimensat`, *C library/kernel differences*).
        if args.u32(3) != 0 {
            return Err(Errno::EINVAL.into());
        }
        open_path(task, args.i32(0))?
    } else {
        at::resolve(task, args.i32(0), args.usize(1), flags)?
    };
    attributes::set_times(task, &path, times)?;
    Ok(0)
}

fn microseconds(task: &Task, address: usize) -> Result<Times> {
    if address == 0 {
        return Ok(Times::NOW);
    }
    let one = |at: usize| -> Result<Option<SetTime>> {
        let value: Timeval = task.mm().read_value(at)?;
        let micros = u32::try_from(value.usec)
            .ok()
            .filter(|micros| *micros < 1_000_000)
            .ok_or(Errno::EINVAL)?;
        Ok(Some(SetTime::To(Timestamp {
            seconds: value.sec,
            nanoseconds: micros * 1000,
        })))
    };
    Ok(Times {
        access: one(address)?,
        modification: one(address.wrapping_add(size_of::<Timeval>()))?,
    })
}

fn utimes(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let times = microseconds(task, args.usize(1))?;
    let path = at::follow(task, args.usize(0))?;
    attributes::set_times(task, &path, times)?;
    Ok(0)
}

fn futimesat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let times = microseconds(task, args.usize(2))?;
    let path = if args.usize(1) == 0 {
        open_path(task, args.i32(0))?
    } else {
        at::resolve(task, args.i32(0), args.usize(1), WalkFlags::FOLLOW)?
    };
    attributes::set_times(task, &path, times)?;
    Ok(0)
}

fn utime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let times = if args.u64(1) == 0 {
        Times::NOW
    } else {
        let mm = task.mm();
        let one = |at: usize| -> Result<Option<SetTime>> {
            let seconds: i64 = mm.read_value(at)?;
            Ok(Some(SetTime::To(Timestamp {
                seconds,
                nanoseconds: 0,
            })))
        };
        Times {
            access: one(args.usize(1))?,
            modification: one(args.usize(1).wrapping_add(size_of::<i64>()))?,
        }
    };
    let path = at::follow(task, args.usize(0))?;
    attributes::set_times(task, &path, times)?;
    Ok(0)
}
