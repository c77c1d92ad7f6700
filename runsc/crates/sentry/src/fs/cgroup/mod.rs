//! The file systems `cgroup` and `cgroup2` (`man 7 cgroups`): [`crate::kernel::cgroup`] as directories.
//!
//! A directory is a group; its files are rows of the tables in [`v1`] and [`v2`], made up when they are
//! read. Making a directory makes a group, a number written to `cgroup.procs` moves a process.

mod files;
mod procs;
mod v1;
mod v2;

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::fs::synthetic::{
    Directory, Entry, FixedLink, StaticDirectory, SyntheticFs, SyntheticType,
};
use crate::kernel::Kernel;
use crate::kernel::cgroup::{Controller, Group, Hierarchy, Kind};
use crate::vfs::attr::FileType;
use crate::vfs::inode::FileSystem;

use files::{GroupFile, Row};

const V1: SyntheticType = SyntheticType {
    name: "cgroup",
    magic: 0x0027_e0eb, // CGROUP_SUPER_MAGIC
    block_size: 4096,
};
const V2: SyntheticType = SyntheticType {
    name: "cgroup2",
    magic: 0x6367_7270, // CGROUP2_SUPER_MAGIC
    block_size: 4096,
};
/// What the directory above those of version 1 is.
const TMPFS: SyntheticType = SyntheticType {
    name: "tmpfs",
    magic: 0x0102_1994, // TMPFS_MAGIC
    block_size: 4096,
};

/// A mount of the hierarchy `kind`, made if there is none.
///
/// # Errors
/// EBUSY if a controller belongs to another hierarchy.
pub fn new(kernel: &Arc<Kernel>, kind: &Kind) -> Result<Arc<SyntheticFs>> {
    let hierarchy = kernel.cgroups.mount(kind)?;
    let fs_type = match kind {
        Kind::Unified => V2,
        Kind::V1 { .. } => V1,
    };
    let group = hierarchy.root.clone();
    let root = Entry::directory(Arc::new(GroupDirectory { hierarchy, group }));
    let device = kernel.vfs.anonymous_device();
    let root = root.with_permissions(0o755);
    Ok(SyntheticFs::with_options(
        fs_type,
        device,
        root,
        kind.text(),
    ))
}

/// The hierarchies of version 1 as distributions mount them: directory and kind.
#[must_use]
pub fn v1_layout() -> Vec<(&'static str, Kind)> {
    vec![
        ("systemd", Kind::named("systemd")),
        ("cpuset", Kind::v1(&[Controller::Cpuset])),
        (
            "cpu,cpuacct",
            Kind::v1(&[Controller::Cpu, Controller::Cpuacct]),
        ),
        ("blkio", Kind::v1(&[Controller::Blkio])),
        ("memory", Kind::v1(&[Controller::Memory])),
        ("devices", Kind::v1(&[Controller::Devices])),
        ("freezer", Kind::v1(&[Controller::Freezer])),
        ("pids", Kind::v1(&[Controller::Pids])),
    ]
}

/// What `/sys/fs/cgroup` itself is with version 1: a directory for each hierarchy, and links.
#[must_use]
pub fn v1_root(kernel: &Arc<Kernel>) -> Arc<SyntheticFs> {
    let empty = || Entry::directory(StaticDirectory::new([])).with_permissions(0o755);
    let link = |target| Entry::link(Arc::new(FixedLink(target)));
    let entries = v1_layout()
        .into_iter()
        .map(|(name, _)| (name, empty()))
        .chain([
            ("cpu", link("cpu,cpuacct")),
            ("cpuacct", link("cpu,cpuacct")),
        ]);
    let root = Entry::directory(StaticDirectory::new(entries)).with_permissions(0o755);
    let device = kernel.vfs.anonymous_device();
    SyntheticFs::with_options(TMPFS, device, root, "mode=755".to_owned())
}

/// What `mount(2)` of these types makes.
///
/// # Errors
/// EINVAL, ENOENT, EBUSY.
pub fn mount(kernel: &Arc<Kernel>, unified: bool, options: &[u8]) -> Result<Arc<dyn FileSystem>> {
    let options = std::str::from_utf8(options).map_err(|_| Errno::EINVAL)?;
    if !unified {
        return Ok(new(kernel, &Kind::parse(options)?)?);
    }
    let known = [
        "nsdelegate",
        "favordynmods",
        "memory_localevents",
        "memory_recursiveprot",
    ];
    let mut options = options.split(',').filter(|option| !option.is_empty());
    if !options.all(|option| known.contains(&option)) {
        return Err(Errno::EINVAL);
    }
    Ok(new(kernel, &Kind::Unified)?)
}

/// A group's directory.
#[derive(Debug)]
struct GroupDirectory {
    hierarchy: Arc<Hierarchy>,
    group: Arc<Group>,
}

impl GroupDirectory {
    fn rows(&self) -> Vec<&'static Row> {
        match &self.hierarchy.kind {
            Kind::Unified => v2::rows(&self.group),
            Kind::V1 { controllers, .. } => v1::rows(controllers),
        }
    }
}

impl Directory for GroupDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        if let Some(row) = self
            .rows()
            .into_iter()
            .find(|row| row.name.as_bytes() == name)
        {
            let file = GroupFile {
                hierarchy: self.hierarchy.clone(),
                group: self.group.clone(),
                row,
            };
            return Ok(Entry::file(Arc::new(file)).with_permissions(row.permissions()));
        }
        let group = self.group.child(name).ok_or(Errno::ENOENT)?;
        let identity = group.serial();
        let directory = GroupDirectory {
            hierarchy: self.hierarchy.clone(),
            group,
        };
        Ok(Entry {
            identity,
            ..Entry::directory(Arc::new(directory)).with_permissions(0o755)
        })
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        let files = self
            .rows()
            .into_iter()
            .map(|row| row.name.as_bytes().to_vec());
        let files = files.map(|name| (name, FileType::Regular));
        let groups = self.group.children().into_iter();
        let groups = groups.map(|(name, _)| (name, FileType::Directory));
        Ok(files.chain(groups).collect())
    }

    fn make_directory(&self, name: &[u8]) -> Result<()> {
        if self.rows().iter().any(|row| row.name.as_bytes() == name) {
            return Err(Errno::EEXIST);
        }
        self.group.make(name).map(drop)
    }

    fn remove_directory(&self, name: &[u8]) -> Result<()> {
        self.hierarchy.remove(&self.group, name)
    }
}
