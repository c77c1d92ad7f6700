//! Long operations on processes and mounts.

use super::{Endless, for_ever};
use crate::support::file::{TempDir, cstring};
use crate::support::process;
use crate::sys::SysError;

/// A timer that expires more often than anyone can count.
pub(super) fn interval_timer(begun: &dyn Fn()) -> Endless {
    let mut event = crate::sys::zeroed::<libc::sigevent>();
    event.sigev_notify = libc::SIGEV_NONE;
    let mut timer = 0_i32;
    sys!(SYS_timer_create, libc::CLOCK_MONOTONIC, &event, &mut timer)?;
    let often = [0_i64, 1, 0, 1];
    sys!(SYS_timer_settime, timer, 0, often.as_slice(), 0)?;
    let mut left = [0_i64; 4];
    for_ever(begun, || {
        sys!(SYS_timer_gettime, timer, left.as_mut_slice()).map(drop)
    })
}

/// The tracer of a process that stops before its exit, and is never let go.
pub(super) fn exit_stop(begun: &dyn Fn()) -> Endless {
    let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
    if pid == 0 {
        let _ = sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0);
        let _ = sys!(SYS_kill, process::getpid(), libc::SIGSTOP);
        process::exit_now(3);
    }
    let mut status = 0_i32;
    sys!(SYS_wait4, pid, &mut status, 0, 0)?;
    sys!(
        SYS_ptrace,
        libc::PTRACE_SETOPTIONS,
        pid,
        0,
        libc::PTRACE_O_TRACEEXIT
    )?;
    sys!(SYS_ptrace, libc::PTRACE_CONT, pid, 0, 0)?;
    sys!(SYS_wait4, pid, &mut status, 0, 0)?;
    for_ever(begun, || sys!(SYS_pause).map(drop))
}

/// A mount namespace of one's own, with an empty tree in `directory`, which is entered.
pub(crate) fn own_mounts(directory: &TempDir) -> Result<bool, SysError> {
    if sys!(SYS_unshare, libc::CLONE_NEWNS).is_err() {
        return Ok(false);
    }
    let (root, kind) = (cstring("/"), cstring("tmpfs"));
    let private = libc::MS_REC | libc::MS_PRIVATE;
    sys!(SYS_mount, 0, &root, 0, private, 0)?;
    let here = cstring(directory.path());
    sys!(SYS_mount, &kind, &here, &kind, 0, 0)?;
    sys!(SYS_chdir, &here)?;
    Ok(true)
}

/// A shared tree is bound into itself, as often as there is room for what that makes.
pub(super) fn mount_propagation(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    if !own_mounts(&directory)? {
        skip!("needs the privilege to mount");
    }
    shared_tree()?;
    let mut index = 0;
    for_ever(begun, || {
        index += 1;
        // ENOSPC once the tree is large.
        let _ = bind_into_itself(index)?;
        Ok(())
    })
}

/// Makes the shared tree `s`.
pub(crate) fn shared_tree() -> Result<(), SysError> {
    let (name, kind) = (cstring("s"), cstring("tmpfs"));
    sys!(SYS_mkdir, &name, 0o755)?;
    sys!(SYS_mount, &kind, &name, &kind, 0, 0)?;
    sys!(SYS_mount, 0, &name, 0, libc::MS_SHARED, 0).map(drop)
}

/// Binds `s` with all that is mounted there to a directory in it. The inner result is mount's.
pub(crate) fn bind_into_itself(index: u32) -> Result<Result<i64, SysError>, SysError> {
    let place = cstring(&format!("s/{index}"));
    sys!(SYS_mkdir, &place, 0o755)?;
    let flags = libc::MS_BIND | libc::MS_REC;
    Ok(sys!(SYS_mount, &cstring("s"), &place, 0, flags, 0))
}

/// The new root is above the old one.
pub(super) fn pivot_root(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    if !own_mounts(&directory)? {
        skip!("needs the privilege to mount");
    }
    leave_root()?;
    for_ever(begun, || {
        let _ = sys!(SYS_pivot_root, &cstring("."), &cstring("put"));
        Ok(())
    })
}

/// Makes a mount in the current directory the root; the current directory is outside then, with a directory `put`.
pub(crate) fn leave_root() -> Result<(), SysError> {
    let (inner, kind) = (cstring("in"), cstring("tmpfs"));
    sys!(SYS_mkdir, &inner, 0o755)?;
    sys!(SYS_mkdir, &cstring("put"), 0o755)?;
    sys!(SYS_mount, &kind, &inner, &kind, 0, 0)?;
    sys!(SYS_chroot, &inner).map(drop)
}
