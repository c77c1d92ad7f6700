//! For whom and from where paths are resolved.

use std::sync::Arc;

use abi::Errno;

use super::WalkFlags;
use super::step::Walk;
use crate::error::Result;
use crate::kernel::credentials::Credentials;
use crate::kernel::task::Task;
use crate::vfs::mount::MountNamespace;
use crate::vfs::path::Path;

/// Where a path starts, what its `/` is, and whose permissions count.
#[derive(Clone, Debug)]
pub struct Resolver<'a> {
    /// The task, for links that depend on who follows them; none while a container is set up.
    pub(super) task: Option<&'a Task>,
    /// Whose permissions count; none: everything is allowed.
    pub(super) credentials: Option<Arc<Credentials>>,
    pub(super) root: Path,
    pub(super) start: Path,
}

/// A path but for its last component.
#[derive(Debug)]
pub struct Last {
    /// The directory.
    pub parent: Path,
    /// The last component.
    pub name: LastName,
    /// A slash stands behind it.
    pub trailing_slash: bool,
}

/// What the last component of a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastName {
    /// A name.
    Name(Vec<u8>),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// There is none: the path is nothing but slashes.
    Root,
}

impl<'a> Resolver<'a> {
    /// For a task's calls; relative paths start at `start`, or else at its working directory.
    #[must_use]
    pub fn of(task: &'a Task, start: Option<&Path>) -> Resolver<'a> {
        let fs = task.fs();
        Resolver {
            task: Some(task),
            credentials: Some(task.credentials()),
            root: fs.root(),
            start: start.cloned().unwrap_or_else(|| fs.cwd()),
        }
    }

    /// For the set-up of a container: from the root of `namespace`, everything allowed.
    #[must_use]
    pub fn of_namespace(namespace: &MountNamespace) -> Resolver<'static> {
        let root = namespace.root_path();
        Resolver {
            task: None,
            credentials: None,
            start: root.clone(),
            root,
        }
    }

    /// With other credentials: `access(2)` checks with the real ids.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Arc<Credentials>) -> Resolver<'a> {
        self.credentials = Some(credentials);
        self
    }

    /// Resolves the whole path.
    pub fn resolve(&self, path: &[u8], flags: WalkFlags) -> Result<Path> {
        if path.is_empty() {
            if !flags.contains(WalkFlags::EMPTY) {
                return Err(Errno::ENOENT);
            }
            return Ok(self.start.clone());
        }
        let mut walk = Walk::new(self, path, flags)?;
        walk.go_to_end()?;
        Ok(walk.into_path())
    }

    /// Resolves all but the last component.
    pub fn resolve_last(&self, path: &[u8], flags: WalkFlags) -> Result<Last> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        Walk::new(self, path, flags)?.go_to_last()
    }
}
