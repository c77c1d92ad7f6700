//! Giving up privilege: ids, capabilities, namespaces.

#![expect(
    unsafe_code,
    reason = "setres*id for the process, unshare and mount_setattr have no safe form"
)]

use std::os::fd::{AsFd, AsRawFd};

use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::spawn::Namespaces;
use crate::{Errno, Result, errno};

/// Becomes this user and group, without supplementary groups. Other threads are not changed: to be
/// called while there is one.
///
/// # Errors
/// `EPERM` without the capability; where setgroups is denied (`man 7 user_namespaces`), the groups
/// are left as they are.
pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    // SAFETY: the calls take integers and a null pointer with length 0.
    unsafe {
        libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>());
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))
    }
}

/// Keeps exactly these capabilities in this thread's effective and permitted sets, none in the
/// others, and removes all others from the bounding set.
///
/// # Errors
/// `EPERM` when one of them is not permitted now.
pub fn limit_capabilities(keep: CapabilitySet) -> Result<()> {
    let _ = rustix::thread::clear_ambient_capability_set();
    for number in 0..64u32 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if !keep.contains(one) {
            // SAFETY: PR_CAPBSET_DROP takes an integer; an unknown capability is EINVAL.
            unsafe {
                libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0);
            }
        }
    }
    let sets = CapabilitySets {
        effective: keep,
        permitted: keep,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(errno)
}

/// The capabilities that this thread may use.
#[must_use]
pub fn permitted_capabilities() -> CapabilitySet {
    rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted)
}

/// Leaves namespaces for new ones (`man 2 unshare`).
///
/// # Errors
/// Those of unshare.
pub fn unshare(namespaces: Namespaces) -> Result<()> {
    // SAFETY: no flag of `Namespaces` unshares memory or the descriptor table.
    check(libc::c_long::from(unsafe {
        libc::unshare(namespaces.bits())
    }))
}

/// Enters the namespace behind a descriptor (`man 2 setns`).
///
/// # Errors
/// Those of setns.
pub fn enter(namespace: impl AsFd, kind: Namespaces) -> Result<()> {
    // SAFETY: setns takes integers.
    check(libc::c_long::from(unsafe {
        libc::setns(namespace.as_fd().as_raw_fd(), kind.bits())
    }))
}

/// Makes a detached or attached tree of mounts read-only, all of it (`man 2 mount_setattr`).
///
/// # Errors
/// Those of `mount_setattr`.
pub fn make_tree_read_only(tree: impl AsFd) -> Result<()> {
    set_attributes(tree, libc::MOUNT_ATTR_RDONLY)
}

/// Makes no device openable through such a tree.
///
/// # Errors
/// Those of `mount_setattr`.
pub fn make_tree_without_devices(tree: impl AsFd) -> Result<()> {
    set_attributes(tree, libc::MOUNT_ATTR_NODEV)
}

fn set_attributes(tree: impl AsFd, set: u64) -> Result<()> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: `attributes` is a struct mount_attr of the size given, alive during the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Kills this process when the thread that made it ends; 0 turns that off.
pub fn set_parent_death_signal(signal: i32) {
    // SAFETY: PR_SET_PDEATHSIG takes an integer.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0);
    }
}

fn check(result: libc::c_long) -> Result<()> {
    if result < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)));
    }
    Ok(())
}
