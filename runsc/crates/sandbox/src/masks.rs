//! What the spec hides or protects in the finished tree of mounts, and the device nodes it adds.

use std::sync::Arc;

use control::{Container, Device, DeviceKind};
use host::Errno;
use sentry::fs::tmpfs::{TmpFs, TmpfsOptions};
use sentry::kernel::kernel::Kernel;
use sentry::vfs::attr::FileType;
use sentry::vfs::inode::FileSystem;
use sentry::vfs::mount::{MountFlags, MountNamespace};
use sentry::vfs::walk::{Resolver, WalkFlags};

use crate::error::SandboxError;

/// Applies masked paths, read-only paths and devices. Paths that are not there need no protection.
pub(crate) fn apply(
    kernel: &Arc<Kernel>,
    namespace: &Arc<MountNamespace>,
    container: &Container,
) -> Result<(), SandboxError> {
    let named = |path: &str| {
        let path = path.to_owned();
        move |errno| SandboxError::Mount { path, errno }
    };
    for device in &container.devices {
        add_device(kernel, namespace, device).map_err(named(&device.path))?;
    }
    for path in &container.masked_paths {
        unless_missing(mask(kernel, namespace, path)).map_err(named(path))?;
    }
    for path in &container.read_only_paths {
        unless_missing(protect(kernel, namespace, path)).map_err(named(path))?;
    }
    Ok(())
}

fn unless_missing(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
        result => result,
    }
}

/// A directory becomes empty, anything else `/dev/null`.
fn mask(kernel: &Arc<Kernel>, namespace: &Arc<MountNamespace>, path: &str) -> Result<(), Errno> {
    let found = Resolver::of_namespace(namespace).resolve(path.as_bytes(), WalkFlags::FOLLOW)?;
    if found.inode().kind()? != FileType::Directory {
        let flags = MountFlags::empty();
        return kernel
            .bind_at(namespace, b"/dev/null", path.as_bytes(), flags)
            .map(drop);
    }
    let fs: Arc<dyn FileSystem> = TmpFs::new(kernel, &TmpfsOptions::default());
    let flags = MountFlags::READ_ONLY;
    kernel
        .mount_at(namespace, path.as_bytes(), fs, b"tmpfs", flags)
        .map(drop)
}

/// A bind mount of the path on itself, read-only; the flags it has stay.
fn protect(kernel: &Arc<Kernel>, namespace: &Arc<MountNamespace>, path: &str) -> Result<(), Errno> {
    let path = path.as_bytes();
    let found = Resolver::of_namespace(namespace).resolve(path, WalkFlags::FOLLOW)?;
    let flags = found.mount.flags() | MountFlags::READ_ONLY;
    kernel.bind_at(namespace, path, path, flags).map(drop)
}

/// Nodes that the kernel's own `/dev` has are there already; one elsewhere is that node bound there.
fn add_device(
    kernel: &Arc<Kernel>,
    namespace: &Arc<MountNamespace>,
    device: &Device,
) -> Result<(), Errno> {
    let resolver = Resolver::of_namespace(namespace);
    if resolver
        .resolve(device.path.as_bytes(), WalkFlags::FOLLOW)
        .is_ok()
    {
        return Ok(());
    }
    let Some(own) = own_node(device) else {
        tracing::warn!(
            path = device.path,
            "this release makes no such node: left out"
        );
        return Ok(());
    };
    let flags = MountFlags::empty();
    kernel
        .bind_at(namespace, own, device.path.as_bytes(), flags)
        .map(drop)
}

fn own_node(device: &Device) -> Option<&'static [u8]> {
    if device.kind != DeviceKind::Character {
        return None;
    }
    Some(match (device.major, device.minor) {
        (1, 3) => b"/dev/null",
        (1, 5) => b"/dev/zero",
        (1, 7) => b"/dev/full",
        (1, 8) => b"/dev/random",
        (1, 9) => b"/dev/urandom",
        (5, 0) => b"/dev/tty",
        (5, 2) => b"/dev/ptmx",
        _ => return None,
    })
}
