//! `/proc/[pid]/ns`, id maps and mounts.

use std::sync::{Arc, Weak};

use abi::Errno;

use super::super::{alive, of_task};
use super::{View, living, may_inspect};
use crate::error::Result;
use crate::fs::nsfs;
use crate::fs::synthetic::{Body, Directory, Entry, Link};
use crate::kernel::setns;
use crate::kernel::task::Task;
use crate::kernel::user_namespace::{self, Extent, Kind};
use crate::vfs::attr::FileType;
use crate::vfs::inode::LinkTarget;
use crate::vfs::mount::{mount_info_text, mount_stats_text, mounts_text};

/// The links.
const NAMESPACES: [&str; 10] = [
    "cgroup",
    "ipc",
    "mnt",
    "net",
    "pid",
    "pid_for_children",
    "time",
    "time_for_children",
    "user",
    "uts",
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
        let name = NAMESPACES
            .iter()
            .find(|link| link.as_bytes() == name)
            .ok_or(Errno::ENOENT)?;
        let link = NamespaceLink {
            task: self.task.clone(),
            name,
        };
        Ok(of_task(&task, Body::Link(Arc::new(link)), 0o777))
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        Ok(NAMESPACES
            .iter()
            .map(|link| (link.as_bytes().to_vec(), FileType::Symlink))
            .collect())
    }
}

#[derive(Debug)]
struct NamespaceLink {
    task: Weak<Task>,
    name: &'static str,
}

impl Link for NamespaceLink {
    fn target(&self, viewer: &Task) -> Result<LinkTarget> {
        let task = alive(&self.task)?;
        may_inspect(viewer, &task)?;
        let namespace = setns::of_task(&task, self.name.as_bytes()).ok_or(Errno::ENOENT)?;
        Ok(LinkTarget::Jump(nsfs::path(task.kernel(), namespace)))
    }
}

pub(super) fn uid_map(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(map_text(view, Kind::User))
}

pub(super) fn gid_map(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(map_text(view, Kind::Group))
}

/// The ids outside are named as the reader's namespace does, or its parent if it is the reader's own.
fn map_text(view: &View<'_>, kind: Kind) -> Vec<u8> {
    let user_ns = view.task.credentials().user_ns.clone();
    let line =
        |inside: u32, outside: u32, count: u32| format!("{inside:>10} {outside:>10} {count:>10}\n");
    let shown = user_ns.shown(kind).iter();
    let shown: String = shown
        .map(|[inside, outside, count]| line(*inside, *outside, *count))
        .collect();
    if !shown.is_empty() {
        return shown.into_bytes();
    }
    let reader = view.viewer.credentials().user_ns.clone();
    let outer = match &user_ns.parent {
        Some(parent) if Arc::ptr_eq(&reader, &user_ns) => parent.clone(),
        _ => reader,
    };
    let (maps, outer_maps) = (user_ns.maps(), outer.maps());
    let (map, outer_map) = match kind {
        Kind::User => (maps.users, outer_maps.users),
        Kind::Group => (maps.groups, outer_maps.groups),
    };
    let lines = map.extents().iter().map(|extent| {
        let outside = outer_map.inward(extent.outside).unwrap_or(u32::MAX);
        line(extent.inside, outside, extent.count)
    });
    lines.collect::<String>().into_bytes()
}

pub(super) fn set_uid_map(view: &View<'_>, writer: &Task, bytes: &[u8]) -> Result<()> {
    set_map(view, writer, Kind::User, bytes)
}

pub(super) fn set_gid_map(view: &View<'_>, writer: &Task, bytes: &[u8]) -> Result<()> {
    set_map(view, writer, Kind::Group, bytes)
}

fn set_map(view: &View<'_>, writer: &Task, kind: Kind, bytes: &[u8]) -> Result<()> {
    if bytes.len() >= abi::PAGE_SIZE {
        return Err(Errno::EINVAL);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let lines: Vec<Extent> = text
        .trim_end_matches(['\n', '\0'])
        .split('\n')
        .map(parse_extent)
        .collect::<Option<_>>()
        .ok_or(Errno::EINVAL)?;
    let user_ns = view.task.credentials().user_ns.clone();
    user_namespace::write_map(writer, &user_ns, kind, &lines)
}

fn parse_extent(line: &str) -> Option<Extent> {
    let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
    let extent = Extent {
        inside: numbers.next()??,
        outside: numbers.next()??,
        count: numbers.next()??,
    };
    numbers.next().is_none().then_some(extent)
}

pub(super) fn setgroups(view: &View<'_>) -> Result<Vec<u8>> {
    let denies = view.task.credentials().user_ns.maps().denies_setgroups;
    let text: &[u8] = if denies { b"deny\n" } else { b"allow\n" };
    Ok(text.to_vec())
}

pub(super) fn set_setgroups(view: &View<'_>, writer: &Task, bytes: &[u8]) -> Result<()> {
    let allow = match bytes.trim_ascii_end() {
        b"allow" => true,
        b"deny" => false,
        _ => return Err(Errno::EINVAL),
    };
    let user_ns = view.task.credentials().user_ns.clone();
    user_namespace::set_setgroups(writer, &user_ns, allow)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse_extent;

    proptest! {
        #[test]
        fn a_line_is_three_numbers_or_refused(
            numbers in prop::collection::vec(any::<u32>(), 0..5),
            noise in ".{0,20}",
        ) {
            let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
            let read = parse_extent(&words.join(" "));
            prop_assert_eq!(read.is_some(), numbers.len() == 3);
            let extent = read.map(|extent| [extent.inside, extent.outside, extent.count].to_vec());
            prop_assert_eq!(extent.unwrap_or_default(), if numbers.len() == 3 { numbers } else { Vec::new() });
            parse_extent(&noise);
        }
    }
}
