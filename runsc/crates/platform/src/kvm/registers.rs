//! Registers as KVM and as the Sentry have them.

use super::ring0::Ring0;
use crate::ThreadState;
use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};

/// The flags that a program may set: carry, parity, adjust, zero, sign, trap, direction, overflow,
/// nested task, resume, alignment check, identification.
const USER_FLAGS: u64 = 1
    | 1 << 2
    | 1 << 4
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | 1 << 10
    | 1 << 11
    | 1 << 14
    | 1 << 16
    | 1 << 18
    | 1 << 21;

/// Whether an address is one that the processor takes: bits 47 to 63 alike.
pub(super) fn is_canonical(address: u64) -> bool {
    let upper = address >> 47;
    upper == 0 || upper == 0x1_ffff
}

/// Whether a vCPU can be started from a state at all.
pub(super) fn is_loadable(state: &ThreadState) -> bool {
    let addresses = [state.rip, state.fs_base, state.gs_base];
    // A base in the kernel's half is the kernel's, as for ptrace(2).
    let is_own = |address: u64| address >> 63 == 0;
    addresses.into_iter().all(is_canonical)
        && is_own(state.fs_base)
        && is_own(state.gs_base)
        && state.cs == ThreadState::USER_CS
        && state.ss == ThreadState::USER_SS
}

/// The general registers of a state.
pub(super) fn general(state: &ThreadState) -> kvm_regs {
    kvm_regs {
        rax: state.rax,
        rbx: state.rbx,
        rcx: state.rcx,
        rdx: state.rdx,
        rsi: state.rsi,
        rdi: state.rdi,
        rsp: state.rsp,
        rbp: state.rbp,
        r8: state.r8,
        r9: state.r9,
        r10: state.r10,
        r11: state.r11,
        r12: state.r12,
        r13: state.r13,
        r14: state.r14,
        r15: state.r15,
        rip: state.rip,
        rflags: state.eflags & USER_FLAGS | ThreadState::INITIAL_EFLAGS,
    }
}

/// Puts what a state says into a vCPU's system registers.
pub(super) fn put_system(state: &ThreadState, root: u64, sregs: &mut kvm_sregs) {
    sregs.cr3 = root;
    sregs.cs = code_segment();
    sregs.ss = data_segment(ThreadState::USER_SS, 0);
    sregs.ds = data_segment(state.ds, 0);
    sregs.es = data_segment(state.es, 0);
    sregs.fs = data_segment(state.fs, state.fs_base);
    sregs.gs = data_segment(state.gs, state.gs_base);
}

/// Takes a stopped vCPU's registers; where it stopped is the caller's business if it was in ring 0.
pub(super) fn take(regs: &kvm_regs, sregs: &kvm_sregs, state: &mut ThreadState) {
    *state = ThreadState {
        r15: regs.r15,
        r14: regs.r14,
        r13: regs.r13,
        r12: regs.r12,
        rbp: regs.rbp,
        rbx: regs.rbx,
        r11: regs.r11,
        r10: regs.r10,
        r9: regs.r9,
        r8: regs.r8,
        rax: regs.rax,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        orig_rax: u64::MAX,
        rip: regs.rip,
        cs: ThreadState::USER_CS,
        eflags: regs.rflags,
        rsp: regs.rsp,
        ss: ThreadState::USER_SS,
        fs_base: sregs.fs.base,
        gs_base: sregs.gs.base,
        ds: u64::from(sregs.ds.selector),
        es: u64::from(sregs.es.selector),
        fs: u64::from(sregs.fs.selector),
        gs: u64::from(sregs.gs.selector),
    };
}

/// The segment that `TR` is to be for a vCPU.
pub(super) fn task_segment(vcpu: usize) -> kvm_segment {
    kvm_segment {
        base: Ring0::task_segment(vcpu),
        limit: super::ring0::TASK_LIMIT,
        selector: super::ring0::TASK_SELECTOR,
        type_: 11, // a busy task
        present: 1,
        ..kvm_segment::default()
    }
}

fn code_segment() -> kvm_segment {
    kvm_segment {
        limit: u32::MAX,
        selector: 0x33,
        type_: 11, // code, readable, accessed
        present: 1,
        dpl: 3,
        s: 1,
        l: 1,
        g: 1,
        ..kvm_segment::default()
    }
}

/// A data segment: only null selectors and the one in the table are let through.
fn data_segment(selector: u64, base: u64) -> kvm_segment {
    let allowed = |selector: &u16| matches!(selector, 0..=3 | 0x2b);
    let selector = u16::try_from(selector).ok().filter(allowed).unwrap_or(0);
    kvm_segment {
        base,
        limit: u32::MAX,
        selector,
        type_: 3, // data, writable, accessed
        present: 1,
        dpl: 3,
        db: 1,
        s: 1,
        g: 1,
        ..kvm_segment::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_flags_are_dropped() {
        let mut state = ThreadState::initial(0, 0);
        state.eflags = u64::MAX;
        let flags = general(&state).rflags;
        for (bit, name) in [(12, "IOPL"), (13, "IOPL"), (17, "VM"), (19, "VIF")] {
            assert_eq!(flags >> bit & 1, 0, "{name}");
        }
        assert_eq!(flags & 0x202, 0x202);
    }

    #[test]
    fn addresses_between_the_halves_are_not_canonical() {
        for (address, expected) in [
            (0x7fff_ffff_ffff, true),
            (0x8000_0000_0000, false),
            (0xffff_7fff_ffff_ffff, false),
            (0xffff_8000_0000_0000, true),
        ] {
            assert_eq!(is_canonical(address), expected, "{address:x}");
        }
    }
}
