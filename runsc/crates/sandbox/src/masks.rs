//! What the spec hides or protects in the finished tree of mounts, and the device nodes it adds.

use std::sync::Arc;

use control::{Container, Device, DeviceKind};
use host::Errno;
use sentry::fs::tmpfs::{TmpFs, TmpfsOptions};
use sentry::kernel::kernel::Kernel;
use sentry::vfs::attr::{Device as Number, FileType, SetAttr};
use sentry::vfs::inode::{FileSystem, NewKind, NewNode};
use sentry::vfs::mount::{MountFlags, MountNamespace};
use sentry::vfs::setup::make_node_at;
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

/// Makes the node. One that is there already, as the kernel's own are in `/dev`, gets the owner and permissions that
/// the spec wants. Where the file system refuses to make it, one that the kernel's `/dev` has is bound there instead.
fn add_device(
    kernel: &Arc<Kernel>,
    namespace: &Arc<MountNamespace>,
    device: &Device,
) -> Result<(), Errno> {
    let number = Number::new(device.major, device.minor);
    let kind = match device.kind {
        DeviceKind::Character => NewKind::CharDevice(number),
        DeviceKind::Block => NewKind::BlockDevice(number),
        DeviceKind::Fifo => NewKind::Fifo,
    };
    let node = NewNode {
        kind,
        permissions: device.mode,
        uid: device.uid,
        gid: device.gid,
    };
    let path = device.path.as_bytes();
    match make_node_at(namespace, path, &node) {
        Err(Errno::EEXIST) => adjust_node(namespace, device, number),
        Err(errno) => match own_node(device) {
            Some(own) => kernel
                .bind_at(namespace, own, path, MountFlags::empty())
                .map(drop),
            None => Err(errno),
        },
        Ok(()) => Ok(()),
    }
}

fn adjust_node(
    namespace: &Arc<MountNamespace>,
    device: &Device,
    number: Number,
) -> Result<(), Errno> {
    let found =
        Resolver::of_namespace(namespace).resolve(device.path.as_bytes(), WalkFlags::empty())?;
    let is = found.inode().attr()?;
    let kind = match device.kind {
        DeviceKind::Character => FileType::CharDevice,
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
    };
    if is.file_type != kind || (kind != FileType::Fifo && is.rdev != number) {
        // Something else of the image's own has that name: as runc, leave it.
        return Ok(());
    }
    found.inode().set_attr(&SetAttr {
        permissions: Some(device.mode),
        uid: Some(device.uid),
        gid: Some(device.gid),
        ..SetAttr::default()
    })
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
