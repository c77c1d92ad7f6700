//! Signals, sets of them, and dispositions.

use abi::signal::{KernelSigaction, SIG_DFL, SIG_IGN, StackT};

use crate::kernel::signal::{Signal, SignalSet};
use crate::strace::names;
use crate::strace::printer::{Printer, put};

/// A signal by name.
pub(crate) fn print(p: &mut Printer<'_>, number: u64) {
    match Signal::new(number) {
        Some(signal) => p.text(&signal.name()),
        None => put!(p, "{number}"),
    }
}

/// A set: the shorter of what is in it and what is not.
pub(crate) fn print_set(p: &mut Printer<'_>, set: SignalSet) {
    let complement = set.0.count_ones() > 32;
    let shown = if complement { SignalSet(!set.0) } else { set };
    let names: Vec<String> = (1..=u64::from(Signal::MAX))
        .filter_map(Signal::new)
        .filter(|signal| shown.has(*signal))
        .map(|signal| signal.name().trim_start_matches("SIG").to_owned())
        .collect();
    let sign = if complement { "~" } else { "" };
    put!(p, "{sign}[{}]", names.join(" "));
}

pub(crate) fn set(p: &mut Printer<'_>, address: usize) {
    if let Some(bits) = p.value(address) {
        print_set(p, SignalSet(bits));
    }
}

/// The pair of address and size that `pselect6(2)` takes.
pub(crate) fn sized_set(p: &mut Printer<'_>, address: usize) {
    if let Some([mask, len]) = p.value::<[u64; 2]>(address) {
        p.text("{sigmask=");
        if mask == 0 {
            p.text("NULL");
        } else {
            set(p, crate::strace::printer::size(mask));
        }
        put!(p, ", sigsetsize={len}}}");
    }
}

pub(crate) fn action(p: &mut Printer<'_>, address: usize) {
    let Some(action) = p.value::<KernelSigaction>(address) else {
        return;
    };
    p.text("{sa_handler=");
    match action.handler {
        SIG_DFL => p.text("SIG_DFL"),
        SIG_IGN => p.text("SIG_IGN"),
        handler => put!(p, "{handler:#x}"),
    }
    p.text(", sa_mask=");
    print_set(p, SignalSet(action.mask));
    p.text(", sa_flags=");
    p.flags(&names::signal::SA, action.flags);
    if action.flags & 0x0400_0000 != 0 {
        put!(p, ", sa_restorer={:#x}", action.restorer);
    }
    p.text("}");
}

pub(crate) fn stack(p: &mut Printer<'_>, address: usize) {
    if let Some(stack) = p.value::<StackT>(address) {
        p.text("{ss_sp=");
        p.pointer(stack.sp);
        p.text(", ss_flags=");
        p.flags(
            &names::signal::STACK,
            u64::from(stack.flags.cast_unsigned()),
        );
        put!(p, ", ss_size={}}}", stack.size);
    }
}

/// What `rt_sigreturn(2)` goes back to: the mask in the frame at the stack pointer.
pub(crate) fn frame(p: &mut Printer<'_>, _n: usize) {
    const MASK_AT: u64 = 296;
    let at = p.stack().wrapping_add(MASK_AT);
    if let Some(mask) = p.peek(crate::strace::printer::size(at)) {
        p.text("{mask=");
        print_set(p, SignalSet(mask));
        p.text("}");
    }
}
