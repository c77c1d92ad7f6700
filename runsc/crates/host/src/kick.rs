//! The one signal that this process reserves, to make an OS thread's blocking host call return
//! `EINTR`; and the quiet handling of SIGCHLD that tracing wants.
#![expect(unsafe_code, reason = "sigaction and tgkill have no safe wrapper")]

use crate::{Errno, Result};
use std::ffi::c_int;

/// The reserved signal's number: a real-time one that neither glibc nor any other part of this
/// program uses.
pub const SIGNAL: c_int = 61;

/// An OS thread of this process, to be kicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    tgid: i32,
    tid: i32,
}

impl Thread {
    /// The calling OS thread.
    #[must_use]
    pub fn current() -> Thread {
        Thread {
            tgid: rustix::process::getpid().as_raw_nonzero().get(),
            tid: rustix::thread::gettid().as_raw_nonzero().get(),
        }
    }

    /// The thread's id on the host.
    #[must_use]
    pub fn tid(self) -> i32 {
        self.tid
    }

    /// Makes the host call in which the thread blocks return `EINTR`. A kick that comes before the
    /// call is lost: callers keep a condition of their own, and block through a call that checks it
    /// with the signal masked (`ppoll`), or kick again.
    pub fn kick(self) {
        // SAFETY: plain numbers, no memory. A thread that has ended is ESRCH, which is fine.
        unsafe { libc::syscall(libc::SYS_tgkill, self.tgid, self.tid, SIGNAL) };
    }
}

extern "C" fn nothing(_signal: c_int) {}

/// Installs the reserved signal's empty handler (without `SA_RESTART`), once per process.
///
/// # Errors
/// What sigaction reports.
pub fn install() -> Result<()> {
    let handler: extern "C" fn(c_int) = nothing;
    // SAFETY: all-zero is a valid sigaction: no flags, empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    sigaction(SIGNAL, &action)
}

/// Makes SIGCHLD default, and silent for stops of traced threads (`SA_NOCLDSTOP`): otherwise the
/// kernel would generate a signal per system call of the application.
///
/// # Errors
/// What sigaction reports.
pub fn silence_child_stops() -> Result<()> {
    // SAFETY: all-zero is a valid sigaction: SIG_DFL, no flags, empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `action` outlives the call; the new action is not read.
    let result = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut action) };
    if result != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    action.sa_flags |= libc::SA_NOCLDSTOP;
    sigaction(libc::SIGCHLD, &action)
}

fn sigaction(signal: c_int, action: &libc::sigaction) -> Result<()> {
    // SAFETY: `action` is whole and names either the default or a function that only returns,
    // which is safe at any point of any thread.
    match unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Errno::from(std::io::Error::last_os_error())),
    }
}
