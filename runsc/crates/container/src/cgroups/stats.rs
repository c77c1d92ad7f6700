//! What a container has used, read from its groups, in the form of runc's `events`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::cgroups::{Cgroup, Version, files};

/// Nanoseconds in one tick of `cpuacct.stat` (`man 7 time`: `USER_HZ` is 100).
const NS_PER_TICK: u64 = 10_000_000;

/// One sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct Stats {
    pub cpu: Cpu,
    pub memory: Memory,
    pub pids: Pids,
    pub blkio: BTreeMap<String, Vec<BlockEntry>>,
    pub hugetlb: BTreeMap<String, Entry>,
    pub network_interfaces: Vec<Interface>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct Cpu {
    pub usage: CpuUsage,
    pub throttling: Throttling,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct CpuUsage {
    pub total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    pub kernel: u64,
    pub user: u64,
}

/// How often the processor's quota was used up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct Memory {
    pub cache: u64,
    pub usage: Entry,
    pub swap: Entry,
    pub kernel: Entry,
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Entry,
    pub raw: BTreeMap<String, u64>,
}

/// One counter with its limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct Entry {
    pub limit: u64,
    pub usage: u64,
    pub max: u64,
    pub failcnt: u64,
}

/// Processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct Pids {
    pub current: u64,
    /// Left out when there is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// One device's traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct BlockEntry {
    pub major: u64,
    pub minor: u64,
    pub op: String,
    pub value: u64,
}

/// One interface's counters, as the host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are those of runc's events")]
pub struct Interface {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Stats {
    /// Reads the files of `cgroup`; those that are missing count as zero.
    #[must_use]
    pub fn read(cgroup: &Cgroup) -> Stats {
        let mut stats = match cgroup.version {
            Version::V1 => v1(cgroup),
            Version::V2 => cgroup.directory("").map(v2).unwrap_or_default(),
        };
        if stats.pids.limit == u64::MAX {
            stats.pids.limit = 0;
        }
        stats
    }
}

fn v1(cgroup: &Cgroup) -> Stats {
    let number = |controller: &str, file: &str| {
        let path = cgroup.directory(controller).map(|d| d.join(file));
        path.and_then(|path| files::number(&path)).unwrap_or(0)
    };
    let table = |controller: &str, file: &str| {
        let path = cgroup.directory(controller).map(|d| d.join(file));
        path.map(|path| files::table(&path)).unwrap_or_default()
    };
    let entry = |prefix: &str| Entry {
        limit: number("memory", &format!("memory.{prefix}limit_in_bytes")),
        usage: number("memory", &format!("memory.{prefix}usage_in_bytes")),
        max: number("memory", &format!("memory.{prefix}max_usage_in_bytes")),
        failcnt: number("memory", &format!("memory.{prefix}failcnt")),
    };
    let ticks = table("cpuacct", "cpuacct.stat");
    let ns = |key: &str| {
        ticks
            .get(key)
            .copied()
            .unwrap_or(0)
            .saturating_mul(NS_PER_TICK)
    };
    let throttling = table("cpu", "cpu.stat");
    let of = |table: &BTreeMap<String, u64>, key: &str| table.get(key).copied().unwrap_or(0);
    let raw = table("memory", "memory.stat");
    Stats {
        cpu: Cpu {
            usage: CpuUsage {
                total: number("cpuacct", "cpuacct.usage"),
                percpu: per_cpu(cgroup.directory("cpuacct")),
                kernel: ns("system"),
                user: ns("user"),
            },
            throttling: Throttling {
                periods: of(&throttling, "nr_periods"),
                throttled_periods: of(&throttling, "nr_throttled"),
                throttled_time: of(&throttling, "throttled_time"),
            },
        },
        memory: Memory {
            cache: of(&raw, "cache"),
            usage: entry(""),
            swap: entry("memsw."),
            kernel: entry("kmem."),
            kernel_tcp: entry("kmem.tcp."),
            raw,
        },
        pids: Pids {
            current: number("pids", "pids.current"),
            limit: number("pids", "pids.max"),
        },
        blkio: cgroup.directory("blkio").map(block_v1).unwrap_or_default(),
        hugetlb: cgroup
            .directory("hugetlb")
            .map(|directory| huge_pages(directory, Version::V1))
            .unwrap_or_default(),
        network_interfaces: Vec::new(),
    }
}

/// Each size's use of huge pages; a size is known by the file of its use.
fn huge_pages(directory: &Path, version: Version) -> BTreeMap<String, Entry> {
    let usage = match version {
        Version::V1 => ".usage_in_bytes",
        Version::V2 => ".current",
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let size = name.strip_prefix("hugetlb.")?.strip_suffix(usage)?;
            // `hugetlb.2MB.rsvd.current`: reserved, not used.
            let is_size = !size.contains('.');
            is_size.then(|| (size.to_owned(), huge_page_entry(directory, size, version)))
        })
        .collect()
}

