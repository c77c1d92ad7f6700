//! The mount tables of `/proc/[pid]/{mounts,mountinfo,mountstats}` (`man 5 proc`).

use std::fmt::Write;
use std::sync::Arc;

use super::{Mount, MountFlags};
use crate::vfs::path::Path;

/// `/proc/[pid]/mounts` for a process whose root directory is `root`.
#[must_use]
pub fn mounts_text(root: &Path) -> String {
    let mut text = String::new();
    for (mount, place) in visible(root) {
        let _ = writeln!(
            text,
            "{} {} {} {}{} 0 0",
            escape(mount.source(), SOURCE),
            escape(&place, PATH),
            mount.fs.type_name(),
            mount.flags().text(),
            options(&mount),
        );
    }
    text
}

/// `/proc/[pid]/mountinfo` for a process whose root directory is `root`.
#[must_use]
pub fn mount_info_text(root: &Path) -> String {
    let mut text = String::new();
    for (mount, place) in visible(root) {
        let parent = mount.mountpoint().map_or(mount.id, |at| at.mount.id);
        let device = mount.fs.device();
        let _ = write!(
            text,
            "{} {} {}:{} {} {} {}",
            mount.id,
            parent,
            device.major,
            device.minor,
            escape(&root_name(&mount), PATH),
            escape(&place, PATH),
            mount.flags().text(),
        );
        if let Some(group) = mount.group_id() {
            let _ = write!(text, " shared:{group}");
        }
        if let Some(master) = mount.master_id() {
            let _ = write!(text, " master:{master}");
        }
        if mount.is_unbindable() {
            text.push_str(" unbindable");
        }
        let _ = writeln!(
            text,
            " - {} {} {}{}",
            mount.fs.type_name(),
            escape(mount.source(), SOURCE),
            access(&mount),
            options(&mount),
        );
    }
    text
}

/// `/proc/[pid]/mountstats` for a process whose root directory is `root`.
#[must_use]
pub fn mount_stats_text(root: &Path) -> String {
    let mut text = String::new();
    for (mount, place) in visible(root) {
        let _ = writeln!(
            text,
            "device {} mounted on {} with fstype {}",
            escape(mount.source(), SOURCE),
            escape(&place, PATH),
            mount.fs.type_name(),
        );
    }
    text
}

/// The path of what it shows, in its file system.
fn root_name(mount: &Arc<Mount>) -> Vec<u8> {
    let below = mount.root_path().text_in_file_system();
    match (mount.fs.root_name(), below.as_slice()) {
        (b"/", _) => below,
        (above, b"/") => above.to_vec(),
        (above, below) => [above, below].concat(),
    }
}

/// The mounts that a process rooted at `root` can reach, and where it sees them.
fn visible(root: &Path) -> Vec<(Arc<Mount>, Vec<u8>)> {
    let Some(namespace) = root.mount.namespace() else {
        return Vec::new();
    };
    let mut mounts = namespace.mounts();
    // As Linux lists them: in the order in which they came.
    mounts.sort_by_key(|mount| mount.id);
    mounts
        .into_iter()
        .filter_map(|mount| {
            let (place, reachable) = mount.root_path().text_from(root);
            reachable.then_some((mount, place))
        })
        .collect()
}

fn access(mount: &Mount) -> &'static str {
    if mount.flags().contains(MountFlags::READ_ONLY) {
        "ro"
    } else {
        "rw"
    }
}

fn options(mount: &Mount) -> String {
    let options = mount.fs.options();
    if options.is_empty() {
        options
    } else {
        format!(",{options}")
    }
}

/// What would break a line apart in a path.
const PATH: &[u8] = b" \t\n\\";
/// The same in a source, where Linux counts `#` too, which begins a comment in fstab.
const SOURCE: &[u8] = b" \t\n\\#";

/// Octal escapes, as Linux's `seq_path` and `mangle` write them.
fn escape(bytes: &[u8], special: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if special.contains(&byte) {
            text.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        } else {
            text.push(byte);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
