//! The files in the root of proc that tell of the system as a whole.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::error::Result;
use crate::fs::synthetic::{Entry, FixedLink, Generated};
use crate::kernel::cgroup::{Controller, Kind};
use crate::kernel::task::{RunState, Task};
use crate::kernel::version;
use crate::time::NANOS_PER_SEC;

/// All of them.
pub(super) fn files() -> Vec<(&'static str, Entry)> {
    let file = |make: fn(&Task) -> Result<Vec<u8>>| Entry::file(Arc::new(Generated(make)));
    vec![
        ("cmdline", file(|_| Ok(b"runsc\n".to_vec()))),
        ("cgroups", file(cgroups)),
        ("cpuinfo", file(cpu_info)),
        ("devices", file(devices)),
        ("diskstats", file(|_| Ok(Vec::new()))),
        ("filesystems", file(file_systems)),
        ("interrupts", file(interrupts)),
        ("loadavg", file(load_average)),
        (
            "locks",
            file(|task| Ok(task.kernel().vfs.locked_inodes.text(task).into_bytes())),
        ),
        ("meminfo", file(memory_info)),
        ("misc", file(|_| Ok(Vec::new()))),
        ("modules", file(|_| Ok(Vec::new()))),
        ("mounts", Entry::link(Arc::new(FixedLink("self/mounts")))),
        ("net", Entry::link(Arc::new(FixedLink("self/net")))),
        (
            "partitions",
            file(|_| Ok(b"major minor  #blocks  name\n\n".to_vec())),
        ),
        ("stat", file(stat)),
        (
            "swaps",
            file(|_| Ok(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_vec())),
        ),
        ("uptime", file(uptime)),
        ("version", file(version)),
        ("vmstat", file(vm_stat)),
    ]
}

/// What the host's processors say of themselves, for as many as the application sees. The text is the host's
/// own, read once by those who set the kernel up; without it, the least that programs look for.
fn cpu_info(task: &Task) -> Result<Vec<u8>> {
    let kernel = task.kernel();
    let one = kernel.processor_description();
    let mut text = String::new();
    for number in 0..kernel.processors() {
        let _ = writeln!(text, "processor\t: {number}");
        text.push_str(one);
        text.push('\n');
    }
    Ok(text.into_bytes())
}

/// The controllers, the hierarchy of each and how many groups that has (`man 7 cgroups`).
fn cgroups(task: &Task) -> Result<Vec<u8>> {
    let hierarchies = task.kernel().cgroups.all();
    let mut text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n".to_owned();
    for controller in Controller::ALL {
        let own = hierarchies.iter().find(|hierarchy| {
            matches!(&hierarchy.kind, Kind::V1 { controllers, .. } if controllers.contains(&controller))
        });
        let unified = hierarchies.iter().find(|hierarchy| hierarchy.id == 0);
        let hierarchy = own.or(unified);
        let id = hierarchy.map_or(0, |hierarchy| hierarchy.id);
        let groups = hierarchy.map_or(1, |hierarchy| 1 + hierarchy.root.descendants());
        let _ = writeln!(text, "{}\t{id}\t{groups}\t1", controller.name());
    }
    Ok(text.into_bytes())
}

fn devices(_task: &Task) -> Result<Vec<u8>> {
    let text = "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n 10 misc\n136 pts\n\n\
                Block devices:\n";
    Ok(text.as_bytes().to_vec())
}

fn file_systems(_task: &Task) -> Result<Vec<u8>> {
    let names = [
        "sysfs", "tmpfs", "proc", "devtmpfs", "pipefs", "sockfs", "devpts", "mqueue", "overlay",
        "cgroup", "cgroup2", "9p",
    ];
    Ok(names
        .iter()
        .map(|name| format!("nodev\t{name}\n"))
        .collect::<String>()
        .into_bytes())
}

fn interrupts(task: &Task) -> Result<Vec<u8>> {
    let heads: String = (0..task.kernel().processors())
        .map(|cpu| format!("{:>11}", format!("CPU{cpu}")))
        .collect();
    Ok(format!("{:>4}{heads}\n", "").into_bytes())
}

/// Running tasks, all tasks.
fn task_counts(task: &Task) -> (usize, usize) {
    let tasks = task.kernel().root_pid_ns().tasks();
    let running = tasks
        .iter()
        .filter(|(_, task)| task.run_state() == RunState::Running)
        .count();
    (running.max(1), tasks.len())
}

