//! `/proc/[pid]/status` (`man 5 proc_pid_status`).

use std::fmt::Write as _;

use mm::MmStatistics;

use super::View;
use super::stat::letter;
use crate::error::Result;
use crate::kernel::task::RunState;

pub(super) fn status(view: &View<'_>) -> Result<Vec<u8>> {
    let task = view.task;
    let mut text = b"Name:\t".to_vec();
    // Line breaks would break the lines: they are shown as octal-style escapes.
    for byte in &task.own.lock().name {
        match byte {
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\\' => text.extend_from_slice(b"\\\\"),
            byte => text.push(*byte),
        }
    }
    let mut rest = String::new();
    identity(view, &mut rest);
    if let Some(mm) = task.mm_if_alive() {
        memory(&mm.statistics(), &mut rest);
    }
    signals(view, &mut rest);
    capabilities(view, &mut rest);
    processors(view, &mut rest);
    text.extend(rest.into_bytes());
    Ok(text)
}

fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Sleeping => "sleeping",
        RunState::Stopped => "stopped",
        RunState::Traced => "tracing stop",
        RunState::Zombie => "zombie",
        RunState::Dead => "dead",
    }
}

fn identity(view: &View<'_>, text: &mut String) {
    let task = view.task;
    let group = task.group();
    let state = task.run_state();
    let pid = group.pid_in(view.namespace);
    let parent = group
        .parent()
        .map_or(0, |parent| parent.pid_in(view.namespace));
    let own = task.credentials();
    let user_ns = view.viewer.credentials().user_ns.clone();
    let group_name = |gid: &u32| user_ns.group_inward(*gid).to_string();
    let groups: Vec<String> = own.groups.iter().map(group_name).collect();
    let groups = groups.join(" ");
    let users = [own.uid, own.euid, own.suid, own.fsuid].map(|id| user_ns.user_inward(id));
    let own_groups = [own.gid, own.egid, own.sgid, own.fsgid].map(|id| user_ns.group_inward(id));
    let slots = task.files().size();
    let _ = write!(
        text,
        "\nUmask:\t{:04o}\nState:\t{} ({})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{}\nPPid:\t{parent}\nTracerPid:\t{}\n\
         Uid:\t{}\t{}\t{}\t{}\nGid:\t{}\t{}\t{}\t{}\nFDSize:\t{slots}\nGroups:\t{groups} \n",
        task.fs().umask(),
        letter(state),
        state_name(state),
        task.tid_in(view.namespace),
        task.tracer()
            .map_or(0, |tracer| tracer.tid_in(view.namespace)),
        users[0],
        users[1],
        users[2],
        users[3],
        own_groups[0],
        own_groups[1],
        own_groups[2],
        own_groups[3],
    );
    let numbers = task.numbers();
    let levels = numbers
        .0
        .iter()
        .skip_while(|(level, _)| !std::sync::Arc::ptr_eq(level, view.namespace));
    let ids: String = levels.map(|(_, id)| format!("\t{id}")).collect();
    let group_ids = group.process_group().map_or((0, 0), |group| {
        (
            group.numbers.in_namespace(view.namespace),
            group.session.numbers.in_namespace(view.namespace),
        )
    });
    let _ = write!(
        text,
        "NStgid:\t{pid}\nNSpid:{ids}\nNSpgid:\t{}\nNSsid:\t{}\nKthread:\t0\n",
        group_ids.0, group_ids.1
    );
}

fn memory(memory: &MmStatistics, text: &mut String) {
    let rows = [
        ("VmPeak", memory.peak_total),
        ("VmSize", memory.total),
        ("VmLck", memory.locked),
        ("VmPin", 0),
        ("VmHWM", memory.peak_resident.max(memory.resident())),
        ("VmRSS", memory.resident()),
        ("RssAnon", memory.resident_anonymous),
        ("RssFile", memory.resident_file),
        ("RssShmem", memory.resident_shared),
        ("VmData", memory.data),
        ("VmStk", memory.stack),
        ("VmExe", memory.text),
        ("VmLib", 0),
        ("VmPTE", 0),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ];
    for (name, bytes) in rows {
        let _ = writeln!(text, "{name}:\t{:>8} kB", bytes / 1024);
    }
    let huge_pages = u8::from(memory.huge_pages);
    let _ = writeln!(text, "CoreDumping:\t0\nTHP_enabled:\t{huge_pages}");
}

fn signals(view: &View<'_>, text: &mut String) {
    let report = view.task.signal_report();
    let limit = view
        .task
        .group()
        .limits()
        .get(crate::kernel::limits::Resource::PendingSignals)
        .soft;
    let queued = view
        .task
        .kernel()
        .queued_signals
        .count(view.task.credentials().uid);
    let _ = write!(
        text,
        "Threads:\t{}\nSigQ:\t{queued}/{limit}\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\n\
         SigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
        view.task.group().tasks().len(),
        report.pending.0,
        report.shared_pending.0,
        report.blocked.0,
        report.ignored.0,
        report.caught.0,
    );
}

fn capabilities(view: &View<'_>, text: &mut String) {
    let own = view.task.credentials();
    let seccomp = view.task.seccomp();
    let rows = [
        ("CapInh", own.inheritable),
        ("CapPrm", own.permitted),
        ("CapEff", own.effective),
        ("CapBnd", own.bounding),
        ("CapAmb", own.ambient),
    ];
    for (name, set) in rows {
        let _ = writeln!(text, "{name}:\t{:016x}", set.0);
    }
    let _ = write!(
        text,
        "NoNewPrivs:\t{}\nSeccomp:\t{}\nSeccomp_filters:\t{}\n",
        u8::from(own.no_new_privs),
        seccomp.mode(),
        seccomp.filters(),
    );
    text.push_str(
        "Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\talways enabled\n",
    );
}

fn processors(view: &View<'_>, text: &mut String) {
    let affinity = view.task.own.lock().affinity.clone();
    let count = view.task.kernel().processors();
    let allowed: Vec<usize> = if affinity.is_empty() {
        (0..count).collect()
    } else {
        (0..count)
            .filter(|cpu| {
                affinity
                    .get(cpu / 64)
                    .is_some_and(|word| word >> (cpu % 64) & 1 != 0)
            })
            .collect()
    };
    let _ = write!(
        text,
        "Cpus_allowed:\t{}\nCpus_allowed_list:\t{}\n",
        mask_text(&allowed, count),
        list_text(&allowed)
    );
    text.push_str("Mems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n");
    text.push_str("voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
}

/// Words of 32 bits in hexadecimal, the highest first.
fn mask_text(cpus: &[usize], count: usize) -> String {
    let words = count.div_ceil(32).max(1);
    let word = |n: usize| {
        cpus.iter()
            .filter(|cpu| *cpu / 32 == n)
            .fold(0_u32, |bits, cpu| bits | 1 << (cpu % 32))
    };
    let top = format!("{:x}", word(words - 1));
    (0..words - 1)
        .rev()
        .fold(top, |text, n| format!("{text},{:08x}", word(n)))
}

/// Ranges such as `0-3,5`.
pub(super) fn list_text(cpus: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for cpu in cpus {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == *cpu => *end = *cpu,
            _ => ranges.push((*cpu, *cpu)),
        }
    }
    let show = |(start, end): &(usize, usize)| {
        if start == end {
            start.to_string()
        } else {
            format!("{start}-{end}")
        }
    };
    ranges.iter().map(show).collect::<Vec<_>>().join(",")
}
