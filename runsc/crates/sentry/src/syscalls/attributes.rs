//! Attributes: `chmod(2)`, `chown(2)`, `utimensat(2)` and their kin.

use abi::Errno;
use abi::raw::general as nr;
use abi::time::{Timespec, Timeval};
use mm::user_ptr::UserPtr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, Fd, Mode, UserPath};
use crate::syscalls::declare::calls;
use crate::vfs::attr::{SetTime, Timestamp};
use crate::vfs::attributes::{self, Times};
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::path::Path;
use crate::vfs::walk::WalkFlags;

calls! {
    90 chmod(path: UserPath, mode: Mode) => full ["stat::chmod_and_its_bits", "stat::chmod_errors"];
    91 fchmod(fd: Fd, mode: Mode) => full ["mqueue::descriptors_are_files", "stat::chmod_and_its_bits"];
    268 fchmodat(dirfd: DirFd, path: UserPath, mode: Mode) => full ["stat::chmod_and_its_bits"];
    452 fchmodat2(dirfd: DirFd, path: UserPath, mode: Mode, flags: u32 as Flags(file::AT))
        => full ["stat::fchmodat2_flags"];
    92 chown(path: UserPath, uid: u32 as Int, gid: u32 as Int)
        => full ["stat::chown_clears_set_id_bits", "stat::chown_and_minus_one"];
    94 lchown(path: UserPath, uid: u32 as Int, gid: u32 as Int) => full ["stat::lchown_changes_the_link"];
    93 fchown(fd: Fd, uid: u32 as Int, gid: u32 as Int)
        => full ["stat::chown_and_minus_one", "stat::chown_errors"];
    260 fchownat(
        dirfd: DirFd,
        path: UserPath,
        uid: u32 as Int,
        gid: u32 as Int,
        flags: u32 as Flags(file::AT),
    )
        => full ["stat::chown_and_minus_one", "stat::lchown_changes_the_link"];
    132 utime(path: UserPath, times: UserPtr<[i64; 2]> as In(time::utimbuf)) => full ["stat::utime_and_utimes"];
    235 utimes(path: UserPath, times: UserPtr<[Timeval; 2]> as In(time::two_timevals))
        => full ["stat::utime_and_utimes"];
    261 futimesat(dirfd: DirFd, path: UserPath, times: UserPtr<[Timeval; 2]> as In(time::two_timevals)) => full [
            "forms::times_relative_to_a_directory",
        ];
    280 utimensat(
        dirfd: DirFd,
        path: UserPath,
        times: UserPtr<[Timespec; 2]> as In(time::file_times),
        flags: u32 as Flags(file::AT),
    )
        => full ["stat::utimensat_special_values", "stat::utimensat_permissions"];
}

/// `UTIME_NOW`
const NOW: i64 = 0x3fff_ffff;
/// `UTIME_OMIT`
const OMIT: i64 = 0x3fff_fffe;

