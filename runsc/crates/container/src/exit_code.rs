//! A host process's wait status as an exit code.

use rustix::process::WaitStatus;

/// The exit code, or 128 + the signal's number; 128 for what is neither.
#[must_use]
pub fn exit_code(status: WaitStatus) -> u8 {
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(128)
}
