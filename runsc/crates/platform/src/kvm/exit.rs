//! What an exception of the application means: the signal that Linux gives for it.

use super::ring0::Frame;
use crate::{Exception, Exit, ExtendedState, ThreadState};

/// `si_code` of exceptions without a better one.
const SI_KERNEL: i32 = 0x80;
const FPE_INTDIV: i32 = 1;
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;
const ILL_ILLOPN: i32 = 2;
const BUS_ADRALN: i32 = 1;
/// `eflags`: trap after each instruction.
const TRAP_FLAG: u64 = 1 << 8;
/// In the error code of a general protection fault: the selector is of a gate (`int n`).
const GATE: u64 = 2;

// Exception vectors, Intel SDM volume 3, chapter 6.
pub(super) const PAGE_FAULT: u8 = 14;
const DEBUG: u8 = 1;
const INVALID_OPCODE: u8 = 6;
const GENERAL_PROTECTION: u8 = 13;

/// Whether the processor pushes an error code.
pub(super) fn has_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

/// The exception for what the processor refuses without saying where.
pub(super) fn general_protection(error_code: u64) -> Exit {
    exception(libc::SIGSEGV, SI_KERNEL, 0, GENERAL_PROTECTION, error_code)
}

/// The exit for an undefined instruction (`#UD`).
pub(super) fn invalid_opcode(rip: u64) -> Exit {
    exception(libc::SIGILL, ILL_ILLOPN, rip, INVALID_OPCODE, 0)
}

/// What an exception other than a page fault is; `None` for one that no program can cause.
/// `code_at_rip` gives the first bytes of the instruction at `rip`.
pub(super) fn of_vector(
    vector: u8,
    frame: &Frame,
    state: &mut ThreadState,
    extended: impl FnOnce() -> Option<ExtendedState>,
    code_at_rip: impl FnOnce() -> [u8; 3],
) -> Option<Exit> {
    let rip = frame.rip;
    Some(match vector {
        0 => exception(libc::SIGFPE, FPE_INTDIV, rip, vector, 0),
        DEBUG => debug(state, code_at_rip),
        3 => exception(libc::SIGTRAP, SI_KERNEL, 0, vector, 0),
        4 | 5 | 10 => exception(libc::SIGSEGV, SI_KERNEL, 0, vector, frame.error_code),
        INVALID_OPCODE | 7 => match code_at_rip() {
            [0xcd, gate, _] => general_protection(u64::from(gate) << 3 | GATE),
            // ldmxcsr of reserved bits: it is there on every 64-bit processor.
            [0x0f, 0xae, operand] if operand >> 3 & 7 == 2 && operand < 0xc0 => {
                general_protection(0)
            }
            _ => invalid_opcode(rip),
        },
        11 | 12 => exception(libc::SIGBUS, SI_KERNEL, 0, vector, frame.error_code),
        GENERAL_PROTECTION => match code_at_rip() {
            [0x0f, 0x01, operation] if is_never_for_programs(operation) => invalid_opcode(rip),
            _ => general_protection(frame.error_code),
        },
        16 | 19 => {
            let code = extended().map_or(0, |extended| float_code(vector, extended.as_bytes()));
            exception(libc::SIGFPE, code, rip, vector, 0)
        }
        17 => exception(libc::SIGBUS, BUS_ADRALN, 0, vector, frame.error_code),
        _ => return None,
    })
}

/// Of the instructions `0f 01 /r`: those that are invalid outside ring 0, or where there is no virtualisation: `vmcall`,
/// `monitor`, `mwait`, and AMD's but for `vmmcall`. Some hypervisors refuse them as privileged.
fn is_never_for_programs(operation: u8) -> bool {
    matches!(operation, 0xc1 | 0xc8 | 0xc9 | 0xd8 | 0xda..=0xdf)
}

fn debug(state: &mut ThreadState, code_at_rip: impl FnOnce() -> [u8; 3]) -> Exit {
    const ICEBP: u8 = 0xf1;
    if state.eflags & TRAP_FLAG != 0 {
        return exception(libc::SIGTRAP, TRAP_TRACE, state.rip, DEBUG, 0);
    }
    if code_at_rip()[0] == ICEBP {
        state.rip = state.rip.wrapping_add(1);
    }
    exception(libc::SIGTRAP, TRAP_BRKPT, state.rip, DEBUG, 0)
}

fn exception(signal: i32, code: i32, address: u64, vector: u8, error_code: u64) -> Exit {
    Exit::Exception(Exception {
        signal: u8::try_from(signal).unwrap_or_default(),
        code,
        address,
        vector,
        error_code,
    })
}

/// `si_code` of a floating-point exception, from the x87 words or from MXCSR.
fn float_code(vector: u8, image: &[u8]) -> i32 {
    let u16_at = |at: usize| {
        let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
        u32::from(u16::from_le_bytes(bytes.copied().unwrap_or_default()))
    };
    let raised = if vector == 16 {
        u16_at(2) & !u16_at(0)
    } else {
        let mxcsr = u16_at(24);
        mxcsr & !(mxcsr >> 7)
    };
    // Invalid, divide by zero, overflow, underflow or denormal, inexact: `man 2 sigaction`.
    let codes = [(1, 7), (4, 3), (8, 4), (0x12, 5), (0x20, 6)];
    let code = codes.into_iter().find(|(bits, _)| raised & bits != 0);
    code.map_or(0, |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_codes_follow_the_unmasked_flag() {
        let mut image = [0; 512];
        image[0] = 0x7b; // divide by zero is not masked
        image[2] = 0x04;
        assert_eq!(float_code(16, &image), 3);
        image[24..26].copy_from_slice(&0x1d80u16.to_le_bytes()); // overflow not masked…
        assert_eq!(float_code(19, &image), 0);
        image[24] |= 0x08; // … and raised
        image[25] = 0x1b;
        assert_eq!(float_code(19, &image), 4);
    }
}
