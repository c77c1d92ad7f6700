//! Waiting for traced threads and children (`man 2 wait`), always with `__WALL | __WNOTHREAD` where
//! it matters: only what the calling OS thread traces or made.
#![expect(
    unsafe_code,
    reason = "wait4 with Linux's own flags has no safe wrapper"
)]

use crate::{Errno, Result};
use std::ffi::c_int;

/// A status word of wait4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(c_int);

/// What a status word says, from a tracer's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A system call stop (with `PTRACE_O_TRACESYSGOOD`).
    Syscall,
    /// A signal is about to be delivered.
    Signal(i32),
    /// A ptrace event or group stop: nothing of the tracee's doing.
    Stop,
    /// The thread ended; there will be nothing more of it.
    Ended,
}

impl Status {
    /// Decodes the word.
    #[must_use]
    pub fn event(self) -> Event {
        if !libc::WIFSTOPPED(self.0) {
            return Event::Ended;
        }
        if self.0 >> 16 != 0 {
            return Event::Stop;
        }
        match libc::WSTOPSIG(self.0) {
            signal if signal == libc::SIGTRAP | 0x80 => Event::Syscall,
            signal => Event::Signal(signal),
        }
    }
}

/// Waits for a thread that the calling OS thread traces. Interruptions are waited through.
///
/// # Errors
/// `ECHILD` when this OS thread does not trace it.
pub fn traced_thread(tid: i32) -> Result<Status> {
    wait4(tid, libc::__WALL | libc::__WNOTHREAD)
}

/// Takes the exit status of a child of any thread of this process, waiting until it ends.
///
/// # Errors
/// `ECHILD` when it is no child, or was reaped.
pub fn reap(pid: i32) -> Result<()> {
    while wait4(pid, libc::__WALL)?.event() != Event::Ended {}
    Ok(())
}

fn wait4(pid: i32, flags: c_int) -> Result<Status> {
    let mut status: c_int = 0;
    loop {
        // SAFETY: `status` outlives the call, the resource usage pointer may be null.
        let result = unsafe { libc::wait4(pid, &raw mut status, flags, std::ptr::null_mut()) };
        if result == pid {
            return Ok(Status(status));
        }
        match Errno::from(std::io::Error::last_os_error()) {
            Errno::EINTR => {}
            error => return Err(error),
        }
    }
}
