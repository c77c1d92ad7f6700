//! The container's tree of mounts.

use std::sync::Arc;

use control::{BootConfig, Mount, MountFlags, MountKind, Overlay, PropagationKind};
use gofer::{HostTree, RemoteTree, TreeId};
use host::Errno;
use rustix::process::{Resource, getrlimit};
use sentry::fs::cgroup;
use sentry::fs::devpts::{DevPts, DevPtsOptions};
use sentry::fs::gofer::{GoferFs, Options};
use sentry::fs::overlay::{OverlayFs, Shown};
use sentry::fs::tmpfs::{TmpFs, TmpfsOptions};
use sentry::kernel::cgroup::Kind;
use sentry::kernel::kernel::Kernel;
use sentry::vfs::attr::{FileType, SetAttr};
use sentry::vfs::inode::{CachePolicy, FileSystem};
use sentry::vfs::mount::{MountFlags as Flags, MountNamespace, Propagation};
use sentry::vfs::path::Path;
use sentry::vfs::setup::make_mount_point;
use sentry::vfs::walk::{Resolver, WalkFlags};

use crate::error::SandboxError;
use crate::masks;

/// Builds it: the root, then the spec's mounts in order.
pub(crate) fn build(
    kernel: &Arc<Kernel>,
    config: &BootConfig,
    tree: &Arc<RemoteTree>,
) -> Result<Arc<MountNamespace>, SandboxError> {
    let root = &config.container.root;
    let named = |path: &str| {
        let path = path.to_owned();
        move |errno| SandboxError::Mount { path, errno }
    };
    let policy = policy(config, root.overlay);
    let lower = host_files(kernel, tree, root.tree, options(policy)).map_err(named("/"))?;
    let lower = overlaid(kernel, lower, root.overlay);
    let flags = if root.read_only {
        Flags::READ_ONLY
    } else {
        Flags::empty()
    };
    let namespace = kernel.new_mount_namespace(kernel.user_ns().clone(), lower, b"none", flags);
    for mount in &config.container.mounts {
        mount_one(kernel, config, tree, &namespace, mount).map_err(named(&mount.destination))?;
    }
    masks::apply(kernel, &namespace, &config.container)?;
    make_working_directory(&namespace, &config.container.process.cwd);
    if let Some(propagation) = root.propagation {
        let at = namespace.root_path();
        propagate(kernel, &namespace, &at, propagation).map_err(named("/"))?;
    }
    Ok(namespace)
}

/// How a tree of host files is shown: it keeps an eighth of the descriptors that this process may open, at most, since
/// there are other trees, and what guests have open comes on top.
fn options(policy: CachePolicy) -> Options {
    let usual = Options::new(policy);
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = usize::try_from(limit / 8).unwrap_or(usize::MAX);
    Options {
        descriptors: share.min(usual.descriptors),
        ..usual
    }
}

/// A working directory that is not there is made, as runc does. Where it can't be, entering it fails at start.
fn make_working_directory(namespace: &Arc<MountNamespace>, path: &str) {
    if let Err(errno) = make_mount_point(namespace, path.as_bytes(), FileType::Directory) {
        tracing::info!(path, %errno, "cannot make the working directory");
    }
}

fn propagate(
    kernel: &Kernel,
    namespace: &Arc<MountNamespace>,
    at: &Path,
    to: control::Propagation,
) -> Result<(), Errno> {
    let kind = match to.kind {
        PropagationKind::Shared => Propagation::Shared,
        PropagationKind::Slave => Propagation::Slave,
        PropagationKind::Private => Propagation::Private,
        PropagationKind::Unbindable => Propagation::Unbindable,
    };
    namespace.set_propagation(&kernel.vfs, at, kind, to.recursive)
}

fn mount_one(
    kernel: &Arc<Kernel>,
    config: &BootConfig,
    tree: &Arc<RemoteTree>,
    namespace: &Arc<MountNamespace>,
    mount: &Mount,
) -> Result<(), Errno> {
    let fs = file_system(kernel, config, tree, namespace, mount)?;
    let source = match mount.source.as_str() {
        "" => fs.type_name(),
        source => source,
    };
    let path = mount.destination.as_bytes();
    let flags = flags(mount.flags);
    let at = kernel.mount_at(namespace, path, fs.clone(), source.as_bytes(), flags)?;
    if mount.kind == (MountKind::Cgroup { unified: false }) {
        mount_hierarchies(kernel, namespace, &mount.destination, flags)?;
    }
    let mut changes = mount.propagation.iter();
    changes.try_for_each(|to| propagate(kernel, namespace, &at, *to))
}

/// The hierarchies of version 1 below their directory.
fn mount_hierarchies(
    kernel: &Arc<Kernel>,
    namespace: &Arc<MountNamespace>,
    below: &str,
    flags: Flags,
) -> Result<(), Errno> {
    for (name, kind) in cgroup::v1_layout() {
        let path = format!("{}/{name}", below.trim_end_matches('/'));
        let fs = cgroup::new(kernel, &kind)?;
        kernel.mount_at(namespace, path.as_bytes(), fs, b"cgroup", flags)?;
    }
    Ok(())
}

