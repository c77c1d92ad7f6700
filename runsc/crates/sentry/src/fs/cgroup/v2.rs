//! The files of version 2 (Documentation/admin-guide/cgroup-v2.rst).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use abi::Errno;

use super::files::{Row, Show, Store, View, fixed, kept, limit, live};
use super::{procs, v1};
use crate::error::Result;
use crate::kernel::cgroup::{Controller, Group};

/// The file that gives controllers to the groups below.
pub(super) const SUBTREE_CONTROL: &str = "cgroup.subtree_control";

const CORE: &[Row] = &[
    live("cgroup.controllers", |view| {
        format!("{}\n", available(view.group).join(" "))
    }),
    live("cgroup.events", procs::events),
    limit("cgroup.freeze", |_| "0\n".to_owned(), &["0"]),
    Row {
        name: "cgroup.kill",
        show: Show::Never,
        store: Store::By(procs::kill),
    },
    limit("cgroup.max.depth", |_| "max\n".to_owned(), &["max"]),
    limit("cgroup.max.descendants", |_| "max\n".to_owned(), &["max"]),
    Row {
        name: "cgroup.procs",
        show: Show::By(procs::processes),
        store: Store::By(procs::take_in),
    },
    live("cgroup.stat", |view| {
        let below = view.group.descendants();
        format!("nr_descendants {below}\nnr_dying_descendants 0\n")
    }),
    Row {
        name: SUBTREE_CONTROL,
        show: Show::By(subtree_control),
        store: Store::By(set_subtree_control),
    },
    Row {
        name: "cgroup.threads",
        show: Show::By(procs::threads),
        store: Store::By(procs::take_in),
    },
    fixed("cgroup.type", "domain\n"),
    // Every group has it, whichever controllers it has.
    live("cpu.stat", cpu_stat),
];

const CPU: &[Row] = &[
    limit("cpu.max", cpu_max, &["max", "max 100000"]),
    limit("cpu.max.burst", |_| "0\n".to_owned(), &["0"]),
    Row {
        name: "cpu.weight",
        show: Show::By(cpu_weight),
        store: Store::Number(1, 10_000),
    },
    kept("cpu.idle", "0\n", 0, 1),
];

const CPUSET: &[Row] = &[
    limit("cpuset.cpus", own_cpus, &[""]),
    live("cpuset.cpus.effective", v1::cpus),
    limit("cpuset.mems", own_mems, &[""]),
    live("cpuset.mems.effective", v1::mems),
];

const IO: &[Row] = &[
    fixed("io.stat", ""),
    limit("io.max", |_| String::new(), &[]),
    kept("io.weight", "default 100\n", 1, 10_000),
];

const MEMORY: &[Row] = &[
    live("memory.current", |view| {
        format!("{}\n", view.usage().memory())
    }),
    live("memory.events", memory_events),
    live("memory.events.local", memory_events),
    limit("memory.high", |_| "max\n".to_owned(), &["max"]),
    limit("memory.low", |_| "0\n".to_owned(), &["0"]),
    limit("memory.max", memory_max, &["max"]),
    limit("memory.min", |_| "0\n".to_owned(), &["0"]),
    limit("memory.oom.group", |_| "0\n".to_owned(), &["0"]),
    live("memory.peak", v1::memory_peak),
    live("memory.stat", memory_stat),
    fixed("memory.swap.current", "0\n"),
    limit("memory.swap.max", |_| "max\n".to_owned(), &["max", "0"]),
];

const PIDS: &[Row] = &[
    live("pids.current", procs::task_count),
    live("pids.events", procs::refusals),
    Row {
        name: "pids.max",
        show: Show::By(procs::most_tasks),
        store: Store::By(procs::set_most_tasks),
    },
];

/// The files of a group: those of every group, and of the controllers that it was given.
pub(super) fn rows(group: &Arc<Group>) -> Vec<&'static Row> {
    let mut rows: Vec<&'static Row> = CORE.iter().collect();
    for name in available(group) {
        rows.extend(match name {
            "cpu" => CPU,
            "cpuset" => CPUSET,
            "io" => IO,
            "memory" => MEMORY,
            _ => PIDS,
        });
    }
    rows
}

fn all() -> Vec<&'static str> {
    let names = Controller::ALL.into_iter();
    names.filter_map(Controller::unified_name).collect()
}

/// The controllers that a group was given: all in the root, else those of its parent's list.
fn available(group: &Arc<Group>) -> Vec<&'static str> {
    let Some(parent) = group.parent() else {
        return all();
    };
    given_by(parent)
}

/// The controllers that a group gives to those below.
fn given_by(group: &Arc<Group>) -> Vec<&'static str> {
    let given = group.setting(SUBTREE_CONTROL).unwrap_or_default();
    let mut names = all();
    names.retain(|name| given.split(' ').any(|given| given == *name));
    names
}

