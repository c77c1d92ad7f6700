//! Namespaces of the host that something is done in: entered by this thread for a while, and left again.

use std::fs::File;
use std::path::{Path, PathBuf};

use host::privilege::enter;
use host::spawn::Namespaces;

use crate::{ContainerError, Result};

/// Runs `body` in the namespaces behind these files; afterwards this thread is where it was.
///
/// # Errors
/// [`ContainerError::Path`]: a file is missing, is no namespace of its kind, or can't be entered. Those of `body`.
pub(crate) fn inside<T>(
    joined: &[(Namespaces, PathBuf)],
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(((kind, path), rest)) = joined.split_first() else {
        return body();
    };
    let own_path = own(*kind);
    let back = open(Path::new(own_path))?;
    let there = open(path)?;
    enter(&there, *kind).map_err(ContainerError::at("enter namespace", path))?;
    let result = inside(rest, body);
    enter(&back, *kind).map_err(ContainerError::at("return to namespace", own_path))?;
    result
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(ContainerError::path("open namespace", path))
}

/// Where this thread's own namespace of a kind is found.
fn own(kind: Namespaces) -> &'static str {
    match kind {
        Namespaces::NETWORK => "/proc/thread-self/ns/net",
        Namespaces::UTS => "/proc/thread-self/ns/uts",
        Namespaces::IPC => "/proc/thread-self/ns/ipc",
        Namespaces::CGROUP => "/proc/thread-self/ns/cgroup",
        _ => "/proc/thread-self/ns/mnt",
    }
}

#[cfg(test)]
mod tests {
    use host::spawn::Namespaces;

    use super::inside;

    #[test]
    fn the_wrong_kind_is_an_error() {
        let joined = [(Namespaces::UTS, "/proc/self/ns/net".into())];
        let error = inside(&joined, || Ok(())).unwrap_err().to_string();
        assert!(error.contains("/proc/self/ns/net"), "{error}");
    }

    #[test]
    fn nothing_joined_runs_the_body() {
        assert_eq!(inside(&[], || Ok(7)).unwrap(), 7);
    }
}
