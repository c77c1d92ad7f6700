//! `/proc/[pid]/{cwd,root,exe}`.

use std::sync::{Arc, Weak};

use abi::Errno;

use super::super::alive;
use super::may_inspect;
use crate::error::Result;
use crate::fs::synthetic::Link;
use crate::kernel::task::Task;
use crate::vfs::inode::LinkTarget;
use crate::vfs::path::Path;

struct ProcessLink {
    task: Weak<Task>,
    path: fn(&Task) -> Option<Path>,
}

impl std::fmt::Debug for ProcessLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessLink")
    }
}

impl Link for ProcessLink {
    fn target(&self, viewer: &Task) -> Result<LinkTarget> {
        let task = alive(&self.task)?;
        may_inspect(viewer, &task)?;
        (self.path)(&task)
            .map(LinkTarget::Jump)
            .ok_or(Errno::ENOENT)
    }
}

fn link(task: &Arc<Task>, path: fn(&Task) -> Option<Path>) -> Arc<dyn Link> {
    Arc::new(ProcessLink {
        task: Arc::downgrade(task),
        path,
    })
}

/// The working directory.
pub(super) fn cwd(task: &Arc<Task>) -> Arc<dyn Link> {
    link(task, |task| Some(task.fs().cwd()))
}

/// The root directory.
pub(super) fn root(task: &Arc<Task>) -> Arc<dyn Link> {
    link(task, |task| Some(task.fs().root()))
}

/// The program.
pub(super) fn exe(task: &Arc<Task>) -> Arc<dyn Link> {
    link(task, |task| {
        Some(task.running()?.program.executable.path().clone())
    })
}
