//! Numbers in memory: descriptors, ids, lists of them.

use crate::strace::printer::{Printer, put, size};

/// An `int`.
pub(crate) fn int(p: &mut Printer<'_>, address: usize) {
    if let Some(value) = p.value::<i32>(address) {
        put!(p, "[{value}]");
    }
}

/// An `unsigned int`, as a user's or group's id.
pub(crate) fn unsigned(p: &mut Printer<'_>, address: usize) {
    if let Some(value) = p.value::<u32>(address) {
        put!(p, "[{value}]");
    }
}

/// A `long`, as an offset.
pub(crate) fn long(p: &mut Printer<'_>, address: usize) {
    if let Some(value) = p.value::<i64>(address) {
        put!(p, "[{value}]");
    }
}

/// An address.
pub(crate) fn pointer(p: &mut Printer<'_>, address: usize) {
    if let Some(value) = p.value::<u64>(address) {
        p.text("[");
        p.pointer(value);
        p.text("]");
    }
}

/// Two descriptors, of `pipe(2)` and `socketpair(2)`.
pub(crate) fn pair(p: &mut Printer<'_>, address: usize) {
    if let Some([first, second]) = p.value::<[i32; 2]>(address) {
        put!(p, "[{first}, {second}]");
    }
}

/// Ids given to `setgroups(2)`: argument n, with their number before it.
pub(crate) fn groups_in(p: &mut Printer<'_>, n: usize) {
    let count = size(u64::from(p.arg32(0)));
    p.array(p.address(n), count, |p, id: u32| put!(p, "{id}"));
}

/// Ids from `getgroups(2)`: argument n.
pub(crate) fn groups_out(p: &mut Printer<'_>, n: usize) {
    match p.result() {
        Some(count) if p.arg32(0) > 0 => {
            p.array(p.address(n), size(count), |p, id: u32| put!(p, "{id}"));
        }
        _ => p.pointer(p.arg(n)),
    }
}

/// A processor's bits: `[0 1]`, `len` bytes.
pub(crate) fn print_mask(p: &mut Printer<'_>, address: usize, len: usize) {
    let bytes = p.bytes(address, len.min(128));
    if bytes.is_empty() && len > 0 {
        return p.pointer(address as u64);
    }
    let members: Vec<String> = (0..bytes.len() * 8)
        .filter(|cpu| bytes[cpu / 8] >> (cpu % 8) & 1 == 1)
        .map(|cpu| cpu.to_string())
        .collect();
    put!(p, "[{}]", members.join(" "));
}

/// The mask of `sched_setaffinity(2)`.
pub(crate) fn mask_in(p: &mut Printer<'_>, n: usize) {
    print_mask(p, p.address(n), p.address(n - 1));
}

/// The mask of `sched_getaffinity(2)`, which returns its length.
pub(crate) fn mask_out(p: &mut Printer<'_>, n: usize) {
    match p.result() {
        Some(len) => print_mask(p, p.address(n), size(len)),
        None => p.pointer(p.arg(n)),
    }
}
