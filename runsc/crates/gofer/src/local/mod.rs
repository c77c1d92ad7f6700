//! [`LocalTree`]: the file operations, done with host calls.
//!
//! Runs in the gofer process, or in the sandbox itself for direct access. Every host call is given a
//! descriptor and one checked component; nothing here resolves a path. It can do without `/proc`.

mod attr;
mod budget;
mod dir;
mod edit;
mod identity;
mod node;
mod open;
mod socket;
mod sys;
mod table;
mod walk;
mod xattr;

#[cfg(test)]
mod overlay_tests;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use abi::Errno;
use host::errno;
use rustix::fs::{self, Mode, OFlags};
use rustix::process::{Resource, getrlimit, umask};

use self::node::Node;
pub use self::sys::stat_fd;
use self::table::Table;
use crate::tree::HostTree;
use crate::types::{
    Access, Attr, Created, Detail, FileKind, Found, Linked, Listing, Made, NewFile, NodeId, Opened,
    Remove, Rename, Renamed, Result, SetAttr, SocketKind, StatFs, Step, SyncKind, TreeId, Walk,
    XattrMode,
};

/// What a tree lets its client do beyond files and directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Every change is `EROFS`.
    pub read_only: bool,
    /// `connect` reaches the host's unix sockets (`--host-uds=open`).
    pub host_sockets: bool,
    /// FIFOs may be opened (`--host-fifo=open`).
    pub host_fifos: bool,
}

/// One tree to serve: a directory, or a single file that is bind-mounted.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    file: Option<CString>,
    policy: Policy,
}

impl Root {
    /// The tree beneath the directory `dir`.
    #[must_use]
    pub fn directory(dir: OwnedFd, policy: Policy) -> Root {
        Root {
            dir,
            file: None,
            policy,
        }
    }

    /// A tree of one file, which is all that is in the directory `dir`.
    ///
    /// # Errors
    /// `EINVAL` for a name that is none.
    pub fn file(dir: OwnedFd, name: &[u8], policy: Policy) -> Result<Root> {
        Ok(Root {
            dir,
            file: Some(crate::name::to_c(name)?),
            policy,
        })
    }

    /// The tree at `path`, which is looked up now and for the last time. Its last component may be a
    /// file; it must not be a symbolic link.
    ///
    /// # Errors
    /// Those of `openat(2)`; `ELOOP` for a symbolic link.
    pub fn open_path(path: &Path, policy: Policy) -> Result<Root> {
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = fs::open(path, flags, Mode::empty()).map_err(errno)?;
        match stat_fd(fd.as_fd())?.kind() {
            Some(FileKind::Directory) => Ok(Root::directory(fd, policy)),
            Some(FileKind::Symlink) => Err(Errno::ELOOP),
            _ => {
                let parent = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                let dir_flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY;
                let dir = fs::open(parent.unwrap_or(Path::new(".")), dir_flags, Mode::empty());
                let name = path.file_name().ok_or(Errno::EINVAL)?.as_bytes();
                Ok(Root {
                    dir: dir.map_err(errno)?,
                    file: Some(crate::name::to_c(name)?),
                    policy,
                })
            }
        }
    }

    fn open(&self, flags: OFlags) -> Result<OwnedFd> {
        let name = self.file.as_deref().unwrap_or(c".");
        sys::open_beneath(self.dir.as_fd(), name, flags, Mode::empty())
    }

    fn writable(&self) -> Result<()> {
        if self.policy.read_only {
            Err(Errno::EROFS)
        } else {
            Ok(())
        }
    }
}

/// How many descriptors are left for the process's own, its connections, and what requests under way open.
const OTHER_DESCRIPTORS: usize = 64;

/// Trees of host files, acted on with host calls.
#[derive(Debug)]
pub struct LocalTree {
    roots: Vec<Arc<Root>>,
    table: Table,
}

