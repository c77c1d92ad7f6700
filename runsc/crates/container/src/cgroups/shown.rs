//! The limits that the application sees in its own control groups: what the host's files say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::cgroups::{Cgroup, Version};

/// Most bytes of one file.
const MOST_BYTES: u64 = 4096;

/// The files of version 1, by controller. The limits of memory and tasks are the kernel's own, which the host's differ
/// from.
const V1: [(&str, &[&str]); 4] = [
    (
        "cpu",
        &[
            "cpu.cfs_burst_us",
            "cpu.cfs_period_us",
            "cpu.cfs_quota_us",
            "cpu.idle",
            "cpu.shares",
        ],
    ),
    (
        "cpuset",
        &[
            "cpuset.cpu_exclusive",
            "cpuset.cpus",
            "cpuset.effective_cpus",
            "cpuset.effective_mems",
            "cpuset.mem_exclusive",
            "cpuset.mem_hardwall",
            "cpuset.memory_migrate",
            "cpuset.memory_spread_page",
            "cpuset.memory_spread_slab",
            "cpuset.mems",
            "cpuset.sched_load_balance",
            "cpuset.sched_relax_domain_level",
        ],
    ),
    (
        "memory",
        &[
            "memory.kmem.limit_in_bytes",
            "memory.kmem.tcp.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            "memory.soft_limit_in_bytes",
            "memory.swappiness",
        ],
    ),
    (
        "blkio",
        &[
            "blkio.throttle.read_bps_device",
            "blkio.throttle.read_iops_device",
            "blkio.throttle.write_bps_device",
            "blkio.throttle.write_iops_device",
            "blkio.weight",
        ],
    ),
];

/// The files of version 2.
const V2: &[&str] = &[
    "cpu.idle",
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "cpuset.cpus",
    "cpuset.cpus.effective",
    "cpuset.mems",
    "cpuset.mems.effective",
    "io.max",
    "io.weight",
    "memory.high",
    "memory.low",
    "memory.min",
    "memory.oom.group",
    "memory.swap.max",
];

impl Cgroup {
    /// The contents of those files, by name; those that the host lacks are left out.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<String, String> {
        let read = |controller: &str, names: &[&str]| -> Vec<(String, String)> {
            let Some(directory) = self.directory(controller) else {
                return Vec::new();
            };
            let files = names.iter().map(|name| (name, directory.join(name)));
            files
                .filter_map(|(name, path)| Some(((*name).to_owned(), text(&path)?)))
                .collect()
        };
        match self.version {
            Version::V1 => V1
                .iter()
                .flat_map(|(controller, names)| read(controller, names))
                .collect(),
            Version::V2 => read("", V2).into_iter().collect(),
        }
    }
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::cgroups::{Cgroup, Version};

    #[test]
    fn what_is_there_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
        write("cpu.shares", "300\n").unwrap();
        write("memory.limit_in_bytes", "1\n").unwrap();
        write("cpu.weight", "12\n").unwrap();
        let shown = |version, name: &str| {
            let path = directory.path().to_owned();
            let directories = BTreeMap::from([(name.to_owned(), path)]);
            let cgroup = Cgroup {
                version,
                directories,
                threads: None,
            };
            cgroup.shown().into_iter().collect::<Vec<_>>()
        };
        let pair = |name: &str, text: &str| vec![(name.to_owned(), text.to_owned())];
        assert_eq!(shown(Version::V1, "cpu"), pair("cpu.shares", "300\n"));
        assert_eq!(shown(Version::V2, ""), pair("cpu.weight", "12\n"));
        assert_eq!(shown(Version::V1, "memory"), []);
    }
}
