//! What control groups the host has, and where this process is in them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::cgroups::Version;
use crate::mount_info::{self, unescape};

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Its controllers, or `name=…`; the one of version 2 has one empty name.
    pub(super) names: Vec<String>,
    /// Where it is mounted.
    pub(super) mount_point: PathBuf,
    /// Where this process is in it.
    pub(super) own: PathBuf,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchies {
    pub(super) version: Version,
    pub(super) all: Vec<Hierarchy>,
}

impl Hierarchies {
    /// Those that this process sees.
    pub(super) fn of_host() -> Result<Hierarchies> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Ok(parse(&mount_info::read()?, &own))
    }

    /// Where a controller's hierarchy is mounted.
    pub(super) fn mount_point(&self, controller: &str) -> Option<&Path> {
        self.all
            .iter()
            .find(|hierarchy| hierarchy.names.iter().any(|name| name == controller))
            .map(|hierarchy| hierarchy.mount_point.as_path())
    }
}

/// The hierarchies of `mountinfo` (`man 5 proc`), with this process's places from `cgroup`. Version 2
/// counts only where no controller is mounted in version 1.
fn parse(mountinfo: &str, cgroup: &str) -> Hierarchies {
    let mut first: Vec<Hierarchy> = Vec::new();
    let mut second: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let mut after = after.split(' ');
        let (kind, options) = (after.next().unwrap_or(""), after.nth(1).unwrap_or(""));
        let Some(mount_point) = before.split(' ').nth(4).map(unescape) else {
            continue;
        };
        let names: Vec<String> = match kind {
            "cgroup" => options
                .split(',')
                .filter(|option| is_controller(option))
                .map(ToOwned::to_owned)
                .collect(),
            "cgroup2" => vec![String::new()],
            _ => continue,
        };
        let list = if kind == "cgroup" {
            &mut first
        } else {
            &mut second
        };
        if names.is_empty() || list.iter().any(|other| other.names == names) {
            continue;
        }
        let own = own_place(cgroup, &names);
        list.push(Hierarchy {
            names,
            mount_point: PathBuf::from(mount_point),
            own,
        });
    }
    if first.is_empty() {
        Hierarchies {
            version: Version::V2,
            all: second,
        }
    } else {
        Hierarchies {
            version: Version::V1,
            all: first,
        }
    }
}

/// The superblock's other options are flags of the mount.
fn is_controller(option: &str) -> bool {
    const FLAGS: [&str; 7] = [
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
        "nsdelegate",
    ];
    !FLAGS.contains(&option) && !option.starts_with("release_agent=")
}

fn own_place(cgroup: &str, names: &[String]) -> PathBuf {
    let place = cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let controllers = fields.nth(1)?;
        let path = fields.next()?;
        let same = controllers
            .split(',')
            .any(|controller| names.iter().any(|name| name == controller));
        same.then(|| PathBuf::from(path))
    });
    place.unwrap_or_else(|| PathBuf::from("/"))
}

#[cfg(test)]
mod tests {
    use super::{Version, parse};

    #[test]
    fn version_1_wins_where_both_are_mounted() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            34 31 0:38 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n\
            35 31 0:29 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n";
        let own = "2:cpu,cpuacct:/a/b\n1:name=systemd:/s\n0::/u\n";
        let found = parse(mounts, own);
        assert_eq!(found.version, Version::V1);
        let all: Vec<String> = found
            .all
            .iter()
            .map(|h| {
                format!(
                    "{:?} {} {}",
                    h.names,
                    h.mount_point.display(),
                    h.own.display()
                )
            })
            .collect();
        assert_eq!(
            all,
            [
                "[\"cpu\", \"cpuacct\"] /sys/fs/cgroup/cpu,cpuacct /a/b",
                "[\"name=systemd\"] /sys/fs/cgroup/systemd /s",
            ]
        );
    }

    #[test]
    fn version_2_alone() {
        let mounts = "30 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = parse(mounts, "0::/user.slice\n");
        assert_eq!(found.version, Version::V2);
        assert_eq!(found.all[0].names, [""]);
        assert_eq!(found.all[0].own.to_str(), Some("/user.slice"));
        assert_eq!(parse("garbage - x\n\n", "").all, []);
    }
}
