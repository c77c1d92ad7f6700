//! `siginfo_t` (`man 2 sigaction`), in a form that keeps apart what Linux keeps in a union.

use super::Signal;

/// What is known of one instance of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// Which signal.
    pub signal: Signal,
    /// `si_errno`, nearly always 0.
    pub errno: i32,
    /// `si_code`.
    pub code: i32,
    /// The part that depends on the source.
    pub detail: Detail,
}

/// The union of `siginfo_t`. Process and user ids are as the receiver sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    None,
    /// `kill`, `tgkill`, SIGSTOP and the like: who sent it.
    Sender { pid: u32, uid: u32 },
    /// `sigqueue`, POSIX message queues: with a value.
    Value { pid: u32, uid: u32, value: u64 },
    /// A POSIX timer: id, overruns, value.
    Timer { id: i32, overrun: i32, value: u64 },
    /// SIGCHLD: who, its exit status or signal, times in clock ticks.
    Child {
        pid: u32,
        uid: u32,
        status: i32,
        utime: u64,
        stime: u64,
    },
    /// A fault: address.
    Fault { address: u64 },
    /// SIGIO: band and descriptor.
    Poll { band: i64, fd: i32 },
    /// SIGSYS from seccomp: instruction, call, architecture.
    Syscall {
        address: u64,
        number: i32,
        arch: u32,
    },
    /// Bytes that an application gave to `rt_sigqueueinfo`, after code: passed on as they are.
    Raw([u8; 112]),
}

/// `si_code` values (`asm-generic/siginfo.h`).
pub mod code {
    /// `kill(2)`
    pub const SI_USER: i32 = 0;
    /// From the kernel.
    pub const SI_KERNEL: i32 = 0x80;
    /// `sigqueue(3)`
    pub const SI_QUEUE: i32 = -1;
    /// POSIX timer.
    pub const SI_TIMER: i32 = -2;
    /// POSIX message queue.
    pub const SI_MESGQ: i32 = -3;
    /// SIGIO.
    pub const SI_SIGIO: i32 = -5;
    /// `tgkill(2)`
    pub const SI_TKILL: i32 = -6;
    /// A child exited.
    pub const CLD_EXITED: i32 = 1;
    /// A child was killed.
    pub const CLD_KILLED: i32 = 2;
    /// A child was killed and would have dumped core.
    pub const CLD_DUMPED: i32 = 3;
    /// A traced child trapped.
    pub const CLD_TRAPPED: i32 = 4;
    /// A child stopped.
    pub const CLD_STOPPED: i32 = 5;
    /// A child continued.
    pub const CLD_CONTINUED: i32 = 6;
}

impl SignalInfo {
    /// A signal from the kernel itself.
    #[must_use]
    pub const fn kernel(signal: Signal) -> SignalInfo {
        SignalInfo {
            signal,
            errno: 0,
            code: code::SI_KERNEL,
            detail: Detail::None,
        }
    }

    /// A signal as `kill(2)` sends it.
    #[must_use]
    pub const fn user(signal: Signal, pid: u32, uid: u32) -> SignalInfo {
        SignalInfo {
            signal,
            errno: 0,
            code: code::SI_USER,
            detail: Detail::Sender { pid, uid },
        }
    }

    /// A synchronous fault.
    #[must_use]
    pub const fn fault(signal: Signal, code: i32, address: u64) -> SignalInfo {
        SignalInfo {
            signal,
            errno: 0,
            code,
            detail: Detail::Fault { address },
        }
    }
}
