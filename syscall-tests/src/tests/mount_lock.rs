//! What the less privileged can't do to mounts that others made (`man 7 mount_namespaces`, *Restrictions on mount
//! namespaces*).

use std::ffi::{CStr, CString};

use crate::case::Outcome;
use crate::support::fd;
use crate::support::file::{self, TempDir};
use crate::support::process::{self, in_child};
use crate::sys::SysResult;

cases! {
    flags_are_locked_one_by_one,
    places_are_locked,
    copies_stay_locked,
    locked_mount_is_no_new_root,
    file_system_belongs_to_who_mounted_it,
    nothing_comes_back_from_the_less_privileged,
    masked_proc_is_not_uncovered,
    read_only_proc_stays_read_only,
    masked_sysfs_is_not_uncovered,
    proc_belongs_to_its_pid_namespace,
}

const BIND_REMOUNT: u64 = libc::MS_REMOUNT | libc::MS_BIND;

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64) -> SysResult {
    sys!(SYS_mount, source, target, kind, flags, 0)
}

/// A mount namespace of one's own, from which nothing propagates.
fn own_mounts() -> Outcome {
    sys!(SYS_unshare, libc::CLONE_NEWNS)?;
    sys!(SYS_mount, 0, c"/", 0, libc::MS_REC | libc::MS_PRIVATE, 0)?;
    Ok(())
}

/// Becomes privileged in a new user namespace, with what else `flags` say, and not outside.
fn less_privileged(flags: i32) -> Outcome {
    sys!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS | flags)?;
    Ok(())
}

fn flags_are_locked_one_by_one() -> Outcome {
    let dir = TempDir::new()?;
    let target = dir.dir("target")?;
    in_child(|| {
        own_mounts()?;
        let (kept, free) = (libc::MS_NOSUID | libc::MS_NODEV, libc::MS_RDONLY);
        mount(c"none", &target, c"tmpfs", kept)?;
        less_privileged(0)?;
        let remount = |flags: u64| sys!(SYS_mount, 0, &target, 0, BIND_REMOUNT | flags, 0);
        for missing in [0, libc::MS_NOSUID, libc::MS_NODEV] {
            errno_is!(remount(missing), EPERM);
        }
        remount(kept)?;
        errno_is!(remount(kept | libc::MS_NOATIME), EPERM);
        // What was free can be forbidden, and allowed again.
        remount(kept | free | libc::MS_NOEXEC)?;
        remount(kept)?;
        Ok(())
    })
}

fn places_are_locked() -> Outcome {
    let dir = TempDir::new()?;
    let (target, other) = (dir.dir("target")?, dir.dir("other")?);
    in_child(|| {
        own_mounts()?;
        mount(c"none", &target, c"tmpfs", 0)?;
        less_privileged(0)?;
        errno_is!(sys!(SYS_umount2, &target, 0), EINVAL);
        errno_is!(sys!(SYS_umount2, &target, libc::MNT_DETACH), EINVAL);
        errno_is!(
            sys!(SYS_mount, &target, &other, 0, libc::MS_MOVE, 0),
            EINVAL
        );
        // One without the other would show what is below.
        errno_is!(
            sys!(
                SYS_mount,
                &file::cstring(dir.path()),
                &other,
                0,
                libc::MS_BIND,
                0
            ),
            EINVAL
        );
        Ok(())
    })
}

fn copies_stay_locked() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("from")?;
    let (below, to) = (dir.dir("from/below")?, dir.dir("to")?);
    in_child(|| {
        own_mounts()?;
        mount(c"none", &below, c"tmpfs", libc::MS_NOEXEC)?;
        less_privileged(0)?;
        sys!(
            SYS_mount,
            &dir.join("from"),
            &to,
            0,
            libc::MS_BIND | libc::MS_REC,
            0
        )?;
        let copy = dir.join("to/below");
        errno_is!(sys!(SYS_umount2, &copy, 0), EINVAL);
        errno_is!(sys!(SYS_mount, 0, &copy, 0, BIND_REMOUNT, 0), EPERM);
        sys!(SYS_umount2, &to, libc::MNT_DETACH)?;
        Ok(())
    })
}

fn locked_mount_is_no_new_root() -> Outcome {
    let dir = TempDir::new()?;
    let (root, own) = (dir.dir("root")?, dir.dir("own")?);
    dir.dir("own/old")?;
    in_child(|| {
        own_mounts()?;
        mount(c"none", &root, c"tmpfs", 0)?;
        sys!(SYS_mkdir, &dir.join("root/old"), 0o755)?;
        less_privileged(0)?;
        errno_is!(sys!(SYS_pivot_root, &root, &dir.join("root/old")), EINVAL);
        sys!(SYS_mount, &own, &own, 0, libc::MS_BIND, 0)?;
        sys!(SYS_pivot_root, &own, &dir.join("own/old"))?;
        Ok(())
    })
}

fn file_system_belongs_to_who_mounted_it() -> Outcome {
    let dir = TempDir::new()?;
    let (theirs, own) = (dir.dir("theirs")?, dir.dir("own")?);
    in_child(|| {
        own_mounts()?;
        mount(c"none", &theirs, c"tmpfs", 0)?;
        less_privileged(0)?;
        let remount = |target: &CStr| sys!(SYS_mount, 0, target, 0, libc::MS_REMOUNT, c"size=64k");
        errno_is!(remount(&theirs), EPERM);
        errno_is!(mount(c"none", &own, c"devtmpfs", 0), EPERM);
        mount(c"none", &own, c"tmpfs", 0)?;
        remount(&own)?;
        Ok(())
    })
}

