//! Memory barriers on all threads of the machine.

#![expect(unsafe_code, reason = "membarrier has no safe wrapper")]

use crate::{Errno, Result};

/// `MEMBARRIER_CMD_GLOBAL`: when it returns, every running thread of the host has passed a full barrier
/// (`man 2 membarrier`). Stubs are other processes, so the private commands would not reach them.
pub fn all_threads() -> Result<()> {
    const CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes three integers and touches no memory of this process.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, CMD_GLOBAL, 0, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from(std::io::Error::last_os_error()))
    }
}
