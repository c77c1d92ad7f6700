//! Whether the init program exists, found out before anything is started: from these errors engines
//! derive exit codes 127 and 126.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use control::{Container, MountKind, Process};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, statx};

use crate::{ContainerError, Result};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What was found under one name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Candidate {
    Missing,
    NotExecutable,
    Good,
}

/// Checks the program of `container`'s init process below `rootfs`. Where a mount may hold it, the
/// kernel's own answer at start decides.
///
/// # Errors
/// [`ContainerError::ProgramNotFound`], [`ContainerError::ProgramNotExecutable`].
pub(crate) fn check(container: &Container, rootfs: &Path) -> Result<()> {
    if container.process.args.is_empty() {
        // Without a process there is nothing to be started.
        return Ok(());
    }
    let has_programs = |mount: &control::Mount| {
        matches!(mount.kind, MountKind::Bind { .. } | MountKind::Tmpfs { .. })
    };
    let name = container
        .process
        .args
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = fs::open(rootfs, flags, Mode::empty()) else {
        return Ok(());
    };
    let mut denied = false;
    let mut hidden = false;
    for path in candidates(&container.process, name) {
        if container
            .mounts
            .iter()
            .any(|mount| has_programs(mount) && holds(&root, mount, &path))
        {
            hidden = true;
            continue;
        }
        match look(&root, &path) {
            Candidate::Good => return Ok(()),
            Candidate::NotExecutable => denied = true,
            Candidate::Missing => {}
        }
    }
    if hidden {
        return Ok(());
    }
    let name = name.to_owned();
    Err(match (denied, name.contains('/')) {
        (true, _) => ContainerError::ProgramNotExecutable(name),
        (false, true) => ContainerError::ProgramMissing(name),
        (false, false) => ContainerError::ProgramNotFound(name),
    })
}

/// Whether `path` lies on that mount, by its name or by where its directory's symbolic links lead.
fn holds(root: &OwnedFd, mount: &control::Mount, path: &str) -> bool {
    let at = Path::new(&mount.destination);
    if Path::new(path).starts_with(at) {
        return true;
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let real = |path: &Path| {
        let file = fs::openat2(root, path, flags, Mode::empty(), resolve).ok()?;
        std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
    };
    let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
    // A mount point that is not there yet can't be led to.
    match (real(at), real(parent)) {
        (Some(at), Some(parent)) => parent.starts_with(at),
        _ => false,
    }
}

fn candidates(process: &Process, name: &str) -> Vec<String> {
    if name.contains('/') {
        let path = Path::new(&process.cwd).join(name);
        return vec![path.to_string_lossy().into_owned()];
    }
    let path = process
        .env
        .iter()
        .rev()
        .find_map(|pair| pair.strip_prefix("PATH="));
    let directories = path.unwrap_or(DEFAULT_PATH).split(':');
    directories
        .map(|directory| {
            if directory.is_empty() {
                process.cwd.as_str()
            } else {
                directory
            }
        })
        .map(|directory| {
            Path::new(directory)
                .join(name)
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

fn look(root: &OwnedFd, path: &str) -> Candidate {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let Ok(file) = fs::openat2(root, path, flags, Mode::empty(), resolve) else {
        return Candidate::Missing;
    };
    let Ok(attributes) = statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) else {
        return Candidate::Missing;
    };
    let mode = u32::from(attributes.stx_mode);
    if FileType::from_raw_mode(mode) != FileType::RegularFile || mode & 0o111 == 0 {
        return Candidate::NotExecutable;
    }
    Candidate::Good
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use control::{Container, Process};

    use super::check;

    fn answer(root: &std::path::Path, name: &str) -> String {
        let process = Process {
            args: vec![name.to_owned()],
            env: vec!["PATH=/bin:/sbin".to_owned()],
            cwd: "/".to_owned(),
            ..Process::default()
        };
        let container = Container {
            process,
            ..Container::default()
        };
        check(&container, root)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn programs_are_looked_up_inside_the_root() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        symlink("/usr/bin", root.path().join("bin")).unwrap();
        let path = root.path().join("usr/bin/good");
        fs::write(&path, "").unwrap();
        assert_eq!(
            answer(root.path(), "good"),
            "exec: \"good\": permission denied"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(answer(root.path(), "good"), "");
        assert_eq!(answer(root.path(), "/bin/good"), "");
        assert_eq!(
            answer(root.path(), "no"),
            "exec: \"no\": executable file not found in $PATH"
        );
        let tmpfs = |destination: &str| control::Mount {
            destination: destination.to_owned(),
            kind: control::MountKind::Tmpfs {
                size_bytes: None,
                max_inodes: None,
                mode: None,
                uid: None,
                gid: None,
                copied: None,
            },
            flags: control::MountFlags::default(),
            source: String::new(),
            propagation: Vec::new(),
        };
        let missing = "exec: \"no\": executable file not found in $PATH";
        for (mounts, expected) in [
            (vec![tmpfs("/dev")], missing),
            (vec![tmpfs("/bin")], ""),
            (vec![tmpfs("/usr")], ""),
            (vec![tmpfs("/usr/bin")], ""),
        ] {
            let process = Process {
                args: vec!["no".to_owned()],
                env: vec!["PATH=/bin:/sbin".to_owned()],
                ..Process::default()
            };
            let container = Container {
                process,
                mounts: mounts.clone(),
                ..Container::default()
            };
            let error = check(&container, root.path()).err().map(|e| e.to_string());
            assert_eq!(error.unwrap_or_default(), expected, "{mounts:?}");
        }
        assert_eq!(
            answer(root.path(), "/usr"),
            "exec: \"/usr\": permission denied"
        );
    }
}