fn device_of(path: &CStr) -> Result<u64, crate::sys::SysError> {
    Ok(file::stat(path)?.st_dev)
}

/// A shared mount's copies are slaves; what propagates to them is locked.
fn nothing_comes_back_from_the_less_privileged() -> Outcome {
    let dir = TempDir::new()?;
    let shared = dir.dir("shared")?;
    in_child(|| {
        own_mounts()?;
        mount(c"none", &shared, c"tmpfs", 0)?;
        sys!(SYS_mount, 0, &shared, 0, libc::MS_SHARED, 0)?;
        let (mine, yours) = (dir.dir("shared/mine")?, dir.dir("shared/yours")?);
        let (told, tell) = fd::pipe(libc::O_CLOEXEC)?;
        let (answered, answer) = fd::pipe(libc::O_CLOEXEC)?;
        let other = || {
            less_privileged(0)?;
            mount(c"none", &yours, c"tmpfs", 0)?;
            check!(device_of(&yours)? != device_of(&shared)?);
            answer.write(b"x")?;
            told.read(1)?;
            check!(device_of(&mine)? != device_of(&shared)?);
            errno_is!(sys!(SYS_mount, 0, &mine, 0, BIND_REMOUNT, 0), EPERM);
            Ok(())
        };
        let mut child = process::Reporting::spawn(other)?;
        answered.read(1)?;
        check_eq!(device_of(&yours)?, device_of(&shared)?);
        mount(c"none", &mine, c"tmpfs", libc::MS_NOSUID)?;
        tell.write(b"x")?;
        match child.finish(10_000)? {
            process::Waited::Reported(outcome) => outcome,
            _ => fail!("the other process did not report"),
        }
    })
}

/// A directory with a complete `kind`, the only one in a new mount namespace; those that were there are masked.
fn only_complete(
    dir: &TempDir,
    kind: &CStr,
    flags: u64,
    there: &CStr,
) -> Result<(CString, CString), crate::case::Failure> {
    own_mounts()?;
    let (complete, fresh) = (dir.dir("complete")?, dir.dir("fresh")?);
    mount(c"none", &complete, kind, flags)?;
    mount(c"/dev/null", there, c"", libc::MS_BIND)?;
    Ok((complete, fresh))
}

fn masked_proc_is_not_uncovered() -> Outcome {
    for mask in [false, true] {
        let dir = TempDir::new()?;
        in_child(|| {
            let (_, fresh) = only_complete(&dir, c"proc", 0, c"/proc/version")?;
            if mask {
                mount(
                    c"/dev/null",
                    &dir.join("complete/uptime"),
                    c"",
                    libc::MS_BIND,
                )?;
            }
            less_privileged(libc::CLONE_NEWPID)?;
            in_child(|| {
                if mask {
                    errno_is!(mount(c"none", &fresh, c"proc", 0), EPERM);
                } else {
                    mount(c"none", &fresh, c"proc", 0)?;
                }
                Ok(())
            })
        })?;
    }
    Ok(())
}

fn read_only_proc_stays_read_only() -> Outcome {
    let dir = TempDir::new()?;
    in_child(|| {
        let (complete, fresh) = only_complete(&dir, c"proc", 0, c"/proc/version")?;
        sys!(
            SYS_mount,
            0,
            &complete,
            0,
            BIND_REMOUNT | libc::MS_RDONLY,
            0
        )?;
        less_privileged(libc::CLONE_NEWPID)?;
        in_child(|| {
            errno_is!(mount(c"none", &fresh, c"proc", 0), EPERM);
            mount(c"none", &fresh, c"proc", libc::MS_RDONLY)?;
            errno_is!(sys!(SYS_mount, 0, &fresh, 0, BIND_REMOUNT, 0), EPERM);
            Ok(())
        })
    })
}

fn masked_sysfs_is_not_uncovered() -> Outcome {
    for mask in [false, true] {
        let dir = TempDir::new()?;
        in_child(|| {
            own_mounts()?;
            let (complete, fresh) = (dir.dir("complete")?, dir.dir("fresh")?);
            mount(c"none", &complete, c"sysfs", 0)?;
            mount(c"none", c"/sys/devices", c"tmpfs", 0)?;
            if mask {
                mount(c"none", &dir.join("complete/devices"), c"tmpfs", 0)?;
            }
            less_privileged(libc::CLONE_NEWNET)?;
            if mask {
                errno_is!(mount(c"none", &fresh, c"sysfs", 0), EPERM);
            } else {
                mount(c"none", &fresh, c"sysfs", 0)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn proc_belongs_to_its_pid_namespace() -> Outcome {
    let dir = TempDir::new()?;
    let target = dir.dir("target")?;
    in_child(|| {
        own_mounts()?;
        less_privileged(0)?;
        errno_is!(mount(c"none", &target, c"proc", 0), EPERM);
        errno_is!(mount(c"none", &target, c"sysfs", 0), EPERM);
        errno_is!(mount(c"none", &target, c"mqueue", 0), EPERM);
        Ok(())
    })
}
