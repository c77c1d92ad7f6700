//! What `CLONE_FS` shares: root, working directory, umask.

use parking_lot::Mutex;

use crate::vfs::path::Path;

/// A task's file system context (`struct fs_struct`).
#[derive(Debug)]
pub struct FsContext {
    state: Mutex<FsState>,
}

#[derive(Clone, Debug)]
struct FsState {
    root: Path,
    cwd: Path,
    umask: u32,
}

impl FsContext {
    /// A context.
    #[must_use]
    pub fn new(root: Path, cwd: Path, umask: u32) -> FsContext {
        FsContext {
            state: Mutex::new(FsState {
                root,
                cwd,
                umask: umask & 0o777,
            }),
        }
    }

    /// A copy for a child without `CLONE_FS`.
    #[must_use]
    pub fn fork(&self) -> FsContext {
        FsContext {
            state: Mutex::new(self.state.lock().clone()),
        }
    }

    /// The root directory.
    pub fn root(&self) -> Path {
        self.state.lock().root.clone()
    }

    /// The working directory.
    pub fn cwd(&self) -> Path {
        self.state.lock().cwd.clone()
    }

    /// The file mode creation mask.
    pub fn umask(&self) -> u32 {
        self.state.lock().umask
    }

    /// `chroot(2)`
    pub fn set_root(&self, root: Path) {
        self.state.lock().root = root;
    }

    /// `chdir(2)`
    pub fn set_cwd(&self, cwd: Path) {
        self.state.lock().cwd = cwd;
    }

    /// Goes to `new` where it was at `old`, root and working directory (`pivot_root(2)`).
    pub fn replace(&self, old: &Path, new: &Path) {
        let mut state = self.state.lock();
        if state.root == *old {
            state.root = new.clone();
        }
        if state.cwd == *old {
            state.cwd = new.clone();
        }
    }

    /// `umask(2)`: returns the old one.
    pub fn set_umask(&self, umask: u32) -> u32 {
        std::mem::replace(&mut self.state.lock().umask, umask & 0o777)
    }
}
