//! Processes: program arguments, clones, exits, limits, capabilities.

use crate::strace::decode::signal;
use crate::strace::decode::{id, time};
use crate::strace::names;
use crate::strace::names::process as process_names;
use crate::strace::printer::{Printer, put, size};

/// Most strings of a list that are counted.
const MAX_STRINGS: usize = 4096;
/// Most strings of a list that are shown.
const MAX_SHOWN: usize = 32;

fn string_at(p: &Printer<'_>, address: usize, index: usize) -> Option<u64> {
    p.peek(address.wrapping_add(index.wrapping_mul(8)))
}

/// The arguments of a program.
pub(crate) fn arguments(p: &mut Printer<'_>, address: usize) {
    if string_at(p, address, 0).is_none() {
        return p.pointer(address as u64);
    }
    p.text("[");
    for index in 0.. {
        match string_at(p, address, index) {
            Some(0) => break,
            None => {
                put!(p, ", ... /* {:#x} */", address.wrapping_add(index * 8));
                break;
            }
            Some(_) if index == MAX_SHOWN => {
                p.text(", ...");
                break;
            }
            Some(string) => {
                if index > 0 {
                    p.text(", ");
                }
                p.short_string(size(string));
            }
        }
    }
    p.text("]");
}

/// The environment of a program: where it is and how many variables it has.
pub(crate) fn environment(p: &mut Printer<'_>, address: usize) {
    let set = |index: &usize| string_at(p, address, *index).is_some_and(|s| s != 0);
    let count = (0..MAX_STRINGS).take_while(set).count();
    p.pointer(address as u64);
    let plural = if count == 1 { "" } else { "s" };
    put!(p, " /* {count} var{plural} */");
}

/// The flags of `clone(2)`, with the signal of the exit in their low byte.
pub(crate) fn clone_flags(p: &mut Printer<'_>, n: usize) {
    let value = p.arg(n);
    let (flags, signal_number) = (value & !0xff, value & 0xff);
    if flags != 0 {
        p.flags(&process_names::CLONE, flags);
    }
    if signal_number != 0 {
        p.text(if flags == 0 { "" } else { "|" });
        signal::print(p, signal_number);
    } else if flags == 0 {
        p.text("0");
    }
}

/// `struct clone_args` of `clone3(2)`: argument n, its size behind it.
pub(crate) fn clone_args(p: &mut Printer<'_>, n: usize) {
    let mut words = [0_u64; 11];
    let len = p.address(n + 1).min(88);
    let bytes = p.bytes(p.address(n), len);
    if bytes.len() < 64 {
        return p.pointer(p.arg(n));
    }
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    let [
        flags,
        pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        tls,
        ..,
    ] = words;
    p.text("{flags=");
    p.flags(&process_names::CLONE, flags);
    for (name, value) in [
        ("pidfd", pidfd),
        ("child_tid", child_tid),
        ("parent_tid", parent_tid),
    ] {
        if value != 0 {
            put!(p, ", {name}={value:#x}");
        }
    }
    p.text(", exit_signal=");
    signal::print(p, exit_signal);
    p.text(", stack=");
    p.pointer(stack);
    put!(p, ", stack_size={stack_size:#x}");
    if tls != 0 {
        put!(p, ", tls={tls:#x}");
    }
    p.text("}");
}

