//! The mounts of the host that this process sees (`/proc/[pid]/mountinfo`, `man 5 proc`).

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{ContainerError, Result};

/// Its text.
pub(crate) fn read() -> Result<String> {
    let path = Path::new("/proc/self/mountinfo");
    fs::read_to_string(path).map_err(ContainerError::path("read", path))
}

/// The mounts at the time when something was first looked up in them.
#[derive(Debug, Default)]
pub(crate) struct MountInfo {
    text: OnceCell<String>,
}

impl MountInfo {
    /// What an absolute path without links is called in the file system that it lies in.
    pub(crate) fn path_in_file_system(&self, path: &Path) -> Result<PathBuf> {
        let text = match self.text.get() {
            Some(text) => text,
            None => {
                let text = read()?;
                self.text.get_or_init(|| text)
            }
        };
        Ok(find(text, path))
    }
}

/// The same for the mounts of `text`: the root of the innermost mount, and the way from its place to `path`.
fn find(text: &str, path: &Path) -> PathBuf {
    let mounts = text.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3).map(unescape);
        let (root, place) = (fields.next()?, fields.next()?);
        let below = path.strip_prefix(&place).ok()?;
        Some((below, root))
    });
    // Of several at one place, the last lies on top.
    let innermost = mounts.reduce(|best, next| {
        if next.0.as_os_str().len() <= best.0.as_os_str().len() {
            next
        } else {
            best
        }
    });
    match innermost {
        Some((below, root)) if below == Path::new("") => root.into(),
        Some((below, root)) => Path::new(&root).join(below),
        None => path.to_owned(),
    }
}

/// Spaces and the like are octal escapes in `mountinfo`.
pub(crate) fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find;

    #[test]
    fn paths_begin_at_the_root_of_the_innermost_mount() {
        let mounts = "20 1 8:1 / / rw - ext4 /dev/vda rw\n\
            21 20 0:5 / /data rw - tmpfs hidden rw\n\
            22 20 8:1 /srv/some\\040data /data rw shared:1 - ext4 /dev/vda rw\n\
            23 22 0:6 / /data/memory rw - tmpfs tmpfs rw\n";
        for (path, wanted) in [
            ("/etc/hosts", "/etc/hosts"),
            ("/", "/"),
            ("/database", "/database"),
            ("/data", "/srv/some data"),
            ("/data/a/b", "/srv/some data/a/b"),
            ("/data/memory", "/"),
            ("/data/memory/a", "/a"),
        ] {
            assert_eq!(find(mounts, Path::new(path)), Path::new(wanted), "{path}");
        }
    }
}
