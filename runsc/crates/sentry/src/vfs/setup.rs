//! What builds a container's tree of mounts before anything runs in it.

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::kernel::Kernel;
use crate::vfs::attr::FileType;
use crate::vfs::edit;
use crate::vfs::inode::{FileSystem, NewKind, NewNode};
use crate::vfs::mount::{MountFlags, MountNamespace};
use crate::vfs::path::Path;
use crate::vfs::walk::{LastName, Resolver, WalkFlags, lookup_locked};

impl Kernel {
    /// Mounts `fs` at the absolute `path`, as root of the container would. Directories that are not
    /// there are made, and an empty file if the root of `fs` is not a directory.
    pub fn mount_at(
        &self,
        namespace: &Arc<MountNamespace>,
        path: &[u8],
        fs: Arc<dyn FileSystem>,
        source: &[u8],
        flags: MountFlags,
    ) -> Result<Path> {
        let kind = fs.root().kind()?;
        let place = make_mount_point(namespace, path, kind)?;
        let mount = self.vfs.mount(fs, source, flags);
        namespace.attach(self, &mount, &place)?;
        Ok(mount.root_path())
    }

    /// Binds what is at the absolute path `from` to `to`, as [`Kernel::mount_at`] mounts.
    pub fn bind_at(
        &self,
        namespace: &Arc<MountNamespace>,
        from: &[u8],
        to: &[u8],
        flags: MountFlags,
    ) -> Result<Path> {
        let resolver = Resolver::of_namespace(namespace);
        let from = resolver.resolve(from, WalkFlags::FOLLOW)?;
        let place = make_mount_point(namespace, to, from.inode().kind()?)?;
        let mount = namespace.copy(&self.vfs, &from, true)?;
        mount.set_flags(flags)?;
        namespace.attach(self, &mount, &place)?;
        Ok(mount.root_path())
    }
}

/// Makes a node at `path`, and the directories above it that are missing.
///
/// # Errors
/// EEXIST: there is something already, perhaps a symbolic link. Those of the file system.
pub fn make_node_at(
    namespace: &Arc<MountNamespace>,
    path: &[u8],
    node: &NewNode<'_>,
) -> Result<()> {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let directory = path.get(..end.max(1)).unwrap_or(b"/");
    make_mount_point(namespace, directory, FileType::Directory)?;
    let resolver = Resolver::of_namespace(namespace);
    let last = resolver.resolve_last(path, WalkFlags::empty())?;
    let LastName::Name(name) = last.name else {
        return Err(Errno::EEXIST);
    };
    last.parent.mount.check_writable()?;
    let _changes = last.parent.dentry.lock_changes();
    match lookup_locked(&last.parent.dentry, &name) {
        Ok(_) => Err(Errno::EEXIST),
        Err(Errno::ENOENT) => edit::make_locked(&last.parent, &name, node).map(drop),
        Err(errno) => Err(errno),
    }
}

/// Finds `path` and makes what is missing of it: directories, and last something that a root of the
/// type `kind` can be mounted on.
pub fn make_mount_point(
    namespace: &Arc<MountNamespace>,
    path: &[u8],
    kind: FileType,
) -> Result<Path> {
    let resolver = Resolver::of_namespace(namespace);
    let wants_directory = kind == FileType::Directory;
    match resolver.resolve(path, WalkFlags::FOLLOW) {
        Ok(found) => {
            let is_directory = found.inode().kind()? == FileType::Directory;
            return match (is_directory, wants_directory) {
                (true, false) => Err(Errno::EISDIR),
                (false, true) => Err(Errno::ENOTDIR),
                _ => Ok(found),
            };
        }
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    let components: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    for len in 1..=components.len() {
        let prefix = components[..len].join(&b'/');
        let last = len == components.len();
        make_one(&resolver, &prefix, wants_directory || !last)?;
    }
    resolver.resolve(path, WalkFlags::FOLLOW)
}

fn make_one(resolver: &Resolver<'_>, path: &[u8], directory: bool) -> Result<()> {
    if resolver.resolve(path, WalkFlags::FOLLOW).is_ok() {
        return Ok(());
    }
    let last = resolver.resolve_last(path, WalkFlags::empty())?;
    let LastName::Name(name) = last.name else {
        return Err(Errno::EINVAL);
    };
    let node = NewNode {
        kind: if directory {
            NewKind::Directory
        } else {
            NewKind::Regular
        },
        permissions: if directory { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
    };
    let _changes = last.parent.dentry.lock_changes();
    match lookup_locked(&last.parent.dentry, &name) {
        // A symbolic link that leads nowhere.
        Ok(_) => Err(Errno::ENOENT),
        Err(Errno::ENOENT) => edit::make_locked(&last.parent, &name, &node).map(drop),
        Err(errno) => Err(errno),
    }
}