fn file_system(
    kernel: &Arc<Kernel>,
    config: &BootConfig,
    tree: &Arc<RemoteTree>,
    namespace: &Arc<MountNamespace>,
    mount: &Mount,
) -> Result<Arc<dyn FileSystem>, Errno> {
    Ok(match mount.kind {
        MountKind::Bind {
            tree: id,
            overlay,
            ref root_name,
            ..
        } => {
            let options = Options {
                root_name: root_name.clone().into_bytes(),
                ..options(policy(config, overlay))
            };
            let fs = host_files(kernel, tree, id, options)?;
            overlaid(kernel, fs, overlay)
        }
        MountKind::Tmpfs {
            size_bytes,
            max_inodes,
            mode,
            uid,
            gid,
            copied: Some(id),
        } => {
            // The number of inodes is not limited: those of the image are not counted.
            let _ = max_inodes;
            let lower = host_files(kernel, tree, id, options(CachePolicy::Keep))?;
            let device = kernel.vfs.anonymous_device();
            let memory = kernel.memory().clone();
            let fs = OverlayFs::shown_as(Shown::Tmpfs, lower, memory, size_bytes, device);
            fs.root().set_attr(&SetAttr {
                permissions: mode,
                uid,
                gid,
                ..SetAttr::default()
            })?;
            fs
        }
        MountKind::Tmpfs {
            size_bytes,
            max_inodes,
            mode,
            uid,
            gid,
            copied: None,
        } => {
            let options = TmpfsOptions {
                size_bytes,
                max_inodes,
                mode: mode.or_else(|| covered_mode(namespace, &mount.destination)),
                uid,
                gid,
            };
            TmpFs::new(kernel, &options)
        }
        MountKind::Devtmpfs {
            shown_as_devtmpfs,
            size_bytes,
            mode,
        } => {
            let options = TmpfsOptions {
                size_bytes,
                mode,
                ..TmpfsOptions::default()
            };
            let name = ["tmpfs", "devtmpfs"][usize::from(shown_as_devtmpfs)];
            sentry::fs::devtmpfs::new(kernel, name, &options)?
        }
        MountKind::Proc => sentry::fs::proc::new(kernel, kernel.root_pid_ns()),
        MountKind::Sysfs => sentry::fs::sysfs::new(kernel),
        MountKind::Devpts {
            mode,
            uid,
            gid,
            ptmx_mode,
            max,
        } => {
            let plain = DevPtsOptions::default();
            let options = DevPtsOptions {
                mode: mode.unwrap_or(plain.mode),
                uid,
                gid,
                ptmx_mode: ptmx_mode.unwrap_or(plain.ptmx_mode),
                max: max.unwrap_or(plain.max),
                takes_reserve: true,
            };
            DevPts::new(kernel, options)
        }
        MountKind::Mqueue => sentry::fs::mqueue::of(kernel, &kernel.namespaces().ipc),
        MountKind::Cgroup { unified: true } => cgroup::new(kernel, &Kind::Unified)?,
        MountKind::Cgroup { unified: false } => cgroup::v1_root(kernel),
    })
}

/// The permissions of the directory that a mount is to cover, which runc gives to a tmpfs that has none of its own.
fn covered_mode(namespace: &Arc<MountNamespace>, path: &str) -> Option<u32> {
    let resolver = Resolver::of_namespace(namespace);
    let found = resolver.resolve(path.as_bytes(), WalkFlags::FOLLOW).ok()?;
    Some(found.inode().attr().ok()?.permissions)
}

fn host_files(
    kernel: &Kernel,
    tree: &Arc<RemoteTree>,
    id: u32,
    options: Options,
) -> Result<Arc<GoferFs>, Errno> {
    let device = kernel.vfs.anonymous_device();
    let shown: Arc<dyn HostTree> = tree.clone();
    let files = GoferFs::new(shown, TreeId(id), device, options)?;
    let weak = Arc::downgrade(&files);
    tree.when_full(move || weak.upgrade().is_some_and(|files| files.make_room()));
    Ok(files)
}

/// Puts a layer in memory over `lower` if there is to be one.
fn overlaid(kernel: &Kernel, lower: Arc<GoferFs>, overlay: Overlay) -> Arc<dyn FileSystem> {
    if overlay != Overlay::Memory {
        return lower;
    }
    let device = kernel.vfs.anonymous_device();
    OverlayFs::new(lower, kernel.memory().clone(), None, device)
}

/// Below an overlay nothing is written, and what the host changes may stay unseen.
fn policy(config: &BootConfig, overlay: Overlay) -> CachePolicy {
    if config.exclusive_files || overlay == Overlay::Memory {
        CachePolicy::Keep
    } else {
        CachePolicy::Revalidate
    }
}

fn flags(wanted: MountFlags) -> Flags {
    let mut flags = Flags::empty();
    flags.set(Flags::READ_ONLY, wanted.read_only);
    flags.set(Flags::NO_SUID, wanted.no_suid);
    flags.set(Flags::NO_DEV, wanted.no_dev);
    flags.set(Flags::NO_EXEC, wanted.no_exec);
    flags.set(Flags::NO_ATIME, wanted.no_atime);
    flags.set(Flags::NO_DIR_ATIME, wanted.no_dir_atime);
    flags.set(Flags::RELATIME, wanted.relatime);
    flags.set(Flags::NO_SYMLINK_FOLLOW, wanted.no_symlink_follow);
    flags
}
