//! Namespaces of the host that something is done in, by a thread for that purpose: root of a user namespace alone
//! (rootless podman) may leave those of the host for others, and never return.

use std::fs::File;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use host::Errno;
use host::privilege::{enter, unshare};
use host::spawn::Namespaces;

use crate::{ContainerError, Result};

/// Runs `body` in the namespaces behind these files; where there are none, on the calling thread.
///
/// # Errors
/// [`ContainerError::Path`]: a file is missing, is no namespace of its kind, or can't be entered. Those of `body`.
pub(crate) fn inside<T: Send>(
    joined: &[(Namespaces, PathBuf)],
    body: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    if joined.is_empty() {
        return body();
    }
    visit(|| {
        enter_all(joined)?;
        body()
    })
}

/// Runs `body` in new namespaces of this `kind`. It is told which this process may not make, which a child can that
/// has a user namespace of its own.
///
/// # Errors
/// [`ContainerError::Host`] when there can be no more of them. Those of `body`.
pub(crate) fn in_new<T: Send>(
    kind: Namespaces,
    body: impl FnOnce(Namespaces) -> Result<T> + Send,
) -> Result<T> {
    visit(|| match unshare(kind) {
        Err(Errno::EPERM) => body(kind),
        made => {
            made.map_err(ContainerError::host("make a namespace"))?;
            body(Namespaces::empty())
        }
    })
}

/// Runs `body` on a thread that ends with it, wherever it went.
fn visit<T: Send>(body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let visitor = thread::Builder::new().spawn_scoped(scope, body);
        let visitor = visitor
            .map_err(Errno::from)
            .map_err(ContainerError::host("make a thread that enters namespaces"))?;
        visitor.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn enter_all(joined: &[(Namespaces, PathBuf)]) -> Result<()> {
    // All are opened first: what their paths lead to may depend on where the thread is.
    let opened: Vec<_> = joined
        .iter()
        .map(|(_, path)| open(path))
        .collect::<Result<_>>()?;
    for ((kind, path), file) in joined.iter().zip(opened) {
        enter(&file, *kind).map_err(ContainerError::at("enter namespace", path))?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(ContainerError::path("open namespace", path))
}

#[cfg(test)]
mod tests {
    use host::spawn::Namespaces;

    use super::{in_new, inside};

    #[test]
    fn the_wrong_kind_is_an_error() {
        let joined = [(Namespaces::UTS, "/proc/self/ns/net".into())];
        let error = inside(&joined, || Ok(())).unwrap_err().to_string();
        assert!(error.contains("/proc/self/ns/net"), "{error}");
    }

    #[test]
    fn the_caller_stays_where_it_is() {
        let own = || std::fs::read_link("/proc/thread-self/ns/uts").unwrap();
        let (before, apart) = (
            own(),
            std::thread::spawn(|| {
                host::privilege::unshare(Namespaces::UTS).map(|()| {
                    let file = std::fs::File::open("/proc/thread-self/ns/uts").unwrap();
                    (
                        std::fs::read_link("/proc/thread-self/ns/uts").unwrap(),
                        file,
                    )
                })
            }),
        );
        // Without privilege there is no other to enter.
        let Ok((there, file)) = apart.join().unwrap() else {
            return;
        };
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let seen = inside(&[(Namespaces::UTS, path.into())], || Ok(own())).unwrap();
        assert_eq!((seen, own()), (there, before));
    }

    #[test]
    fn new_ones_are_made_or_named() {
        let own = || std::fs::read_link("/proc/thread-self/ns/uts").unwrap();
        let before = own();
        let (there, refused) = in_new(Namespaces::UTS, |refused| Ok((own(), refused))).unwrap();
        assert_eq!(there == before, refused == Namespaces::UTS);
        assert_eq!(own(), before);
    }

    #[test]
    fn nothing_joined_runs_the_body() {
        assert_eq!(inside(&[], || Ok(7)).unwrap(), 7);
    }
}
