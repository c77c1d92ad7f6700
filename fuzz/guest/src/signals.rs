//! The handler that workers install: it damages the frame that it will return through, now and then.

#![expect(unsafe_code, reason = "signal handlers read and write their frames")]

use std::arch::naked_asm;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dice::Dice;
use crate::raw::raw;

static ROLLS: AtomicU64 = AtomicU64::new(0);

/// How many bytes of a frame behind `uc` may be damaged: the context, with the registers and the mask.
const FRAME_BYTES: u64 = 400;

/// The handler's address.
pub(crate) fn handler() -> u64 {
    let handler: extern "C" fn(u64, u64, u64) = handle;
    handler as usize as u64
}

/// The address of what the handler returns to.
pub(crate) fn restorer() -> u64 {
    let restorer: extern "C" fn() = restore;
    restorer as usize as u64
}

/// Installs the handler for a signal, without restarting calls.
pub(crate) fn install(signal: u64, flags: u64) {
    const SA_RESTORER: u64 = 0x0400_0000;
    let action = [handler(), flags | SA_RESTORER, restorer(), 0];
    raw!(SYS_rt_sigaction, signal, action.as_slice(), 0, 8);
}

/// `rt_sigreturn(2)`.
#[unsafe(naked)]
extern "C" fn restore() {
    naked_asm!("mov eax, 15", "syscall", "ud2")
}

/// Every sixteenth time, changes a byte of the context: its flags, its stack, its registers, its state's address.
extern "C" fn handle(signal: u64, _info: u64, context: u64) {
    let mut dice = Dice::of(ROLLS.fetch_add(1, Ordering::Relaxed), signal);
    // The frame of a handler that was installed without SA_SIGINFO is the same on x86-64.
    if context == 0 || !dice.one_in(16) {
        return;
    }
    let at = context.wrapping_add(dice.below(FRAME_BYTES));
    let at = std::ptr::with_exposed_provenance_mut::<u8>(usize::try_from(at).unwrap_or(0));
    // SAFETY: the context is on the stack that the kernel has put the frame on, and nothing else refers to it.
    unsafe { at.write_volatile(at.read_volatile() ^ (1 << dice.below(8))) };
}
