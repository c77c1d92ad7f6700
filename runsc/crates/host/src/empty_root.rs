//! An empty root directory, for processes that work on descriptors alone.

use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::{Result, errno};

/// Any directory that exists wherever this program can be started: it re-executes itself through it.
const PLACE: &str = "/proc";

/// Keeps mounts of this process's mount namespace from reaching others.
///
/// # Errors
/// Those of mount.
pub fn make_mounts_private() -> Result<()> {
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(errno)
}

/// Replaces the root of this process's own mount namespace by an empty, read-only directory, in
/// which nothing of the host is left. To be called in a mount namespace of its own, with
/// `CAP_SYS_ADMIN` in its user namespace.
///
/// # Errors
/// Those of mount and `pivot_root`.
pub fn enter() -> Result<()> {
    make_mounts_private()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(
        "runsc",
        PLACE,
        "tmpfs",
        flags,
        c"size=4k,nr_inodes=2,mode=555",
    )
    .map_err(errno)?;
    let directory = rustix::fs::open(
        PLACE,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(errno)?;
    fchdir(&directory).map_err(errno)?;
    pivot_root(".", ".").map_err(errno)?;
    // The old root now lies over the new one.
    unmount(".", UnmountFlags::DETACH).map_err(errno)?;
    chdir("/").map_err(errno)?;
    mount_remount("/", MountFlags::RDONLY | flags, c"").map_err(errno)
}