fn huge_page_entry(directory: &Path, size: &str, version: Version) -> Entry {
    let path = |file: &str| directory.join(format!("hugetlb.{size}.{file}"));
    let number = |file: &str| files::number(&path(file)).unwrap_or(0);
    match version {
        Version::V1 => Entry {
            limit: number("limit_in_bytes"),
            usage: number("usage_in_bytes"),
            max: number("max_usage_in_bytes"),
            failcnt: number("failcnt"),
        },
        Version::V2 => Entry {
            limit: number("max"),
            usage: number("current"),
            max: 0,
            failcnt: files::table(&path("events")).remove("max").unwrap_or(0),
        },
    }
}

/// The interfaces of the network namespace of process `pid` (`man 5 proc_pid_net`, dev), unless that is
/// this process's own, whose traffic is not the container's alone.
#[must_use]
pub fn interfaces(pid: i32) -> Vec<Interface> {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let theirs = namespace(&pid.to_string());
    if theirs.is_none() || theirs == namespace("self") {
        return Vec::new();
    }
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    text.lines().filter_map(interface).collect()
}

/// `  eth0: 1296 16 0 0 0 0 0 0 1296 16 0 0 0 0 0 0`: eight counters each of what came and went.
fn interface(line: &str) -> Option<Interface> {
    let (name, counters) = line.split_once(':')?;
    let counters: Vec<u64> = counters
        .split_whitespace()
        .map_while(|counter| counter.parse().ok())
        .collect();
    let at = |index: usize| counters.get(index).copied();
    Some(Interface {
        name: name.trim().to_owned(),
        rx_bytes: at(0)?,
        rx_packets: at(1)?,
        rx_errors: at(2)?,
        rx_dropped: at(3)?,
        tx_bytes: at(8)?,
        tx_packets: at(9)?,
        tx_errors: at(10)?,
        tx_dropped: at(11)?,
    })
}

fn per_cpu(directory: Option<&Path>) -> Vec<u64> {
    let text = directory.and_then(|d| fs::read_to_string(d.join("cpuacct.usage_percpu")).ok());
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect()
}

fn block_v1(directory: &Path) -> BTreeMap<String, Vec<BlockEntry>> {
    let files = [
        (
            "ioServiceBytesRecursive",
            "blkio.throttle.io_service_bytes_recursive",
        ),
        (
            "ioServicedRecursive",
            "blkio.throttle.io_serviced_recursive",
        ),
    ];
    files
        .into_iter()
        .map(|(name, file)| {
            let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
            (
                name.to_owned(),
                text.lines().filter_map(block_line).collect(),
            )
        })
        .collect()
}

/// `8:0 Read 4096`; the total at the end has no device.
fn block_line(line: &str) -> Option<BlockEntry> {
    let mut fields = line.split(' ');
    let (major, minor) = fields.next()?.split_once(':')?;
    Some(BlockEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        op: fields.next()?.to_owned(),
        value: fields.next()?.parse().ok()?,
    })
}

