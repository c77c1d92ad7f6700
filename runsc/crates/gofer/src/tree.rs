//! [`HostTree`]: the file operations that a Sentry may ask of the host.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::types::{
    Access, Attr, Created, Detail, Found, Linked, Listing, Made, NewFile, NodeId, Opened, Remove,
    Rename, Renamed, Result, SetAttr, SocketKind, StatFs, Step, SyncKind, TreeId, Walk, XattrMode,
};

/// Trees of host files: [`crate::LocalTree`] acts on them, [`crate::RemoteTree`] asks a gofer.
///
/// Every method may be called from any thread. Names are single components; `..` and symbolic links
/// are never followed, so a client resolves paths itself. Errors are those of the host's calls, and:
/// `ENOENT`/`EINVAL`/`ENAMETOOLONG` for a name that is no component, `EBADF` for a node that is not
/// known, `ESTALE` when the node's file is no longer where the client found it (walk again), `EROFS`
/// for changes of a read-only tree, `EXDEV` across trees, `EIO` if the gofer is gone.
///
/// A node is a file: whatever name a file is found by, the answer is the same node, until it is forgotten.
/// Each answer that names a node is a finding of it, except that of a walk that names the node which the
/// step already had. The client gives each finding back once; with the last the node is forgotten.
pub trait HostTree: Send + Sync + fmt::Debug {
    /// The root of a tree. `ENOENT` if there is no such tree.
    fn attach(&self, tree: TreeId) -> Result<Found>;

    /// Follows the components of `steps` from directory `from` as far as it goes.
    fn walk(&self, from: NodeId, steps: &[Step<'_>]) -> Result<Walk>;

    /// The node's attributes now.
    fn attributes(&self, node: NodeId) -> Result<Attr>;

    /// Changes attributes and returns the new ones.
    fn set_attributes(&self, node: NodeId, change: &SetAttr) -> Result<Attr>;

    /// Opens a regular file (`EISDIR`, `ELOOP` and `ENXIO` for what is none, unless the tree allows it).
    fn open(&self, node: NodeId, access: Access) -> Result<Opened>;

    /// Creates a regular file that must not exist, owned as `new` says, and opens it.
    fn create(&self, dir: NodeId, name: &[u8], access: Access, new: &NewFile) -> Result<Created>;

    /// Creates a regular file without a name in the file system of `dir` (`O_TMPFILE`).
    fn create_unnamed(&self, dir: NodeId, access: Access, new: &NewFile) -> Result<Created>;

    /// Creates a directory.
    fn make_dir(&self, dir: NodeId, name: &[u8], new: &NewFile) -> Result<Made>;

    /// Creates a symbolic link; its mode is not used.
    fn symlink(&self, dir: NodeId, name: &[u8], target: &[u8], new: &NewFile) -> Result<Made>;

    /// Creates a FIFO, a socket's name, or, where the tree allows it, a device `rdev`; a tree of host files does not.
    fn make_node(&self, dir: NodeId, name: &[u8], new: &NewFile, rdev: u64) -> Result<Made>;

    /// Gives `node` another name.
    fn link(&self, node: NodeId, dir: NodeId, name: &[u8]) -> Result<Linked>;

    /// Removes a name and returns the directory's attributes afterwards. `known` is the client's node of that name; it stays usable without a name.
    fn remove(
        &self,
        dir: NodeId,
        name: &[u8],
        what: Remove,
        known: Option<NodeId>,
    ) -> Result<Option<Attr>>;

    /// Renames, and lets the client's nodes follow.
    fn rename(&self, rename: &Rename<'_>) -> Result<Renamed>;

    /// The target of a symbolic link.
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>>;

    /// The entries of a directory after `cookie` (0 for the beginning).
    fn read_dir(&self, node: NodeId, cookie: u64, detail: Detail) -> Result<Listing>;

    /// The file system the node is on.
    fn stat_fs(&self, node: NodeId) -> Result<StatFs>;

    /// Writes the node to the disk.
    fn sync(&self, node: NodeId, kind: SyncKind) -> Result<()>;

    /// The value of an extended attribute. Only `user.*`, `security.capability` and POSIX ACLs are
    /// passed on; of `security.*` and `trusted.*` there is none, others are `EOPNOTSUPP`.
    fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>>;

    /// Sets an extended attribute.
    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()>;

    /// The names of the extended attributes that are passed on, each ended by NUL.
    fn list_xattrs(&self, node: NodeId) -> Result<Vec<u8>>;

    /// Removes an extended attribute.
    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<()>;

    /// Connects to the unix socket that `node` is; `ECONNREFUSED` unless the tree allows it.
    fn connect(&self, node: NodeId, kind: SocketKind) -> Result<OwnedFd>;

    /// Gives findings back, one for each time that a node is listed; unknown nodes are ignored.
    fn close(&self, nodes: &[NodeId]);
}
