//! The sandbox's own threads, which the spec's limit on processes does not mean: it counts the
//! guest's, and the kernel inside enforces it. On the host they are counted where they can do no harm.
//!
//! Version 1 has a hierarchy for them: the group of the controller `pids` has the spec's limit and
//! holds the sandbox's first thread, a group beside it (`ID.runsc`) holds all others. Version 2 has one
//! hierarchy for all, so that the group's limit must leave room for them.

use std::fs;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;

use crate::cgroups::{Cgroup, files};
use crate::{ContainerError, Result};

/// What the sandbox may need in threads for each of the guest's, and for itself.
const THREADS_PER_TASK: i64 = 2;
const THREADS_OF_SANDBOX: i64 = 64;

/// The host's limit, in the words of `pids.max`, for a guest that may have `limit` tasks.
pub(super) fn limit_with_room(limit: i64) -> String {
    if limit < 0 {
        return "max".to_owned();
    }
    let most = limit.saturating_mul(THREADS_PER_TASK);
    most.saturating_add(THREADS_OF_SANDBOX).to_string()
}

/// The spec's limit; none if it says nothing of one.
fn limit_of(resources: &LinuxResources) -> Option<i64> {
    let limit = resources.pids().as_ref().map(|pids| pids.limit());
    limit.filter(|limit| *limit != 0)
}

impl Cgroup {
    /// Makes the group beside the one whose limit is the guest's, if there is one to be, and sets how
    /// many threads it may have.
    pub(super) fn count_threads_apart(&mut self, resources: &LinuxResources) -> Result<()> {
        let Some(limit) = limit_of(resources) else {
            return Ok(());
        };
        if self.threads.is_none() && limit > 0 {
            let Some(directory) = self.directories.get("pids") else {
                return Ok(());
            };
            let threads = apart(directory);
            fs::create_dir_all(&threads)
                .map_err(ContainerError::path("make control group", &threads))?;
            self.threads = Some(threads);
        }
        match &self.threads {
            Some(threads) => files::write(&threads.join("pids.max"), &limit_with_room(limit)),
            None => Ok(()),
        }
    }

    /// Moves what runs in the group whose limit is the guest's to the one beside it, but for the
    /// sandbox's first thread.
    pub(super) fn move_threads_apart(&self, sandbox: i32) -> Result<()> {
        let (Some(threads), Some(directory)) = (&self.threads, self.directories.get("pids")) else {
            return Ok(());
        };
        // What is made meanwhile is made in its parent's group: there is an end to this.
        while let Some(process) = next_process(directory, sandbox)? {
            match files::try_write(&threads.join("cgroup.procs"), &process) {
                Err(error) if error.raw_os_error() == Some(host::Errno::ESRCH.raw()) => {}
                moved => moved.map_err(ContainerError::path("move to control group", threads))?,
            }
        }
        self.count_sandbox(sandbox);
        Ok(())
    }

    /// Puts the sandbox's first thread where the spec's limit on processes is.
    pub fn count_sandbox(&self, sandbox: i32) {
        if let (Some(_), Some(directory)) = (&self.threads, self.directories.get("pids")) {
            let path = directory.join("tasks");
            if let Err(error) = files::try_write(&path, &sandbox.to_string()) {
                tracing::warn!(path = %path.display(), %error, "the sandbox is not counted");
            }
        }
    }
}

/// The group for those threads, beside the container's.
pub(super) fn apart(directory: &Path) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(".runsc");
    directory.with_file_name(name)
}

/// A process with threads in the group, other than one whose first thread alone is there.
fn next_process(directory: &Path, but: i32) -> Result<Option<String>> {
    let path = directory.join("tasks");
    let tasks = fs::read_to_string(&path).map_err(ContainerError::path("read", path))?;
    let but = but.to_string();
    Ok(tasks.lines().find(|task| *task != but).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::limit_with_room;

    #[test]
    fn there_is_room_for_the_sandbox() {
        assert_eq!(limit_with_room(5), "74");
        assert_eq!(limit_with_room(-1), "max");
        assert_eq!(limit_with_room(i64::MAX), i64::MAX.to_string());
    }
}
