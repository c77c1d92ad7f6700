//! What a stop of a stub thread says about the application.

use super::filter::VSYSCALL_PAGE;
use crate::{Exception, Exit, Fault, FaultAccess, ThreadState};
use host::ptrace::SignalInfo;

/// `si_code` of exceptions without a better one (general protection, `int3`).
const SI_KERNEL: i32 = 0x80;
/// `si_code`s of page faults.
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
/// `si_code` of SIGBUS for an unaligned access; the others are pages that the host can't give.
const BUS_ADRALN: i32 = 1;
/// `si_code` of SIGSYS from a filter.
const SYS_SECCOMP: i32 = 1;
/// `si_code` of SIGFPE for an integer division.
const FPE_INTDIV: i32 = 1;
const FPE_INTOVF: i32 = 2;
/// `si_code` of SIGTRAP for a single step and others from the debug exception.
const TRAP_VECTOR_DEBUG: u8 = 1;

// Exception vectors, Intel SDM volume 3, chapter 6.
const VECTOR_DIVIDE: u8 = 0;
const VECTOR_BREAKPOINT: u8 = 3;
const VECTOR_OVERFLOW: u8 = 4;
const VECTOR_INVALID_OPCODE: u8 = 6;
const VECTOR_STACK: u8 = 12;
const VECTOR_GENERAL_PROTECTION: u8 = 13;
const VECTOR_PAGE_FAULT: u8 = 14;
const VECTOR_X87: u8 = 16;
const VECTOR_ALIGNMENT: u8 = 17;

/// The error code of a general protection fault caused by `int 0x80`: its gate's selector error.
const INT80_ERROR_CODE: u64 = 0x80 << 3 | 2;
/// Bytes of an `int 0x80` instruction.
const INT80_LEN: u64 = 2;

/// Whether the kernel raises this signal for what an instruction did.
pub(super) fn is_exception(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP | libc::SIGSYS
    )
}

/// What a signal's stop means; `None` for a signal that somebody sent, which is to be ignored.
/// Adjusts `state` to what the processor would have left.
pub(super) fn of_signal(info: SignalInfo, state: &mut ThreadState) -> Option<Exit> {
    if info.code <= 0 {
        return None;
    }
    match info.signal {
        libc::SIGSYS if info.code == SYS_SECCOMP => Some(of_vsyscall(info.address, state)),
        libc::SIGSEGV if matches!(info.code, SEGV_MAPERR | SEGV_ACCERR) => {
            Some(fault(info, state.rip, false))
        }
        libc::SIGBUS if !matches!(info.code, BUS_ADRALN | SI_KERNEL) => {
            Some(fault(info, state.rip, true))
        }
        signal if is_exception(signal) => Some(exception(info)),
        _ => None,
    }
}

fn fault(info: SignalInfo, rip: u64, bus: bool) -> Exit {
    // Elsewhere a load from where the instruction itself is looks the same.
    let is_call = info.address == rip && info.address & !0xfff == VSYSCALL_PAGE;
    Exit::Fault(Fault {
        address: usize::try_from(info.address).unwrap_or(usize::MAX),
        access: if is_call {
            FaultAccess::Execute
        } else {
            FaultAccess::Unknown
        },
        mapped: bus || info.code == SEGV_ACCERR,
        bus,
    })
}

fn exception(info: SignalInfo) -> Exit {
    let (vector, signal) = match (info.signal, info.code) {
        (libc::SIGFPE, FPE_INTDIV) => (VECTOR_DIVIDE, libc::SIGFPE),
        (libc::SIGFPE, FPE_INTOVF) => (VECTOR_OVERFLOW, libc::SIGFPE),
        (libc::SIGFPE, _) => (VECTOR_X87, libc::SIGFPE),
        (libc::SIGILL, _) => (VECTOR_INVALID_OPCODE, libc::SIGILL),
        (libc::SIGTRAP, SI_KERNEL) => (VECTOR_BREAKPOINT, libc::SIGTRAP),
        (libc::SIGTRAP, _) => (TRAP_VECTOR_DEBUG, libc::SIGTRAP),
        (libc::SIGBUS, SI_KERNEL) => (VECTOR_STACK, libc::SIGBUS),
        (libc::SIGBUS, _) => (VECTOR_ALIGNMENT, libc::SIGBUS),
        (_, SI_KERNEL) => (VECTOR_GENERAL_PROTECTION, libc::SIGSEGV),
        (_, _) => (VECTOR_PAGE_FAULT, libc::SIGSEGV),
    };
    let address = if info.code == SI_KERNEL {
        0
    } else {
        info.address
    };
    Exit::Exception(Exception {
        signal: u8::try_from(signal).unwrap_or_default(),
        code: info.code,
        address,
        vector,
        error_code: 0,
    })
}

/// A call into the vsyscall page: the kernel has already returned from it, as if it were a function.
/// Undo that, and show what a kernel without the page would: a fault at the entry.
fn of_vsyscall(entry: u64, state: &mut ThreadState) -> Exit {
    if entry & !0xfff != VSYSCALL_PAGE {
        return general_protection(0); // not reachable by application code
    }
    state.rip = entry;
    state.rsp = state.rsp.wrapping_sub(8);
    Exit::Fault(Fault {
        address: usize::try_from(entry).unwrap_or(usize::MAX),
        access: FaultAccess::Execute,
        mapped: false,
        bus: false,
    })
}

/// A call through the 32-bit entries, as on a kernel without them: `int 0x80` is a general
/// protection fault at the instruction.
pub(super) fn of_foreign_syscall(state: &mut ThreadState) -> Exit {
    state.rip = state.rip.wrapping_sub(INT80_LEN);
    state.rax = state.orig_rax;
    state.orig_rax = u64::MAX;
    general_protection(INT80_ERROR_CODE)
}

/// The exception for what the processor refuses without saying where.
pub(super) fn general_protection(error_code: u64) -> Exit {
    Exit::Exception(Exception {
        signal: u8::try_from(libc::SIGSEGV).unwrap_or_default(),
        code: SI_KERNEL,
        address: 0,
        vector: VECTOR_GENERAL_PROTECTION,
        error_code,
    })
}
