//! What can be read and set of a process: name, limits, OOM adjustment.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;
use mm::AddressSpace;

use super::View;
use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::limits::INFINITY;
use crate::kernel::task::Task;

pub(super) fn comm(view: &View<'_>) -> Result<Vec<u8>> {
    let mut name = view.task.own.lock().name.clone();
    name.push(b'\n');
    Ok(name)
}

/// Threads of the same process may name each other (`man 5 proc_pid_comm`).
pub(super) fn set_comm(view: &View<'_>, writer: &Task, bytes: &[u8]) -> Result<()> {
    if !Arc::ptr_eq(view.task.group(), writer.group()) {
        return Err(Errno::EINVAL);
    }
    let name = bytes
        .split(|byte| matches!(byte, 0 | b'\n'))
        .next()
        .unwrap_or_default();
    view.task.own.lock().name = name[..name.len().min(15)].to_vec();
    Ok(())
}

const LIMIT_NAMES: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

pub(super) fn limits(view: &View<'_>) -> Result<Vec<u8>> {
    let limits = view.task.group().limits();
    let mut text = format!(
        "{:<25} {:<20} {:<20} {:<10}\n",
        "Limit", "Soft Limit", "Hard Limit", "Units"
    );
    let show = |value: u64| {
        if value == INFINITY {
            "unlimited".to_owned()
        } else {
            value.to_string()
        }
    };
    for ((name, unit), limit) in LIMIT_NAMES.iter().zip(limits.0) {
        let _ = writeln!(
            text,
            "{name:<25} {:<20} {:<20} {unit:<10}",
            show(limit.soft),
            show(limit.hard)
        );
    }
    Ok(text.into_bytes())
}

/// Share of memory in thousandths plus the adjustment, as Linux's badness comes out.
pub(super) fn oom_score(view: &View<'_>) -> Result<Vec<u8>> {
    let resident = view
        .task
        .mm_if_alive()
        .map_or(0, |mm| mm.statistics().resident()) as u64;
    let total = view.task.kernel().total_memory().max(1);
    let share = i64::try_from(resident.saturating_mul(1000) / total).unwrap_or(1000);
    let adjustment = i64::from(view.task.group().oom_score_adj.load(Ordering::Relaxed));
    // A process without memory of its own still scores two thirds of its adjustment range (man 5 proc).
    let score = ((share + adjustment + 1000) * 2 / 3).clamp(0, 2000);
    Ok(format!("{score}\n").into_bytes())
}

pub(super) fn oom_score_adj(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(format!(
        "{}\n",
        view.task.group().oom_score_adj.load(Ordering::Relaxed)
    )
    .into_bytes())
}

pub(super) fn set_oom_score_adj(view: &View<'_>, writer: &Task, bytes: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    if !(-1000..=1000).contains(&value) {
        return Err(Errno::EINVAL);
    }
    let current = &view.task.group().oom_score_adj;
    if value < current.load(Ordering::Relaxed) && !writer.has_capability(Capability::SysResource) {
        return Err(Errno::EACCES);
    }
    current.store(value, Ordering::Relaxed);
    Ok(())
}

/// Nothing for a process that has no memory any more.
pub(super) fn core_dump_filter(view: &View<'_>) -> Result<Vec<u8>> {
    let text = |mm: Arc<AddressSpace>| format!("{:08x}\n", mm.core_dump_filter());
    Ok(view.task.mm_if_alive().map(text).unwrap_or_default().into())
}

pub(super) fn set_core_dump_filter(view: &View<'_>, _: &Task, bytes: &[u8]) -> Result<()> {
    let filter = number(bytes)?;
    let mm = view.task.mm_if_alive().ok_or(Errno::ESRCH)?;
    mm.set_core_dump_filter(filter);
    Ok(())
}

/// A number in C's notation (`0x33`, `063`, `51`) with a line's end or without, as Linux's
/// `kstrtouint_from_user` takes it, which looks at no more bytes than 32 binary digits take; EINVAL, ERANGE.
fn number(bytes: &[u8]) -> Result<u32> {
    const MOST: usize = 34;
    let bytes = &bytes[..bytes.len().min(MOST)];
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_prefix('+').unwrap_or(text);
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(Errno::EINVAL);
    }
    u32::from_str_radix(digits, radix).map_err(|_| Errno::ERANGE)
}

pub(super) fn personality(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(format!("{:08x}\n", view.task.own.lock().personality).into_bytes())
}

/// Its group in each hierarchy (`man 7 cgroups`). The unified one is there even if nobody mounted it.
pub(super) fn cgroup(view: &View<'_>) -> Result<Vec<u8>> {
    let group = view.task.group();
    let mut text = String::new();
    let hierarchies = view.task.kernel().cgroups.all();
    for hierarchy in &hierarchies {
        let (name, path) = (hierarchy.kind.text(), hierarchy.group_of(group).path());
        let _ = writeln!(text, "{}:{name}:{path}", hierarchy.id);
    }
    if hierarchies.iter().all(|hierarchy| hierarchy.id != 0) {
        text.push_str("0::/\n");
    }
    Ok(text.into_bytes())
}

pub(super) fn timer_slack(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(format!("{}\n", view.task.own.lock().timer_slack_ns).into_bytes())
}
