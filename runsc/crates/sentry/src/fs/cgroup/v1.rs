//! The files of version 1, by controller (Documentation/admin-guide/cgroup-v1).

use std::fmt::Write as _;

use super::files::{Row, Show, Store, View, fixed, kept, limit, live};
use super::procs;
use crate::kernel::cgroup::Controller;
use crate::time::NANOS_PER_SEC;

/// No limit, as version 1 shows it: the largest number of whole pages.
const UNLIMITED: &str = "9223372036854771712\n";
/// What bounds memory and swap together.
const SWAP_LIMIT: &str = "memory.memsw.limit_in_bytes";
/// Ways to say so.
const NO_MEMORY_LIMIT: &[&str] = &["-1", "9223372036854771712", "9223372036854775807"];

const COMMON: &[Row] = &[
    Row {
        name: "cgroup.procs",
        show: Show::By(procs::processes),
        store: Store::By(procs::take_in),
    },
    Row {
        name: "tasks",
        show: Show::By(procs::threads),
        store: Store::By(procs::take_in),
    },
    kept("cgroup.clone_children", "0\n", 0, 1),
    kept("notify_on_release", "0\n", 0, 1),
];

const MEMORY: &[Row] = &[
    limit("memory.limit_in_bytes", memory_limit, NO_MEMORY_LIMIT),
    live("memory.usage_in_bytes", memory_usage),
    live("memory.max_usage_in_bytes", memory_peak),
    live("memory.failcnt", memory_failures),
    live("memory.stat", memory_stat),
    limit(
        "memory.soft_limit_in_bytes",
        |_| UNLIMITED.to_owned(),
        NO_MEMORY_LIMIT,
    ),
    limit(SWAP_LIMIT, memory_limit, NO_MEMORY_LIMIT),
    live("memory.memsw.usage_in_bytes", memory_usage),
    live("memory.memsw.max_usage_in_bytes", memory_peak),
    live("memory.memsw.failcnt", memory_failures),
    fixed("memory.kmem.limit_in_bytes", UNLIMITED),
    fixed("memory.kmem.usage_in_bytes", "0\n"),
    fixed("memory.kmem.max_usage_in_bytes", "0\n"),
    fixed("memory.kmem.failcnt", "0\n"),
    fixed("memory.kmem.tcp.limit_in_bytes", UNLIMITED),
    fixed("memory.kmem.tcp.usage_in_bytes", "0\n"),
    kept("memory.swappiness", "60\n", 0, 200),
    live("memory.oom_control", oom_control),
    fixed("memory.use_hierarchy", "1\n"),
    fixed("memory.move_charge_at_immigrate", "0\n"),
];

const CPU: &[Row] = &[
    Row {
        name: "cpu.shares",
        show: Show::By(cpu_shares),
        store: Store::Number(2, 262_144),
    },
    limit("cpu.cfs_quota_us", cpu_quota, &["-1"]),
    limit("cpu.cfs_period_us", cpu_period, &["100000"]),
    limit("cpu.cfs_burst_us", |_| "0\n".to_owned(), &["0"]),
    fixed(
        "cpu.stat",
        "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
    ),
    kept("cpu.idle", "0\n", 0, 1),
];

const CPUACCT: &[Row] = &[
    live("cpuacct.usage", |view| {
        format!("{}\n", view.usage().cpu_ns())
    }),
    live("cpuacct.usage_user", |view| {
        format!("{}\n", view.usage().user_ns)
    }),
    live("cpuacct.usage_sys", |view| {
        format!("{}\n", view.usage().system_ns)
    }),
    live("cpuacct.usage_percpu", per_processor),
    live("cpuacct.stat", ticks),
];

const CPUSET: &[Row] = &[
    limit("cpuset.cpus", cpus, &[]),
    limit("cpuset.mems", mems, &[]),
    live("cpuset.effective_cpus", cpus),
    live("cpuset.effective_mems", mems),
    fixed("cpuset.cpu_exclusive", "0\n"),
    fixed("cpuset.mem_exclusive", "0\n"),
    fixed("cpuset.mem_hardwall", "0\n"),
    fixed("cpuset.memory_migrate", "0\n"),
    fixed("cpuset.memory_pressure", "0\n"),
    fixed("cpuset.memory_spread_page", "0\n"),
    fixed("cpuset.memory_spread_slab", "0\n"),
    fixed("cpuset.sched_load_balance", "1\n"),
    fixed("cpuset.sched_relax_domain_level", "-1\n"),
];

const PIDS: &[Row] = &[
    live("pids.current", procs::task_count),
    Row {
        name: "pids.max",
        show: Show::By(procs::most_tasks),
        store: Store::By(procs::set_most_tasks),
    },
    live("pids.events", procs::refusals),
];

/// What is frozen is the whole container, from outside.
const FREEZER: &[Row] = &[
    limit("freezer.state", |_| "THAWED\n".to_owned(), &["THAWED"]),
    fixed("freezer.self_freezing", "0\n"),
    fixed("freezer.parent_freezing", "0\n"),
];

/// Devices that the kernel does not have can't be used, and the others are virtual.
const DEVICES: &[Row] = &[
    fixed("devices.list", "a *:* rwm\n"),
    Row {
        name: "devices.allow",
        show: Show::Never,
        store: Store::NoLimit(&["a", "a *:* rwm"]),
    },
    Row {
        name: "devices.deny",
        show: Show::Never,
        store: Store::NoLimit(&[]),
    },
];