fn load_average(task: &Task) -> Result<Vec<u8>> {
    let (running, all) = task_counts(task);
    let last = task.kernel().root_pid_ns().last_id();
    Ok(format!("0.00 0.00 0.00 {running}/{all} {last}\n").into_bytes())
}

fn memory_info(task: &Task) -> Result<Vec<u8>> {
    let total = task.kernel().total_memory();
    let usage = task.kernel().memory().usage();
    let free = total.saturating_sub(usage.total());
    let rows = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free + usage.cache),
        ("Buffers", 0),
        ("Cached", usage.cache + usage.shared),
        ("SwapCached", 0),
        ("Active", usage.anonymous),
        ("Inactive", usage.cache),
        ("Active(anon)", usage.anonymous),
        ("Inactive(anon)", usage.shared),
        ("Active(file)", 0),
        ("Inactive(file)", usage.cache),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", usage.anonymous),
        ("Mapped", usage.shared),
        ("Shmem", usage.shared),
        ("Slab", 0),
        ("CommitLimit", total),
        ("Committed_AS", usage.anonymous + usage.shared),
        ("VmallocTotal", 0),
        ("VmallocUsed", 0),
        ("HugePages_Total", 0),
        ("HugePages_Free", 0),
        ("Hugepagesize", 2 << 20),
    ];
    let mut text = String::new();
    for (name, bytes) in rows {
        let label = format!("{name}:");
        if name.starts_with("HugePages") {
            let _ = writeln!(text, "{label:<16}{bytes:>8}");
        } else {
            let _ = writeln!(text, "{label:<16}{:>8} kB", bytes / 1024);
        }
    }
    Ok(text.into_bytes())
}

fn stat(task: &Task) -> Result<Vec<u8>> {
    let kernel = task.kernel();
    let count = kernel.processors() as u64;
    let mut used = (0, 0);
    for (_, group) in kernel.root_pid_ns().groups() {
        let usage = group.usage();
        used = (used.0 + usage.user_ns, used.1 + usage.system_ns);
    }
    let tick = NANOS_PER_SEC / 100;
    let up_ns = kernel.clock().monotonic_ns();
    let idle = (up_ns * count).saturating_sub(used.0 + used.1);
    let mut text = format!(
        "cpu  {} 0 {} {} 0 0 0 0 0 0\n",
        used.0 / tick,
        used.1 / tick,
        idle / tick
    );
    for cpu in 0..count {
        let share = |ns: u64| ns / count / tick;
        let _ = writeln!(
            text,
            "cpu{cpu} {} 0 {} {} 0 0 0 0 0 0",
            share(used.0),
            share(used.1),
            share(idle)
        );
    }
    let (running, _) = task_counts(task);
    let boot = (kernel.clock().realtime_ns() - up_ns) / NANOS_PER_SEC;
    let processes = kernel.root_pid_ns().last_id();
    let _ = write!(
        text,
        "intr 0\nctxt 0\nbtime {boot}\nprocesses {processes}\nprocs_running {running}\nprocs_blocked 0\nsoftirq 0\n"
    );
    Ok(text.into_bytes())
}

fn uptime(task: &Task) -> Result<Vec<u8>> {
    let up = task.kernel().clock().monotonic_ns();
    let seconds = |ns: u64| {
        format!(
            "{}.{:02}",
            ns / NANOS_PER_SEC,
            ns % NANOS_PER_SEC / 10_000_000
        )
    };
    let used: u64 = task
        .kernel()
        .root_pid_ns()
        .groups()
        .iter()
        .map(|(_, group)| group.usage())
        .map(|usage| usage.user_ns + usage.system_ns)
        .sum();
    let idle = (up * task.kernel().processors() as u64).saturating_sub(used);
    Ok(format!("{} {}\n", seconds(up), seconds(idle)).into_bytes())
}

fn version(_task: &Task) -> Result<Vec<u8>> {
    Ok(format!("{}\n", version::line()).into_bytes())
}

fn vm_stat(task: &Task) -> Result<Vec<u8>> {
    let usage = task.kernel().memory().usage();
    let free = task.kernel().total_memory().saturating_sub(usage.total()) / 4096;
    let text = format!(
        "nr_free_pages {free}\nnr_anon_pages {}\nnr_file_pages {}\nnr_shmem {}\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n\
         pgfault 0\npgmajfault 0\n",
        usage.anonymous / 4096,
        usage.cache / 4096,
        usage.shared / 4096,
    );
    Ok(text.into_bytes())
}
