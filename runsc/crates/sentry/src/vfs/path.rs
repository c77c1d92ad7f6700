//! Paths: a place in the tree of mounts.

use std::sync::Arc;

use crate::kernel::task::Task;
use crate::vfs::dentry::Dentry;
use crate::vfs::inode::InodeRef;
use crate::vfs::mount::Mount;

/// A dentry under a mount: what a name resolves to, what an open file was opened by.
#[derive(Clone, Debug)]
pub struct Path {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The dentry in the mount's file system.
    pub dentry: Arc<Dentry>,
}

impl Path {
    /// The inode.
    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        self.dentry.inode()
    }

    /// The absolute path as `task` sees it, as `d_path` and `getcwd(2)` print it: ` (deleted)` behind an
    /// unlinked name, `(unreachable)` before one outside the task's root.
    #[must_use]
    pub fn text(&self, _task: &Task) -> Vec<u8> {
        todo!()
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

impl Eq for Path {}
