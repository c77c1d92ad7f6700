//! What `CLONE_FS` shares: root, working directory, umask; and among whom.

use std::collections::HashMap;
use std::sync::Arc;

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::kernel::thread_group::ThreadGroup;
use crate::vfs::path::Path;

/// A task's file system context (`struct fs_struct`).
#[derive(Debug)]
pub struct FsContext {
    state: Mutex<FsState>,
    users: Mutex<Users>,
}

/// Who uses a context.
#[derive(Debug, Default)]
struct Users {
    /// How many tasks of each thread group, by its address.
    groups: HashMap<usize, u32>,
    /// A program of the only group is being executed.
    in_exec: bool,
}

/// A task's part in a context, until it is dropped or the task exits.
#[derive(Debug)]
pub struct FsUser {
    context: Arc<FsContext>,
    group: Option<usize>,
}

/// Whether a process has its context for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Yes.
    Alone,
    /// No: another process could change its root or working directory.
    Shared,
}

/// An `execve(2)` under way: nobody else can come to share the context.
#[derive(Debug)]
pub struct Executing<'a> {
    context: &'a FsContext,
    /// Whether somebody shares it already.
    pub sharing: Sharing,
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
            users: Mutex::default(),
        }
    }

    /// A copy for a child without `CLONE_FS`.
    #[must_use]
    pub fn fork(&self) -> FsContext {
        FsContext {
            state: Mutex::new(self.state.lock().clone()),
            users: Mutex::default(),
        }
    }

    /// A task of `group` uses it too; EAGAIN while a program is executed by those who have it alone, which
    /// decides on set-ID bits.
    pub fn share(self: &Arc<Self>, group: &Arc<ThreadGroup>) -> Result<FsUser> {
        let mut users = self.users.lock();
        if users.in_exec {
            return Err(Errno::EAGAIN);
        }
        Ok(self.join(&mut users, group))
    }

    /// The first use of a new context.
    #[must_use]
    pub fn used_by(self, group: &Arc<ThreadGroup>) -> FsUser {
        let context = Arc::new(self);
        let mut users = context.users.lock();
        context.join(&mut users, group)
    }

    fn join(self: &Arc<Self>, users: &mut Users, group: &Arc<ThreadGroup>) -> FsUser {
        let group = Arc::as_ptr(group).addr();
        *users.groups.entry(group).or_default() += 1;
        FsUser {
            context: self.clone(),
            group: Some(group),
        }
    }

    /// How many tasks use it.
    #[must_use]
    pub fn users(&self) -> u32 {
        self.users.lock().groups.values().sum()
    }

    /// Begins an `execve(2)` of a process that uses it.
    pub fn begin_exec(&self) -> Executing<'_> {
        let mut users = self.users.lock();
        let sharing = if users.groups.len() > 1 {
            Sharing::Shared
        } else {
            users.in_exec = true;
            Sharing::Alone
        };
        Executing {
            context: self,
            sharing,
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

impl FsUser {
    /// The context.
    #[must_use]
    pub fn context(&self) -> &Arc<FsContext> {
        &self.context
    }

    /// The task exits: it keeps the paths until it is gone, and shares them with nobody.
    pub fn leave(&mut self) {
        let Some(group) = self.group.take() else {
            return;
        };
        let mut users = self.context.users.lock();
        if let Some(count) = users.groups.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                users.groups.remove(&group);
            }
        }
    }
}

impl Drop for FsUser {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Executing<'_> {
    fn drop(&mut self) {
        if self.sharing == Sharing::Alone {
            self.context.users.lock().in_exec = false;
        }
    }
}
