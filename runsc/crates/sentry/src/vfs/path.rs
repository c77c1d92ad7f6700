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

    /// The absolute path as `task` sees it, as the links of `/proc/[pid]/fd` show it: ` (deleted)`
    /// behind a name that was removed; from the topmost mount if it is outside the task's root.
    #[must_use]
    pub fn text(&self, task: &Task) -> Vec<u8> {
        let (mut text, _) = self.text_from(&task.fs().root());
        if self.dentry.is_deleted() {
            text.extend_from_slice(b" (deleted)");
        }
        text
    }

    /// As `getcwd(2)` gives it; none if the name was removed (ENOENT).
    #[must_use]
    pub fn text_for_cwd(&self, task: &Task) -> Option<Vec<u8>> {
        if self.dentry.is_deleted() {
            return None;
        }
        let (text, reachable) = self.text_from(&task.fs().root());
        Some(if reachable {
            text
        } else {
            [b"(unreachable)", text.as_slice()].concat()
        })
    }

    /// The names from `root` (or else from the topmost mount) to here, and whether `root` was met.
    #[must_use]
    pub fn text_from(&self, root: &Path) -> (Vec<u8>, bool) {
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut here = self.clone();
        let reachable = loop {
            if here == *root {
                break true;
            }
            if Arc::ptr_eq(&here.dentry, here.mount.root()) {
                match here.mount.mountpoint() {
                    Some(place) => {
                        here = place;
                        continue;
                    }
                    None => break false,
                }
            }
            let (parent, name) = here.dentry.place();
            let Some(parent) = parent else {
                if here.dentry.is_anonymous() {
                    return (name, true);
                }
                break false;
            };
            names.push(name);
            here.dentry = parent;
        };
        (join(names), reachable)
    }

    /// The names from the root of the file system to here.
    #[must_use]
    pub fn text_in_file_system(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut here = self.dentry.clone();
        while let (Some(parent), name) = here.place() {
            names.push(name);
            here = parent;
        }
        join(names)
    }

    /// The root of the topmost mount at this place, or the place itself.
    #[must_use]
    pub fn topmost(&self) -> Path {
        let mut here = self.clone();
        while let Some(child) = here.mount.child_at(&here.dentry) {
            here = child.root_path();
        }
        here
    }

    /// Whether it is `ancestor` or below it, across mounts.
    #[must_use]
    pub fn is_reachable_from(&self, ancestor: &Path) -> bool {
        self.text_from(ancestor).1
    }

    /// The directory above, seen by a process whose root directory is `root` (`..`).
    #[must_use]
    pub fn parent(&self, root: &Path) -> Path {
        let mut here = self.clone();
        loop {
            if here == *root {
                return here;
            }
            if Arc::ptr_eq(&here.dentry, here.mount.root()) {
                let Some(place) = here.mount.mountpoint() else {
                    return here;
                };
                here = place;
                continue;
            }
            let Some(parent) = here.dentry.parent() else {
                return here;
            };
            return Path {
                mount: here.mount,
                dentry: parent,
            }
            .topmost();
        }
    }

    /// The child `dentry` of this directory.
    #[must_use]
    pub fn child(&self, dentry: Arc<Dentry>) -> Path {
        Path {
            mount: self.mount.clone(),
            dentry,
        }
    }
}

/// `/a/b` from names that are listed last first.
fn join(names: Vec<Vec<u8>>) -> Vec<u8> {
    if names.is_empty() {
        return b"/".to_vec();
    }
    let mut text = Vec::new();
    for name in names.iter().rev() {
        text.push(b'/');
        text.extend_from_slice(name);
    }
    text
}

impl PartialEq for Path {
    fn eq(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

impl Eq for Path {}
