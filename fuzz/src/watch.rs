//! The host's processes of a sandbox, and what they hold.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::finding::Finding;

/// What the host's processes of a container hold at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Descriptors of the sandbox.
    sandbox_fds: u64,
    /// Threads of the sandbox.
    sandbox_threads: u64,
    /// Memory of its own, beside the guest's.
    sandbox_anon_kib: u64,
    /// Mappings of the sandbox.
    sandbox_maps: u64,
    /// Descriptors of the gofer.
    gofer_fds: u64,
    /// Memory of the gofer.
    gofer_anon_kib: u64,
    /// All processes.
    processes: u64,
}

impl Sample {
    /// Of the container with this control group and sandbox.
    pub(crate) fn take(group: &str, sandbox: u32) -> Sample {
        let pids = processes(group);
        let gofer = pids.iter().find(|pid| is_gofer(**pid)).copied();
        Sample {
            sandbox_fds: entries(sandbox, "fd"),
            sandbox_threads: entries(sandbox, "task"),
            sandbox_anon_kib: anon_kib(sandbox),
            sandbox_maps: lines(sandbox, "maps"),
            gofer_fds: gofer.map_or(0, |pid| entries(pid, "fd")),
            gofer_anon_kib: gofer.map_or(0, anon_kib),
            processes: pids.len() as u64,
        }
    }

    /// What has grown from the quiet of one epoch to that of a later one, beyond what caches and pools may hold.
    pub(crate) fn growth(&self, first: &Sample) -> Vec<Finding> {
        [
            (
                "sandbox descriptors",
                self.sandbox_fds,
                first.sandbox_fds,
                1500,
            ),
            (
                "sandbox threads",
                self.sandbox_threads,
                first.sandbox_threads,
                64,
            ),
            (
                "sandbox KiB",
                self.sandbox_anon_kib,
                first.sandbox_anon_kib,
                48 << 10,
            ),
            (
                "sandbox mappings",
                self.sandbox_maps,
                first.sandbox_maps,
                2000,
            ),
            ("gofer descriptors", self.gofer_fds, first.gofer_fds, 1500),
            (
                "gofer KiB",
                self.gofer_anon_kib,
                first.gofer_anon_kib,
                48 << 10,
            ),
            ("processes", self.processes, first.processes, 64),
        ]
        .into_iter()
        .filter(|(_, now, then, more)| *now > then + more)
        .map(|(what, now, then, _)| {
            Finding::new(
                "growth",
                format!("{what}: {then} after the first epoch, {now} after a later one"),
            )
        })
        .collect()
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} fds {} threads {} KiB {} maps, gofer {} fds {} KiB, {} processes",
            self.sandbox_fds,
            self.sandbox_threads,
            self.sandbox_anon_kib,
            self.sandbox_maps,
            self.gofer_fds,
            self.gofer_anon_kib,
            self.processes
        )
    }
}

/// The host's processes in a control group of this name, in any hierarchy.
pub(crate) fn processes(group: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        groups.lines().any(|line| line.contains(group)) && !is_zombie(*pid)
    })
    .collect()
}

/// The host's processes whose command line has this state directory.
pub(crate) fn named(root: &Path) -> Vec<String> {
    let root = root.as_os_str().as_encoded_bytes();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let places = entries.map(|entry| entry.path());
    let named = places.filter(|place| {
        let command = fs::read(place.join("cmdline")).unwrap_or_default();
        command.windows(root.len()).any(|window| window == root)
    });
    named.map(|place| place.display().to_string()).collect()
}

/// The host's processes of a container and one more, with what their threads are doing.
pub(crate) fn describe(group: &str, run: u32) -> String {
    let mut text = String::new();
    for pid in processes(group).into_iter().chain([run]) {
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let read =
                |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let stack = read("stack").replace('\n', " ");
            let stack: String = stack.chars().take(200).collect();
            let stat = read("stat");
            let state = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next());
            text.push_str(&format!(
                "    {} {} {} {}: {} {stack}\n",
                pid,
                thread.file_name().display(),
                state.unwrap_or('?'),
                read("comm").trim(),
                read("syscall").trim()
            ));
        }
    }
    text
}

fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

fn is_gofer(pid: u32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0);
    words.any(|word| word == b"gofer" || word == b"runsc-gofer")
}

fn entries(pid: u32, what: &str) -> u64 {
    fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, |entries| entries.count() as u64)
}

fn lines(pid: u32, what: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
    text.lines().count() as u64
}

fn anon_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// Control groups of this name that are still there.
pub(crate) fn groups(group: &str) -> Vec<String> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    let places = hierarchies
        .map(|entry| entry.path())
        .chain(["/sys/fs/cgroup".into()]);
    let mut left: Vec<String> = Vec::new();
    for place in places {
        let entries = fs::read_dir(&place).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(group));
        left.extend(ours.map(|entry| entry.path().display().to_string()));
    }
    left
}

/// Mounts of the host beneath a directory.
pub(crate) fn mounts(directory: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let beneath = points.filter(|point| Path::new(point).starts_with(directory));
    beneath.map(str::to_owned).collect()
}
