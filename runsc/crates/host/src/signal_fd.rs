//! Signals as data: blocked, and read from a descriptor (`man 2 signalfd`).

#![expect(unsafe_code, reason = "signal sets and signalfd have no safe form")]

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{Errno, Result, errno};

/// Receives every catchable signal of the process, except those that report its own faults.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

/// Signals that a fault of this process itself raises: left alone.
const FAULTS: [i32; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
];

/// Signals that processes send each other, and that of a terminal's window. Children of this process inherit that
/// they are blocked: SIGURG is not among them, with which the platform stops application code.
const MESSAGES: [i32; 13] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGSTKFLT,
    libc::SIGTSTP,
    libc::SIGVTALRM,
    libc::SIGWINCH,
    libc::SIGIO,
    libc::SIGPWR,
];

/// A signal that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub number: i32,
    /// A process sent it, not the kernel (`man 2 sigaction`, `si_code`).
    pub sent: bool,
}

impl SignalFd {
    /// Blocks the signals in this thread and opens the descriptor. To be called while there is one
    /// thread.
    ///
    /// # Errors
    /// Those of signalfd.
    pub fn block_all() -> Result<SignalFd> {
        SignalFd::block(|set| {
            // SAFETY: the calls get a pointer to a valid set alone.
            unsafe {
                libc::sigfillset(set);
                for fault in FAULTS {
                    libc::sigdelset(set, fault);
                }
            }
        })
    }

    /// Blocks what others send a process to tell it something, and SIGWINCH; what comes of its own actions is
    /// delivered as ever.
    ///
    /// # Errors
    /// Those of signalfd.
    pub fn block_messages() -> Result<SignalFd> {
        SignalFd::block(|set| {
            for message in MESSAGES {
                // SAFETY: the call gets a pointer to a valid set alone.
                unsafe {
                    libc::sigaddset(set, message);
                }
            }
        })
    }

    fn block(fill: impl Fn(&mut libc::sigset_t)) -> Result<SignalFd> {
        // SAFETY: a zeroed sigset_t is a valid one, and all calls get pointers to it alone.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            fill(&mut set);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(Errno::from_raw(
                    std::io::Error::last_os_error()
                        .raw_os_error()
                        .unwrap_or(libc::EIO),
                ));
            }
            Ok(SignalFd {
                fd: OwnedFd::from_raw_fd(fd),
            })
        }
    }

    /// The next signal's number, `None` when there is none now.
    ///
    /// # Errors
    /// Those of read.
    pub fn next(&self) -> Result<Option<i32>> {
        Ok(self.next_received()?.map(|received| received.number))
    }

    /// The next signal, `None` when there is none now.
    ///
    /// # Errors
    /// Those of read.
    pub fn next_received(&self) -> Result<Option<Received>> {
        let mut record = [0u8; 128];
        match rustix::io::read(&self.fd, &mut record) {
            Ok(length) if length == record.len() => {
                // `struct signalfd_siginfo`: number, errno, code.
                let [a, b, c, d, _, _, _, _, e, f, g, h, ..] = record;
                let number = i32::try_from(u32::from_ne_bytes([a, b, c, d])).ok();
                let sent = i32::from_ne_bytes([e, f, g, h]) <= 0;
                Ok(number.map(|number| Received { number, sent }))
            }
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(errno(error)),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
