//! Mount points that a read-only root lacks: made in the root's directory beforehand, as other
//! runtimes make them before they lock the root. The sandbox itself never can.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use control::{Container, Mount, MountKind, Overlay};
use rustix::fs::{self, Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;

/// Makes them below `rootfs`, never outside of it. Those that can't be made are missed by the mount.
pub(crate) fn make(container: &Container, rootfs: &Path) {
    if !container.root.read_only || container.root.overlay != Overlay::None {
        return;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = fs::open(rootfs, flags, Mode::empty()) else {
        return;
    };
    for (index, mount) in container.mounts.iter().enumerate() {
        let path = Path::new(&mount.destination);
        let earlier = container.mounts.get(..index).unwrap_or_default();
        if earlier.iter().any(|other| covers(other, path)) {
            continue;
        }
        if let Err(error) = make_one(root.as_fd(), path, is_file(mount)) {
            tracing::info!(path = %path.display(), %error, "no mount point made");
        }
    }
}

/// Whether `path` lies on that mount.
fn covers(mount: &Mount, path: &Path) -> bool {
    let at = Path::new(&mount.destination);
    at != Path::new("/") && path != at && path.starts_with(at)
}

fn is_file(mount: &Mount) -> bool {
    matches!(
        mount.kind,
        MountKind::Bind {
            directory: false,
            ..
        }
    )
}

/// The directory of the host that a mount on `destination` covers, if it is in the image rather than on a mount made
/// before.
pub(crate) fn covered(rootfs: &Path, earlier: &[Mount], destination: &Path) -> Option<PathBuf> {
    if earlier.iter().any(|other| covers(other, destination)) {
        return None;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = fs::open(rootfs, flags, Mode::empty()).ok()?;
    let found = open(root.as_fd(), destination).ok()?;
    let path = std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()?;
    path.is_dir().then_some(path)
}

fn make_one(root: BorrowedFd<'_>, path: &Path, file: bool) -> Result<(), Errno> {
    let names: Vec<_> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let Some((last, above)) = names.split_last() else {
        return Ok(());
    };
    if open(root, path).is_ok() {
        return Ok(());
    }
    let mut so_far = PathBuf::from(".");
    for name in above {
        let parent = open(root, &so_far)?;
        ignore_existing(mkdirat(
            &parent,
            Path::new(name),
            Mode::from_raw_mode(0o755),
        ))?;
        so_far.push(name);
    }
    let parent = open(root, &so_far)?;
    if file {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = openat2(
            // A descriptor for paths alone can't be created in through another's resolution.
            &parent,
            Path::new(last),
            flags,
            Mode::from_raw_mode(0o755),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        );
        ignore_existing(made.map(drop))
    } else {
        ignore_existing(mkdirat(
            &parent,
            Path::new(last),
            Mode::from_raw_mode(0o755),
        ))
    }
}

fn open(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}

fn ignore_existing(made: Result<(), Errno>) -> Result<(), Errno> {
    match made {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use control::{Container, Mount, MountFlags, MountKind, Overlay, Root};

    use super::make;

    fn tmpfs(destination: &str) -> Mount {
        Mount {
            destination: destination.into(),
            kind: MountKind::Tmpfs {
                size_bytes: None,
                max_inodes: None,
                mode: None,
                uid: None,
                gid: None,
                copied: None,
            },
            flags: MountFlags::default(),
            source: String::new(),
            propagation: Vec::new(),
        }
    }

    #[test]
    fn they_are_made_inside_the_root_alone() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("root");
        std::fs::create_dir_all(root.join("usr")).unwrap();
        symlink("../../..", root.join("up")).unwrap();
        let file = Mount {
            kind: MountKind::Bind {
                tree: 1,
                overlay: Overlay::None,
                directory: false,
                root_name: "/".into(),
            },
            ..tmpfs("/etc/hosts")
        };
        let mut container = Container {
            root: Root {
                read_only: true,
                ..Root::default()
            },
            mounts: vec![
                tmpfs("/usr/a/b"),
                tmpfs("/usr/a/b/c"),
                tmpfs("/up/out"),
                file,
            ],
            ..Container::default()
        };
        make(&container, &root);
        assert!(root.join("usr/a/b").is_dir());
        assert!(!root.join("usr/a/b/c").exists());
        assert!(root.join("out").is_dir());
        assert!(root.join("etc/hosts").is_file());
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1);
        container.root.read_only = false;
        container.mounts = vec![tmpfs("/later")];
        make(&container, &root);
        assert!(!root.join("later").exists());
    }
}