/// An open file whose inode may be changed: not one of `O_PATH`.
fn open_path(task: &Task, fd: impl Into<i32>) -> Result<Path> {
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

fn chmod(task: &Task, path: UserPath, mode: Mode) -> SyscallResult {
    let path = at::follow(task, path)?;
    attributes::set_mode(task, &path, mode.0)?;
    Ok(0)
}

fn fchmod(task: &Task, fd: Fd, mode: Mode) -> SyscallResult {
    let path = open_path(task, fd)?;
    attributes::set_mode(task, &path, mode.0)?;
    Ok(0)
}

fn fchmodat(task: &Task, dirfd: DirFd, path: UserPath, mode: Mode) -> SyscallResult {
    let path = at::resolve(task, dirfd, path, WalkFlags::FOLLOW)?;
    attributes::set_mode(task, &path, mode.0)?;
    Ok(0)
}

fn fchmodat2(task: &Task, dirfd: DirFd, path: UserPath, mode: Mode, flags: u32) -> SyscallResult {
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let flags = at::flags_following(flags, allowed)?;
    let path = at::resolve(task, dirfd, path, flags)?;
    attributes::set_mode(task, &path, mode.0)?;
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

fn chown(task: &Task, path: UserPath, uid: u32, gid: u32) -> SyscallResult {
    let path = at::follow(task, path)?;
    set_owner(task, &path, uid, gid)?;
    Ok(0)
}

fn lchown(task: &Task, path: UserPath, uid: u32, gid: u32) -> SyscallResult {
    let path = at::resolve(task, DirFd::CWD, path, WalkFlags::empty())?;
    set_owner(task, &path, uid, gid)?;
    Ok(0)
}

fn fchown(task: &Task, fd: Fd, uid: u32, gid: u32) -> SyscallResult {
    let path = open_path(task, fd)?;
    set_owner(task, &path, uid, gid)?;
    Ok(0)
}

fn fchownat(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    uid: u32,
    gid: u32,
    flags: u32,
) -> SyscallResult {
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let flags = at::flags_following(flags, allowed)?;
    let path = at::resolve(task, dirfd, path, flags)?;
    set_owner(task, &path, uid, gid)?;
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

fn utimensat(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    times: UserPtr<[Timespec; 2]>,
    flags: u32,
) -> SyscallResult {
    let times = if times.is_null() {
        Times::NOW
    } else {
        let [access, modification] = times.read(&task.mm())?;
        Times {
            access: time(access)?,
            modification: time(modification)?,
        }
    };
    if times == Times::NONE {
        return Ok(0);
    }
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let walk = at::flags_following(flags, allowed)?;
    let path = if path.is_null() {
        // A NULL path is the descriptor itself (`man 2 utimensat`, *C library/kernel differences*).
        if flags != 0 {
            return Err(Errno::EINVAL.into());
        }
        open_path(task, dirfd)?
    } else {
        at::resolve(task, dirfd, path, walk)?
    };
    attributes::set_times(task, &path, times)?;
    Ok(0)
}

fn microseconds(task: &Task, times: UserPtr<[Timeval; 2]>) -> Result<Times> {
    if times.is_null() {
        return Ok(Times::NOW);
    }
    let one = |value: Timeval| -> Result<Option<SetTime>> {
        let micros = u32::try_from(value.usec)
            .ok()
            .filter(|micros| *micros < 1_000_000)
            .ok_or(Errno::EINVAL)?;
        Ok(Some(SetTime::To(Timestamp {
            seconds: value.sec,
            nanoseconds: micros * 1000,
        })))
    };
    let [access, modification] = times.read(&task.mm())?;
    Ok(Times {
        access: one(access)?,
        modification: one(modification)?,
    })
}

fn utimes(task: &Task, path: UserPath, times: UserPtr<[Timeval; 2]>) -> SyscallResult {
    let times = microseconds(task, times)?;
    let path = at::follow(task, path)?;
    attributes::set_times(task, &path, times)?;
    Ok(0)
}

fn futimesat(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    times: UserPtr<[Timeval; 2]>,
) -> SyscallResult {
    let times = microseconds(task, times)?;
    let path = if path.is_null() {
        open_path(task, dirfd)?
    } else {
        at::resolve(task, dirfd, path, WalkFlags::FOLLOW)?
    };
    attributes::set_times(task, &path, times)?;
    Ok(0)
}

fn utime(task: &Task, path: UserPath, times: UserPtr<[i64; 2]>) -> SyscallResult {
    let times = if times.is_null() {
        Times::NOW
    } else {
        let one = |seconds: i64| {
            Some(SetTime::To(Timestamp {
                seconds,
                nanoseconds: 0,
            }))
        };
        let [access, modification] = times.read(&task.mm())?;
        Times {
            access: one(access),
            modification: one(modification),
        }
    };
    let path = at::follow(task, path)?;
    attributes::set_times(task, &path, times)?;
    Ok(0)
}