fn subtree_control(view: &View<'_>) -> String {
    format!("{}\n", given_by(view.group).join(" "))
}

/// `+memory -pids`: ENOENT for a controller that the group does not have; EBUSY for giving what a group
/// below gives on, and for a group that is not the root and has members.
fn set_subtree_control(view: &View<'_>, text: &str) -> Result<()> {
    let group = view.group;
    let mut given: BTreeSet<&str> = given_by(group).into_iter().collect();
    let (own, had) = (available(group), given.len());
    for word in text.split_whitespace() {
        let (add, name) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(name), _) => (true, name),
            (_, Some(name)) => (false, name),
            _ => return Err(Errno::EINVAL),
        };
        if !all().contains(&name) {
            return Err(Errno::EINVAL);
        }
        if add {
            if !own.contains(&name) {
                return Err(Errno::ENOENT);
            }
            given.insert(name);
        } else {
            let below = group.children();
            if below
                .iter()
                .any(|(_, child)| given_by(child).contains(&name))
            {
                return Err(Errno::EBUSY);
            }
            given.remove(name);
        }
    }
    let has_members = || {
        !view
            .hierarchy
            .members(view.kernel(), group, false)
            .is_empty()
    };
    if !group.is_root() && given.len() > had && has_members() {
        return Err(Errno::EBUSY);
    }
    let names: Vec<&str> = given.into_iter().collect();
    group.set(SUBTREE_CONTROL, names.join(" "));
    Ok(())
}

fn cpu_stat(view: &View<'_>) -> String {
    let usage = view.usage();
    format!(
        "usage_usec {}\nuser_usec {}\nsystem_usec {}\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
        usage.cpu_ns() / 1000,
        usage.user_ns / 1000,
        usage.system_ns / 1000
    )
}

fn cpu_max(view: &View<'_>) -> String {
    let limits = view.kernel().cgroups.limits();
    let root = view.group.is_root();
    let period = limits.cpu_period_us.filter(|us| *us > 0 && root);
    let period = period.unwrap_or(100_000);
    match limits.cpu_quota_us.filter(|quota| *quota > 0 && root) {
        Some(quota) => format!("{quota} {period}\n"),
        None => format!("max {period}\n"),
    }
}

/// The weight that shares of version 1 amount to, as runc converts them: 2–262144 to 1–10000.
fn cpu_weight(view: &View<'_>) -> String {
    let own = view.kernel().cgroups.limits().cpu_shares;
    let given = own.filter(|shares| *shares >= 2 && view.group.is_root());
    let converted = given.map(|shares| 1 + (shares.min(262_144) - 2) * 9999 / 262_142);
    let kept = view.group.setting(view.row.name);
    let weight = kept.or_else(|| converted.map(|weight| weight.to_string()));
    format!("{}\n", weight.as_deref().unwrap_or("100"))
}

fn own_cpus(view: &View<'_>) -> String {
    let limits = view.kernel().cgroups.limits();
    let own = if view.group.is_root() {
        limits.cpus
    } else {
        String::new()
    };
    format!("{own}\n")
}

fn own_mems(view: &View<'_>) -> String {
    let limits = view.kernel().cgroups.limits();
    let own = if view.group.is_root() {
        limits.mems
    } else {
        String::new()
    };
    format!("{own}\n")
}

fn memory_max(view: &View<'_>) -> String {
    let limit = view.kernel().memory().limit();
    if view.group.is_root() && limit != u64::MAX {
        format!("{}\n", v1::whole_pages(limit))
    } else {
        "max\n".to_owned()
    }
}

fn memory_events(view: &View<'_>) -> String {
    let (failures, kills) = if view.group.is_root() {
        let kernel = view.kernel();
        (kernel.memory().failures(), kernel.oom.kills())
    } else {
        (0, 0)
    };
    format!("low 0\nhigh 0\nmax {failures}\noom {kills}\noom_kill {kills}\noom_group_kill 0\n")
}

fn memory_stat(view: &View<'_>) -> String {
    let usage = view.usage();
    let rows = [
        ("anon", usage.anonymous),
        ("file", usage.shared + usage.file),
        ("kernel", 0),
        ("kernel_stack", 0),
        ("pagetables", 0),
        ("sock", 0),
        ("shmem", usage.shared),
        ("file_mapped", usage.shared),
        ("file_dirty", 0),
        ("file_writeback", 0),
        ("swapcached", 0),
        ("anon_thp", 0),
        ("inactive_anon", usage.shared),
        ("active_anon", usage.anonymous),
        ("inactive_file", usage.file),
        ("active_file", 0),
        ("unevictable", 0),
        ("slab_reclaimable", 0),
        ("slab_unreclaimable", 0),
        ("slab", 0),
        ("pgfault", usage.faults),
        ("pgmajfault", 0),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name} {value}");
    }
    text
}