/// There are no block devices.
const BLKIO: &[Row] = &[
    fixed("blkio.throttle.io_service_bytes", "Total 0\n"),
    fixed("blkio.throttle.io_service_bytes_recursive", "Total 0\n"),
    fixed("blkio.throttle.io_serviced", "Total 0\n"),
    fixed("blkio.throttle.io_serviced_recursive", "Total 0\n"),
    fixed("blkio.throttle.read_bps_device", ""),
    fixed("blkio.throttle.read_iops_device", ""),
    fixed("blkio.throttle.write_bps_device", ""),
    fixed("blkio.throttle.write_iops_device", ""),
    kept("blkio.weight", "500\n", 10, 1000),
];

/// The files of a group in a hierarchy of these controllers.
pub(super) fn rows(controllers: &[Controller]) -> Vec<&'static Row> {
    let mut rows: Vec<&'static Row> = COMMON.iter().collect();
    for controller in controllers {
        rows.extend(match controller {
            Controller::Memory => MEMORY,
            Controller::Cpu => CPU,
            Controller::Cpuacct => CPUACCT,
            Controller::Cpuset => CPUSET,
            Controller::Pids => PIDS,
            Controller::Freezer => FREEZER,
            Controller::Devices => DEVICES,
            Controller::Blkio => BLKIO,
        });
    }
    rows
}

fn memory_limit(view: &View<'_>) -> String {
    let limit = view.kernel().memory().limit();
    if view.group.is_root() && limit != u64::MAX {
        format!("{}\n", whole_pages(limit))
    } else {
        UNLIMITED.to_owned()
    }
}

/// As limits are kept: what is left of the last page does not count.
pub(super) const fn whole_pages(bytes: u64) -> u64 {
    bytes & !0xfff
}

fn memory_usage(view: &View<'_>) -> String {
    format!("{}\n", view.usage().memory())
}

/// The most memory that was in use, as far as it is known.
pub(super) fn memory_peak(view: &View<'_>) -> String {
    let now = view.usage().memory();
    if view.group.is_root() {
        format!("{}\n", now.max(view.kernel().memory().peak()))
    } else {
        format!("{now}\n")
    }
}

fn memory_failures(view: &View<'_>) -> String {
    let failures = if view.group.is_root() {
        view.kernel().memory().failures()
    } else {
        0
    };
    format!("{failures}\n")
}

fn oom_control(view: &View<'_>) -> String {
    let kills = if view.group.is_root() {
        view.kernel().oom.kills()
    } else {
        0
    };
    format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")
}

fn memory_stat(view: &View<'_>) -> String {
    let usage = view.usage();
    let limit = memory_limit(view);
    let swap_limit = view.kernel().cgroups.on_host(SWAP_LIMIT);
    let swap_limit = swap_limit.filter(|_| view.group.is_root());
    let swap_limit = swap_limit.as_ref().unwrap_or(&limit);
    let rows = [
        ("cache", usage.shared + usage.file),
        ("rss", usage.anonymous),
        ("rss_huge", 0),
        ("shmem", usage.shared),
        ("mapped_file", usage.shared),
        ("dirty", 0),
        ("writeback", 0),
        ("swap", 0),
        ("pgpgin", 0),
        ("pgpgout", 0),
        ("pgfault", usage.faults),
        ("pgmajfault", 0),
        ("inactive_anon", usage.shared),
        ("active_anon", usage.anonymous),
        ("inactive_file", usage.file),
        ("active_file", 0),
        ("unevictable", 0),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name} {value}");
    }
    let _ = write!(text, "hierarchical_memory_limit {limit}");
    let _ = write!(text, "hierarchical_memsw_limit {swap_limit}");
    for (name, value) in rows {
        let _ = writeln!(text, "total_{name} {value}");
    }
    text
}

fn cpu_shares(view: &View<'_>) -> String {
    let kept = || view.group.setting(view.row.name);
    let own = view.kernel().cgroups.limits().cpu_shares;
    let given = own.filter(|_| view.group.is_root());
    let shares = kept().or_else(|| given.map(|shares| shares.to_string()));
    format!("{}\n", shares.as_deref().unwrap_or("1024"))
}

fn cpu_quota(view: &View<'_>) -> String {
    let own = view.kernel().cgroups.limits().cpu_quota_us;
    let quota = own.filter(|quota| *quota > 0 && view.group.is_root());
    format!("{}\n", quota.unwrap_or(-1))
}

fn cpu_period(view: &View<'_>) -> String {
    let own = view.kernel().cgroups.limits().cpu_period_us;
    let period = own.filter(|period| *period > 0 && view.group.is_root());
    format!("{}\n", period.unwrap_or(100_000))
}

fn per_processor(view: &View<'_>) -> String {
    let processors = view.kernel().processors() as u64;
    let share = view.usage().cpu_ns() / processors.max(1);
    let mut text = format!("{share} ").repeat(view.kernel().processors());
    text.push('\n');
    text
}

/// In the unit of `sysconf(_SC_CLK_TCK)`, 100 a second.
fn ticks(view: &View<'_>) -> String {
    let usage = view.usage();
    let tick = NANOS_PER_SEC / 100;
    format!(
        "user {}\nsystem {}\n",
        usage.user_ns / tick,
        usage.system_ns / tick
    )
}

/// The processors of the container.
pub(super) fn cpus(view: &View<'_>) -> String {
    let limits = view.kernel().cgroups.limits();
    if !limits.cpus.is_empty() {
        return format!("{}\n", limits.cpus);
    }
    match view.kernel().processors() {
        1 => "0\n".to_owned(),
        count => format!("0-{}\n", count - 1),
    }
}

/// Its memory nodes.
pub(super) fn mems(view: &View<'_>) -> String {
    let limits = view.kernel().cgroups.limits();
    if limits.mems.is_empty() {
        "0\n".to_owned()
    } else {
        format!("{}\n", limits.mems)
    }
}