/// The status word of `wait4(2)`.
pub(crate) fn wait_status(p: &mut Printer<'_>, address: usize) {
    if p.result() == Some(0) {
        // Nothing was stored.
        return p.pointer(address as u64);
    }
    let Some(status) = p.value::<u32>(address) else {
        return;
    };
    let (low, high) = (status & 0x7f, u64::from(status >> 8 & 0xff));
    if status == 0xffff {
        p.text("[{WIFCONTINUED(s)}]");
    } else if status & 0xff == 0x7f {
        p.text("[{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        signal::print(p, high);
        p.text("}]");
    } else if low == 0 {
        put!(p, "[{{WIFEXITED(s) && WEXITSTATUS(s) == {high}}}]");
    } else {
        p.text("[{WIFSIGNALED(s) && WTERMSIG(s) == ");
        signal::print(p, u64::from(low));
        p.text(if status & 0x80 == 0 {
            "}]"
        } else {
            " && WCOREDUMP(s)}]"
        });
    }
}

/// The usage that `wait4(2)` stores if it found a child.
pub(crate) fn waited_usage(p: &mut Printer<'_>, address: usize) {
    if p.result() == Some(0) {
        return p.pointer(address as u64);
    }
    rusage(p, address);
}

pub(crate) fn rusage(p: &mut Printer<'_>, address: usize) {
    if let Some([user, user_usec, system, system_usec]) = p.value::<[i64; 4]>(address) {
        p.text("{ru_utime=");
        time::print_timeval(
            p,
            abi::time::Timeval {
                sec: user,
                usec: user_usec,
            },
        );
        p.text(", ru_stime=");
        time::print_timeval(
            p,
            abi::time::Timeval {
                sec: system,
                usec: system_usec,
            },
        );
        p.text(", ...}");
    }
}

fn print_limit(p: &mut Printer<'_>, value: u64) {
    if value == u64::MAX {
        p.text("RLIM64_INFINITY");
    } else if value > 1024 && value.is_multiple_of(1024) {
        put!(p, "{}*1024", value / 1024);
    } else {
        put!(p, "{value}");
    }
}

pub(crate) fn rlimit(p: &mut Printer<'_>, address: usize) {
    if let Some([current, maximum]) = p.value::<[u64; 2]>(address) {
        p.text("{rlim_cur=");
        print_limit(p, current);
        p.text(", rlim_max=");
        print_limit(p, maximum);
        p.text("}");
    }
}

pub(crate) fn capability_header(p: &mut Printer<'_>, address: usize) {
    if let Some([version, pid]) = p.value::<[u32; 2]>(address) {
        p.text("{version=");
        p.one_of(&process_names::CAP_VERSION, u64::from(version));
        put!(p, ", pid={}}}", pid.cast_signed());
    }
}

fn print_capabilities(p: &mut Printer<'_>, set: u64) {
    let names: Vec<&str> = (0..64)
        .filter(|bit| set >> bit & 1 == 1)
        .filter_map(|bit| process_names::CAPABILITY.exact(bit))
        .collect();
    match names.len() {
        0 => put!(p, "{set:#x}"),
        1..=6 => put!(p, "{}", join_bits(&names)),
        _ => put!(p, "{set:#x}"),
    }
}

fn join_bits(names: &[&str]) -> String {
    let bits: Vec<String> = names.iter().map(|name| format!("1<<{name}")).collect();
    bits.join("|")
}

pub(crate) fn capability_data(p: &mut Printer<'_>, address: usize) {
    if let Some(words) = p.value::<[u32; 6]>(address) {
        let [e0, p0, i0, e1, p1, i1] = words.map(u64::from);
        p.text("{effective=");
        print_capabilities(p, e0 | e1 << 32);
        p.text(", permitted=");
        print_capabilities(p, p0 | p1 << 32);
        p.text(", inheritable=");
        print_capabilities(p, i0 | i1 << 32);
        p.text("}");
    }
}

/// The arguments of `prctl(2)` behind the first, by operation: argument n of it.
pub(crate) fn prctl_argument(p: &mut Printer<'_>, n: usize) {
    let operation = p.arg32(0);
    let value = p.arg(n);
    match (operation, n) {
        (1, 1) => signal::print(p, value),
        (15, 1) => p.short_string(size(value)),
        (16, 1) if p.result().is_some() => p.short_string(size(value)),
        (2 | 37, 1) if p.result().is_some() => id::int(p, size(value)),
        (40, 1) if p.result().is_some() => id::pointer(p, size(value)),
        (23 | 24, 1) | (47, 2) => p.one_of(&process_names::CAPABILITY, value),
        (47, 1) => p.one_of(&process_names::CAP_AMBIENT, value),
        (22, 1) => p.one_of(&process_names::SECCOMP_MODE, value),
        (4 | 8 | 28 | 29 | 36 | 38 | 41, 1) => put!(p, "{value}"),
        (3 | 7 | 13 | 21 | 27 | 30, _) | (1 | 2 | 15 | 16 | 23 | 24 | 37 | 40, 2..) => {}
        (4 | 8 | 28 | 29 | 36, 2..) => {}
        (0x5356_4d41, 1) => p.text(if value == 0 {
            "PR_SET_VMA_ANON_NAME"
        } else {
            "0x1"
        }),
        (0x5356_4d41, 4) => p.short_string(size(value)),
        _ => put!(p, "{value:#x}"),
    }
}

/// The second argument of `arch_prctl(2)`.
pub(crate) fn arch_argument(p: &mut Printer<'_>, n: usize) {
    match (p.arg32(0), p.result()) {
        (0x1003 | 0x1004 | 0x1021 | 0x1022, Some(_)) => id::pointer(p, p.address(n)),
        _ => p.pointer(p.arg(n)),
    }
}

/// The operation of `futex(2)`.
pub(crate) fn futex_operation(p: &mut Printer<'_>, n: usize) {
    const PRIVATE: u32 = 128;
    const REALTIME: u32 = 256;
    let value = p.arg32(n);
    p.one_of(
        &process_names::FUTEX,
        u64::from(value & !(PRIVATE | REALTIME)),
    );
    if value & PRIVATE != 0 {
        p.text("_PRIVATE");
    }
    if value & REALTIME != 0 {
        p.text("|FUTEX_CLOCK_REALTIME");
    }
}

/// The arguments of `futex(2)` behind the operation.
pub(crate) fn futex_argument(p: &mut Printer<'_>, n: usize) {
    let operation = p.arg32(1) & 0x7f;
    let waits = matches!(operation, 0 | 6 | 9 | 11 | 13);
    let requeues = matches!(operation, 3 | 4 | 5 | 12);
    match (operation, n) {
        (7 | 8, 2..) | (6 | 13, 2 | 4 | 5) | (1 | 10, 3 | 4) | (0 | 1, 4 | 5) | (3, 5) => {}
        (_, 3) if waits && p.arg(3) == 0 => p.text("NULL"),
        (_, 3) if waits => time::timespec(p, p.address(3)),
        (9 | 10, 5) if p.arg32(5) == u32::MAX => p.text("FUTEX_BITSET_MATCH_ANY"),
        (9 | 10, 5) | (5, 5) => put!(p, "{:#x}", p.arg32(n)),
        (9, 4) | (11, 5) => p.pointer(if operation == 9 { 0 } else { p.arg(n) }),
        (_, 4) if requeues || operation == 11 => p.pointer(p.arg(4)),
        (_, 2 | 3 | 5) => put!(p, "{}", p.arg32(n)),
        _ => p.pointer(p.arg(n)),
    }
}

/// `struct futex_waitv`: argument n, their number behind it.
pub(crate) fn futex_vector(p: &mut Printer<'_>, n: usize) {
    let count = p.address(n + 1).min(128);
    p.array(p.address(n), count, |p, waiter: abi::futex::FutexWaitv| {
        put!(
            p,
            "{{val={:#x}, uaddr={:#x}, flags=",
            waiter.value,
            waiter.address
        );
        p.flags(&names::process::FUTEX2, u64::from(waiter.flags));
        p.text("}");
    });
}
