//! The processes that descend from this one, and their memory.

use std::collections::BTreeMap;
use std::{fs, io};

use anyhow::Context as _;

/// Makes this process the one that orphans among its descendants fall to, so that no sandbox gets out of sight.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn adopt_orphans() -> anyhow::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context("become a subreaper")
}

/// Reaps the orphans that have ended. No child that is still wanted may run.
pub(crate) fn reap_orphans() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}

/// The ids of all descendants.
///
/// # Errors
/// `/proc` can't be read.
pub(crate) fn descendants() -> anyhow::Result<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let name = entry.context("read /proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(parent) = parent_of(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut left = vec![std::process::id()];
    while let Some(pid) = left.pop() {
        let of_this = children.remove(&pid).unwrap_or_default();
        left.extend(&of_this);
        found.extend(of_this);
    }
    Ok(found)
}

/// The parent in a line of `/proc/PID/stat`: the second field after the name, which may itself hold anything.
fn parent_of(stat: &str) -> Option<u32> {
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

/// A process's proportional share of the memory it maps, in KiB; 0 if it has ended.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn pss_kib(pid: u32) -> anyhow::Result<u32> {
    let path = format!("/proc/{pid}/smaps_rollup");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(pss_of(&text).unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        // A zombie has no memory.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(0),
        Err(error) => Err(error).context(path),
    }
}

/// The CPU time that a process's threads have had, in nanoseconds; 0 if it has ended.
pub(crate) fn cpu_ns(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    let of_task = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let times = tasks.flatten().filter_map(of_task);
    times.fold(0, u64::saturating_add)
}

fn pss_of(rollup: &str) -> Option<u32> {
    let value = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{parent_of, pss_of};

    #[test]
    fn parent_is_found_behind_any_name() {
        assert_eq!(parent_of("12 (a) S 9) R 7 1 1 0"), Some(7));
        assert_eq!(parent_of(""), None);
    }

    #[test]
    fn pss_is_not_taken_from_another_line() {
        let rollup = "00400000-7fff [rollup]\nRss: 9 kB\nPss:      123 kB\nPss_Dirty:  4 kB\n";
        assert_eq!(pss_of(rollup), Some(123));
    }
}
