//! `clone(2)`: its arguments have names, and the stack comes first.

use crate::strace::decode::process;
use crate::strace::printer::{Printer, put};

const SETTLS: u64 = 0x8_0000;
const PARENT_SETTID: u64 = 0x10_0000;
const CHILD_TID: u64 = 0x120_0000;
const PIDFD: u64 = 0x1000;

// strace prints the stack first, and each argument with its name.

pub(crate) fn clone_stack(p: &mut Printer<'_>, _n: usize) {
    p.text("child_stack=");
    p.pointer(p.arg(1));
}

pub(crate) fn clone_flags(p: &mut Printer<'_>, _n: usize) {
    p.text("flags=");
    process::clone_flags(p, 0);
}

pub(crate) fn clone_parent_tid(p: &mut Printer<'_>, _n: usize) {
    if p.arg(0) & (PARENT_SETTID | PIDFD) != 0 {
        put!(p, "parent_tid={:#x}", p.arg(2));
    }
}

pub(crate) fn clone_tls(p: &mut Printer<'_>, _n: usize) {
    if p.arg(0) & SETTLS != 0 {
        put!(p, "tls={:#x}", p.arg(4));
    }
}

pub(crate) fn clone_child_tid(p: &mut Printer<'_>, _n: usize) {
    if p.arg(0) & CHILD_TID != 0 {
        put!(p, "child_tidptr={:#x}", p.arg(3));
    }
}
