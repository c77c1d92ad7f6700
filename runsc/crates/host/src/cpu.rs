//! What the host's processor offers to programs, and which of several a thread runs on.

use rustix::thread::{CpuSet, Pid, sched_getcpu, sched_setaffinity};

/// The processor that the calling thread runs on now.
#[must_use]
pub fn current() -> u32 {
    u32::try_from(sched_getcpu()).unwrap_or(0)
}

/// Binds a thread, or the calling one, to processor `cpu`. One that there is not, or that it may not use,
/// leaves it where it is: whoever binds a thread wants it to be faster, and it is only slower then.
pub fn bind(thread: Option<Pid>, cpu: u32) {
    let Some(cpu) = usize::try_from(cpu)
        .ok()
        .filter(|cpu| *cpu < CpuSet::MAX_CPU)
    else {
        return;
    };
    let mut set = CpuSet::new();
    set.set(cpu);
    let _slower = sched_setaffinity(thread, &set);
}

/// The capability words of the auxiliary vector (`man 3 getauxval`).
#[derive(Clone, Copy, Debug)]
pub struct HardwareCapabilities {
    /// `AT_HWCAP`
    pub hwcap: u64,
    /// `AT_HWCAP2`
    pub hwcap2: u64,
    /// `AT_MINSIGSTKSZ` in bytes
    pub min_signal_stack: u64,
}

/// The words as this process got them.
#[must_use]
pub fn hardware_capabilities() -> HardwareCapabilities {
    let (hwcap, hwcap2) = rustix::param::linux_hwcap();
    let min_signal_stack = rustix::param::linux_minsigstksz() as u64;
    HardwareCapabilities {
        hwcap: hwcap as u64,
        hwcap2: hwcap2 as u64,
        min_signal_stack,
    }
}

/// What the host's `/proc/cpuinfo` says of its first processor, without the line of its number; empty where
/// there is no proc to read.
#[must_use]
pub fn description() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    first
        .lines()
        .filter(|line| !line.starts_with("processor"))
        .map(|line| format!("{line}\n"))
        .collect()
}