fn v2(directory: &Path) -> Stats {
    let number = |file: &str| files::number(&directory.join(file)).unwrap_or(0);
    let cpu = files::table(&directory.join("cpu.stat"));
    let events = files::table(&directory.join("memory.events"));
    let raw = files::table(&directory.join("memory.stat"));
    let of = |table: &BTreeMap<String, u64>, key: &str| table.get(key).copied().unwrap_or(0);
    let ns = |key: &str| of(&cpu, key).saturating_mul(1000);
    Stats {
        cpu: Cpu {
            usage: CpuUsage {
                total: ns("usage_usec"),
                percpu: Vec::new(),
                kernel: ns("system_usec"),
                user: ns("user_usec"),
            },
            throttling: Throttling {
                periods: of(&cpu, "nr_periods"),
                throttled_periods: of(&cpu, "nr_throttled"),
                throttled_time: ns("throttled_usec"),
            },
        },
        memory: Memory {
            cache: of(&raw, "file"),
            usage: Entry {
                limit: number("memory.max"),
                usage: number("memory.current"),
                max: number("memory.peak"),
                failcnt: of(&events, "max"),
            },
            swap: Entry {
                limit: number("memory.swap.max"),
                usage: number("memory.swap.current"),
                ..Entry::default()
            },
            raw,
            ..Memory::default()
        },
        pids: Pids {
            current: number("pids.current"),
            limit: number("pids.max"),
        },
        hugetlb: huge_pages(directory, Version::V2),
        ..Stats::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Entry, Stats, interface};
    use crate::cgroups::{Cgroup, Version};

    #[test]
    fn version_1_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("cpuacct.usage", "12345\n"),
            ("cpuacct.usage_percpu", "5 6 \n"),
            ("cpuacct.stat", "user 3\nsystem 4\n"),
            ("memory.usage_in_bytes", "100\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.stat", "cache 7\nrss 8\n"),
            ("pids.current", "3\n"),
            ("pids.max", "max\n"),
            (
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 4096\nTotal 4096\n",
            ),
            ("hugetlb.2MB.limit_in_bytes", "4194304\n"),
            ("hugetlb.2MB.usage_in_bytes", "2097152\n"),
            ("hugetlb.2MB.max_usage_in_bytes", "4194304\n"),
            ("hugetlb.2MB.failcnt", "1\n"),
            ("hugetlb.2MB.rsvd.usage_in_bytes", "0\n"),
        ] {
            fs::write(directory.path().join(file), text).unwrap();
        }
        let names = ["cpuacct", "memory", "pids", "blkio", "hugetlb"];
        let cgroup = Cgroup {
            version: Version::V1,
            directories: names
                .map(|name| (name.to_owned(), directory.path().to_owned()))
                .into(),
            threads: None,
        };
        let stats = Stats::read(&cgroup);
        assert_eq!(stats.cpu.usage.total, 12345);
        assert_eq!(stats.cpu.usage.percpu, [5, 6]);
        assert_eq!(stats.cpu.usage.kernel, 40_000_000);
        assert_eq!((stats.memory.cache, stats.memory.usage.usage), (7, 100));
        assert_eq!((stats.pids.current, stats.pids.limit), (3, 0));
        assert_eq!(stats.blkio["ioServiceBytesRecursive"].len(), 1);
        let huge = Entry {
            limit: 4_194_304,
            usage: 2_097_152,
            max: 4_194_304,
            failcnt: 1,
        };
        assert_eq!(stats.hugetlb, [("2MB".to_owned(), huge)].into());
        assert_eq!(Stats::read(&Cgroup::default()).memory.usage.limit, 0);
    }

    #[test]
    fn version_2_counts_huge_pages() {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("hugetlb.1GB.current", "0\n"),
            ("hugetlb.1GB.max", "max\n"),
            ("hugetlb.1GB.events", "max 3\n"),
            ("hugetlb.1GB.rsvd.current", "0\n"),
        ] {
            fs::write(directory.path().join(file), text).unwrap();
        }
        let cgroup = Cgroup {
            version: Version::V2,
            directories: [(String::new(), directory.path().to_owned())].into(),
            threads: None,
        };
        let huge = Entry {
            limit: u64::MAX,
            failcnt: 3,
            ..Entry::default()
        };
        assert_eq!(
            Stats::read(&cgroup).hugetlb,
            [("1GB".to_owned(), huge)].into()
        );
    }

    #[test]
    fn lines_of_interfaces() {
        let line = "  eth0:    1296      16    1    2    0     0          0         0     900      10    3    4    0     0       0          0";
        let found = interface(line).unwrap();
        assert_eq!(
            (found.name.as_str(), found.rx_bytes, found.rx_packets),
            ("eth0", 1296, 16)
        );
        assert_eq!((found.rx_errors, found.rx_dropped), (1, 2));
        assert_eq!((found.tx_bytes, found.tx_packets), (900, 10));
        assert_eq!((found.tx_errors, found.tx_dropped), (3, 4));
        for other in [
            "Inter-|   Receive                    |  Transmit",
            "lo: 1 2 3",
            "a:b",
        ] {
            assert_eq!(interface(other), None, "{other}");
        }
    }
}
