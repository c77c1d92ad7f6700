//! The guest's processes, as `runsc ps` shows them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use control::ProcessInfo;
use sentry::fs::tty::control::terminal_of;
use sentry::kernel::kernel::Kernel;
use sentry::kernel::task::Task;
use sentry::kernel::thread_group::ThreadGroup;

/// What of a command line is shown.
const MOST_ARGUMENT_BYTES: usize = 4096;
const NS_PER_SECOND: u64 = 1_000_000_000;

pub(crate) fn list(kernel: &Arc<Kernel>) -> Vec<ProcessInfo> {
    let groups = kernel.root_pid_ns().groups();
    groups
        .iter()
        .filter_map(|(pid, group)| describe(kernel, *pid, group))
        .collect()
}

fn describe(kernel: &Kernel, pid: u32, group: &Arc<ThreadGroup>) -> Option<ProcessInfo> {
    let leader = group.leader()?;
    if group.is_zombie() {
        return None;
    }
    let number = |id: u32| i32::try_from(id).unwrap_or(0);
    let usage = group.usage();
    let used_ns = usage.user_ns.saturating_add(usage.system_ns);
    let start_ns = group.start_ns.load(Ordering::Relaxed);
    let age_ns = kernel
        .clock()
        .monotonic_ns()
        .saturating_sub(start_ns)
        .max(1);
    let name = leader.own.lock().name.clone();
    let command = command(&name, &arguments(&leader));
    let space = leader.mm_if_alive().map(|mm| mm.space().clone());
    if let Some(space) = &space {
        // Engines list the host's processes next, by the ids that are returned.
        space.name_host_process(&name, command.as_bytes());
    }
    let started_ns = kernel.clock().realtime_ns().saturating_sub(age_ns);
    Some(ProcessInfo {
        uid: leader.credentials().euid,
        pid: number(pid),
        ppid: group.parent().map_or(0, |parent| number(parent.pid())),
        pgid: group.process_group().map_or(0, |g| number(g.numbers.own())),
        cpu_percent: u32::try_from(used_ns.saturating_mul(100) / age_ns).unwrap_or(0),
        tty: terminal(group),
        start_seconds: started_ns / NS_PER_SECOND,
        time_ms: used_ns / 1_000_000,
        command,
        host_pid: space.and_then(|space| space.host_pid()),
    })
}

/// The command line, with a zero behind each argument; empty if there is none any more.
fn arguments(leader: &Task) -> Vec<u8> {
    let Some(mm) = leader.mm_if_alive() else {
        return Vec::new();
    };
    let range = mm.layout().args;
    let mut bytes = vec![0; range.len().min(MOST_ARGUMENT_BYTES)];
    let len = mm.read_forced(range.start, &mut bytes).unwrap_or(0);
    bytes.truncate(len);
    bytes
}

/// The command line in one line; without one, the name as `ps` shows it then.
fn command(name: &[u8], arguments: &[u8]) -> String {
    let arguments: Vec<_> = arguments
        .strip_suffix(b"\0")
        .unwrap_or(arguments)
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let text = arguments.join(" ");
    if text.is_empty() {
        format!("[{}]", String::from_utf8_lossy(name))
    } else {
        text
    }
}

/// The controlling terminal as `ps` names it; slave ends have major numbers from 136 on.
fn terminal(group: &ThreadGroup) -> String {
    terminal_of(group).map_or_else(|| "?".to_owned(), |tty| format!("pts/{}", tty.device.minor))
}
