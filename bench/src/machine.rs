//! The machine that the numbers are from.

use std::fs;

/// A few lines on the kernel, the processor, and how busy it is.
pub(crate) fn describe() -> String {
    let uname = rustix::system::uname();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Linux {} on {} CPUs, {}\nLoad at the start: {}\n",
        uname.release().to_string_lossy(),
        cpus,
        model().unwrap_or_else(|| "of an unknown model".to_owned()),
        load()
    )
}

/// The load averages.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

fn model() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
