//! `/proc/[pid]/ns`, id maps and mounts.

use std::sync::{Arc, Weak};

use abi::Errno;

use super::super::{alive, of_task};
use super::{View, living, may_inspect};
use crate::error::Result;
use crate::fs::synthetic::{Body, Directory, Entry, Link};
use crate::kernel::task::Task;
use crate::vfs::attr::FileType;
use crate::vfs::inode::LinkTarget;
use crate::vfs::mount::{mount_info_text, mount_stats_text, mounts_text};

/// The inode number of one of a task's namespaces.
type Number = fn(&Task) -> u64;

/// Link name, name in the link's text, number.
const NAMESPACES: &[(&str, &str, Number)] = &[
    ("cgroup", "cgroup", |task| task.namespaces().cgroup_ino),
    ("ipc", "ipc", |task| task.namespaces().ipc_ino),
    ("mnt", "mnt", |task| {
        task.namespaces()
            .mounts
            .as_ref()
            .map_or(0, |mounts| mounts.ino)
    }),
    ("net", "net", |task| task.namespaces().net_ino),
    ("pid", "pid", |task| task.pid_namespace().ino),
    ("pid_for_children", "pid", |task| {
        task.child_pid_ns.lock().ino
    }),
    ("time", "time", |task| task.namespaces().time_ino),
    ("time_for_children", "time", |task| {
        task.namespaces().time_ino
    }),
    ("user", "user", |task| task.credentials().user_ns.ino),
    ("uts", "uts", |task| task.namespaces().uts.ino),
];

#[derive(Debug)]
struct NamespaceDirectory {
    task: Weak<Task>,
}

pub(super) fn directory(task: &Arc<Task>) -> Arc<dyn Directory> {
    Arc::new(NamespaceDirectory {
        task: Arc::downgrade(task),
    })
}

impl Directory for NamespaceDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        let task = living(&self.task)?;
        let (_, kind, number) = NAMESPACES
            .iter()
            .find(|(link, _, _)| link.as_bytes() == name)
            .ok_or(Errno::ENOENT)?;
        let link = NamespaceLink {
            task: self.task.clone(),
            kind,
            number: *number,
        };
        Ok(of_task(&task, Body::Link(Arc::new(link)), 0o777))
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        Ok(NAMESPACES
            .iter()
            .map(|(link, _, _)| (link.as_bytes().to_vec(), FileType::Symlink))
            .collect())
    }
}

struct NamespaceLink {
    task: Weak<Task>,
    kind: &'static str,
    number: Number,
}

impl std::fmt::Debug for NamespaceLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NamespaceLink({})", self.kind)
    }
}

impl Link for NamespaceLink {
    /// The text alone: it says which namespace, and leads nowhere (there is no nsfs yet to open and `setns`).
    fn target(&self, viewer: &Task) -> Result<LinkTarget> {
        let task = alive(&self.task)?;
        may_inspect(viewer, &task)?;
        Ok(LinkTarget::Path(
            format!("{}:[{}]", self.kind, (self.number)(&task)).into_bytes(),
        ))
    }
}

pub(super) fn uid_map(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(id_map(&view.task.credentials().user_ns.uid_map))
}

pub(super) fn gid_map(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(id_map(&view.task.credentials().user_ns.gid_map))
}

/// Without ranges, every id maps to itself.
fn id_map(ranges: &[[u32; 3]]) -> Vec<u8> {
    let row = |[inside, outside, count]: [u32; 3]| {
        format!("{inside:>10} {outside:>10} {count:>10}\n").into_bytes()
    };
    match ranges {
        [] => row([0, 0, u32::MAX]),
        ranges => ranges.iter().flat_map(|range| row(*range)).collect(),
    }
}

pub(super) fn mounts(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(mounts_text(&view.task.fs().root()).into_bytes())
}

pub(super) fn mount_info(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(mount_info_text(&view.task.fs().root()).into_bytes())
}

pub(super) fn mount_stats(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(mount_stats_text(&view.task.fs().root()).into_bytes())
}
