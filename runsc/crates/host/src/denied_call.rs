//! What happens when this process makes a system call that its own filter does not allow: a line
//! that names the call, and the end of the process.

#![expect(
    unsafe_code,
    reason = "a signal handler that makes async-signal-safe calls only"
)]

use std::sync::atomic::{AtomicI32, Ordering};

use crate::{Errno, Result};

/// Where the handler writes; a process has one filter, one handler and one log.
static REPORT_TO: AtomicI32 = AtomicI32::new(-1);
/// What the process ends with.
const EXIT_CODE: i32 = 128;

/// Installs the SIGSYS handler, which writes to descriptor `report_to` (-1: nowhere). The descriptor
/// must stay open for the life of the process.
///
/// # Errors
/// Those of sigaction.
pub fn install_handler(report_to: i32) -> Result<()> {
    REPORT_TO.store(report_to, Ordering::Relaxed);
    // SAFETY: `action` is fully initialised and alive during the call; `report` has the signature
    // that SA_SIGINFO asks for and makes only async-signal-safe calls.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = report;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut())
    };
    if result < 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

extern "C" fn report(_signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo; for SIGSYS, `si_syscall` is the
    // int at offset 24 (asm-generic/siginfo.h).
    let number = unsafe { info.cast::<u8>().add(24).cast::<i32>().read_unaligned() };
    let mut line = *b"this process's filter does not allow host system call 0000\n";
    let mut rest = number.unsigned_abs();
    for digit in line.iter_mut().rev().skip(1).take(4) {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let fd = REPORT_TO.load(Ordering::Relaxed);
    // SAFETY: write gets a pointer to the line and its length; _exit does not return.
    unsafe {
        if fd >= 0 {
            libc::write(fd, line.as_ptr().cast(), line.len());
        }
        libc::_exit(EXIT_CODE);
    }
}
