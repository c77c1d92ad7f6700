//! `/proc/[pid]/{stat,statm,io,schedstat}` and `children`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use abi::PAGE_SIZE;

use super::View;
use crate::error::Result;
use crate::fs::tty::control::terminal_of;
use crate::kernel::exit::status_of;
use crate::kernel::pids::ProcessGroup;
use crate::kernel::task::RunState;
use crate::time::NANOS_PER_SEC;

/// Nanoseconds in a clock tick: `sysconf(_SC_CLK_TCK)` is 100.
const TICK_NS: u64 = NANOS_PER_SEC / 100;

/// The letter of a state.
pub(super) fn letter(state: RunState) -> char {
    match state {
        RunState::Running => 'R',
        RunState::Sleeping => 'S',
        RunState::Stopped => 'T',
        RunState::Traced => 't',
        RunState::Zombie => 'Z',
        RunState::Dead => 'X',
    }
}

/// The id of a process group as the instance's namespace sees it.
fn group_ids(view: &View<'_>) -> (u32, u32) {
    let ids = |group: &std::sync::Arc<ProcessGroup>| {
        (
            group.numbers.in_namespace(view.namespace),
            group.session.numbers.in_namespace(view.namespace),
        )
    };
    view.task
        .group()
        .process_group()
        .as_ref()
        .map_or((0, 0), ids)
}

/// Used time, user and system, of the thread or of the whole group.
fn times(view: &View<'_>) -> (u64, u64) {
    if view.whole {
        let usage = view.task.group().usage();
        (usage.user_ns, usage.system_ns)
    } else {
        view.task.cpu_time()
    }
}

/// Device number of the controlling terminal and its foreground process group; 0 and −1 without one.
fn terminal(view: &View<'_>) -> (u64, i64) {
    terminal_of(view.task.group()).map_or((0, -1), |tty| {
        let foreground = tty.foreground(view.namespace);
        (tty.device.encode(), i64::from(foreground))
    })
}

/// The 52 fields of `man 5 proc_pid_stat`.
pub(super) fn stat(view: &View<'_>) -> Result<Vec<u8>> {
    let task = view.task;
    let group = task.group();
    let own = task.own.lock().clone();
    let mm = task.mm_if_alive();
    let memory = mm.as_ref().map(|mm| mm.statistics()).unwrap_or_default();
    let layout = mm.as_ref().map(|mm| mm.layout()).unwrap_or_default();
    let (process_group, session) = group_ids(view);
    let (terminal, foreground) = terminal(view);
    let (user_ns, system_ns) = times(view);
    let usage = group.usage();
    let children = group.children_usage();
    let id = task.tid_in(view.namespace);
    let parent = group
        .parent()
        .map_or(0, |parent| parent.pid_in(view.namespace));
    let start = group.start_ns.load(Ordering::Relaxed) / TICK_NS;
    let signals = task.signal_report();
    let mut line = format!("{id} (").into_bytes();
    line.extend(&own.name);
    let mut rest = String::new();
    let _ = write!(
        rest,
        ") {} {parent} {process_group} {session} {terminal} {foreground} 4194304 {} 0 0 0",
        letter(task.run_state()),
        usage.minor_faults,
    );
    let _ = write!(
        rest,
        " {} {} {} {} {} {} {} 0 {start}",
        user_ns / TICK_NS,
        system_ns / TICK_NS,
        children.user_ns / TICK_NS,
        children.system_ns / TICK_NS,
        20 + i32::from(own.nice),
        own.nice,
        group.tasks().len(),
    );
    let _ = write!(
        rest,
        " {} {} 18446744073709551615 {} {} {} 0 0 {} {} {} {} 0 0 0 {} 0 {} {} 0 0 0",
        memory.total,
        memory.resident() / PAGE_SIZE,
        layout.code.start,
        layout.code.end,
        layout.stack_start,
        signals.pending.0 & 0x7fff_ffff,
        signals.blocked.0 & 0x7fff_ffff,
        signals.ignored.0 & 0x7fff_ffff,
        signals.caught.0 & 0x7fff_ffff,
        group.exit_signal.load(Ordering::Relaxed),
        own.priority,
        own.policy,
    );
    let _ = writeln!(
        rest,
        " {} {} {} {} {} {} {} {}",
        layout.data.start,
        layout.data.end,
        mm.as_ref().map_or(0, |mm| mm.heap().start),
        layout.args.start,
        layout.args.end,
        layout.env.start,
        layout.env.end,
        if group.is_zombie() {
            status_of(group).wait_status()
        } else {
            0
        },
    );
    line.extend(rest.into_bytes());
    Ok(line)
}

pub(super) fn statm(view: &View<'_>) -> Result<Vec<u8>> {
    let memory = view
        .task
        .mm_if_alive()
        .map(|mm| mm.statistics())
        .unwrap_or_default();
    let pages = |bytes: usize| bytes / PAGE_SIZE;
    Ok(format!(
        "{} {} {} {} 0 {} 0\n",
        pages(memory.total),
        pages(memory.resident()),
        pages(memory.shared()),
        pages(memory.text),
        pages(memory.data + memory.stack),
    )
    .into_bytes())
}

/// What calls have read and written. What of it reached a disk is not known here: nothing, as with tmpfs.
pub(super) fn io(view: &View<'_>) -> Result<Vec<u8>> {
    let mut sum = [0_u64; 4];
    let mut add = |values: [u64; 4]| {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum = sum.saturating_add(value);
        }
    };
    if view.whole {
        add(view.task.group().io.values());
        for task in view.task.group().tasks() {
            add(task.io.values());
        }
    } else {
        add(view.task.io.values());
    }
    let names = ["rchar", "wchar", "syscr", "syscw"];
    let counted = names.iter().zip(sum);
    let unknown = ["read_bytes", "write_bytes", "cancelled_write_bytes"];
    let rows = counted
        .map(|(name, value)| (*name, value))
        .chain(unknown.map(|name| (name, 0)));
    Ok(rows
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect::<String>()
        .into_bytes())
}

pub(super) fn schedstat(view: &View<'_>) -> Result<Vec<u8>> {
    let (user_ns, system_ns) = times(view);
    Ok(format!("{} 0 0\n", user_ns + system_ns).into_bytes())
}

/// The children that a thread made: here all of the process's, listed with its leader.
pub(super) fn children(view: &View<'_>) -> Result<Vec<u8>> {
    if !view.task.is_leader() {
        return Ok(Vec::new());
    }
    let children = view.task.group().children();
    Ok(children
        .iter()
        .map(|child| format!("{} ", child.pid_in(view.namespace)))
        .collect::<String>()
        .into_bytes())
}