impl LocalTree {
    /// Serves `roots`, numbered from 0 as [`TreeId`]. Sets the process's umask to 0: modes come from
    /// the client. Keeps as many files open as the process may, apart from [`OTHER_DESCRIPTORS`].
    #[must_use]
    pub fn new(roots: Vec<Root>) -> LocalTree {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 16);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(1 << 16);
        // Those that read directories come on top.
        let limit = limit.saturating_sub(OTHER_DESCRIPTORS);
        LocalTree::with_descriptor_limit(roots, limit / 5 * 4)
    }

    /// Lets files that have lost their name be opened again, through `directory`: `/proc/self/fd`, best as a
    /// mount of its own from which no path leads further. Without it they are `ESTALE`.
    #[must_use]
    pub fn with_own_descriptors(mut self, directory: OwnedFd) -> LocalTree {
        self.table.own_descriptors = Some(directory);
        self
    }

    /// Like [`LocalTree::new`], with a number of descriptors to keep open at most; a quarter as many read directories.
    #[must_use]
    pub fn with_descriptor_limit(roots: Vec<Root>, limit: usize) -> LocalTree {
        umask(Mode::empty());
        LocalTree {
            roots: roots.into_iter().map(Arc::new).collect(),
            table: Table::new(limit.max(8)),
        }
    }
}

/// A node with the attributes just read.
fn found(node: &Node, attr: Attr) -> Found {
    Found {
        node: node.id,
        attr,
    }
}

impl HostTree for LocalTree {
    fn attach(&self, tree: TreeId) -> Result<Found> {
        let index = usize::try_from(tree.0).map_err(|_| Errno::ENOENT)?;
        let root = self.roots.get(index).ok_or(Errno::ENOENT)?;
        let fd = root.open(OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        let attr = stat_fd(fd.as_fd())?;
        let node = self.table.root(root, &attr)?;
        node.keep(fd, &self.table);
        Ok(found(&node, attr))
    }

    fn walk(&self, from: NodeId, steps: &[Step<'_>]) -> Result<Walk> {
        walk::walk(&self.table, from, steps)
    }

    fn attributes(&self, node: NodeId) -> Result<Attr> {
        self.table.get(node)?.stat(&self.table)
    }

    fn set_attributes(&self, node: NodeId, change: &SetAttr) -> Result<Attr> {
        attr::set(&self.table, node, change)
    }

    fn open(&self, node: NodeId, access: Access) -> Result<Opened> {
        open::open(&self.table, node, access)
    }

    fn create(&self, dir: NodeId, name: &[u8], access: Access, new: &NewFile) -> Result<Created> {
        open::create(&self.table, dir, name, access, new)
    }

    fn create_unnamed(&self, dir: NodeId, access: Access, new: &NewFile) -> Result<Created> {
        open::create_unnamed(&self.table, dir, access, new)
    }

    fn make_dir(&self, dir: NodeId, name: &[u8], new: &NewFile) -> Result<Made> {
        edit::make_dir(&self.table, dir, name, new)
    }

    fn symlink(&self, dir: NodeId, name: &[u8], target: &[u8], new: &NewFile) -> Result<Made> {
        edit::symlink(&self.table, dir, name, target, new)
    }

    fn make_node(&self, dir: NodeId, name: &[u8], new: &NewFile, _rdev: u64) -> Result<Made> {
        edit::make_node(&self.table, dir, name, new)
    }

    fn link(&self, node: NodeId, dir: NodeId, name: &[u8]) -> Result<Linked> {
        edit::link(&self.table, node, dir, name)
    }

    fn remove(
        &self,
        dir: NodeId,
        name: &[u8],
        what: Remove,
        known: Option<NodeId>,
    ) -> Result<Option<Attr>> {
        edit::remove(&self.table, dir, name, what, known)
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<Renamed> {
        edit::rename(&self.table, rename)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>> {
        walk::read_link(&self.table, node)
    }

    fn read_dir(&self, node: NodeId, cookie: u64, detail: Detail) -> Result<Listing> {
        dir::read(&self.table, node, cookie, detail)
    }

    fn stat_fs(&self, node: NodeId) -> Result<StatFs> {
        sys::stat_fs(self.table.get(node)?.path_fd(&self.table)?.as_fd())
    }

    fn sync(&self, node: NodeId, kind: SyncKind) -> Result<()> {
        attr::sync(&self.table, node, kind)
    }

    fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>> {
        xattr::get(&self.table, node, name)
    }

    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        xattr::set(&self.table, node, name, value, mode)
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<u8>> {
        xattr::list(&self.table, node)
    }

    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<()> {
        xattr::remove(&self.table, node, name)
    }

    fn connect(&self, node: NodeId, kind: SocketKind) -> Result<OwnedFd> {
        socket::connect(&self.table, node, kind)
    }

    fn close(&self, nodes: &[NodeId]) {
        self.table.give_back(nodes);
    }
}
