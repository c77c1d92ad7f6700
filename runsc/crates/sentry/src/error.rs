//! What kernel code returns: errno for the application, and the outcomes that never reach it.

use abi::Errno;

/// What kernel objects return: the error is one that Linux documents for the call.
pub type Result<T> = core::result::Result<T, Errno>;

/// What a system call's handler returns: the value for `rax`, or why there is none.
pub type SyscallResult = core::result::Result<u64, SysError>;

/// Why a system call has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysError {
    /// It failed; the application sees `-errno`.
    Errno(Errno),
    /// A signal interrupted it before it did anything (`man 7 signal`, *Interruption of system calls*).
    Restart(Restart),
    /// The registers are already what they are to be (`rt_sigreturn`, `execve`), or the task is exiting.
    NoReturn,
}

/// What happens to an interrupted call once the signal is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Restarted if no handler runs or the handler has `SA_RESTART`, else EINTR.
    Sys,
    /// Restarted whatever happens.
    Always,
    /// Restarted only if no handler runs, else EINTR.
    NoHandler,
    /// As `NoHandler`, but through `restart_syscall` with the task's restart block (remaining time).
    Block,
}

impl From<Errno> for SysError {
    fn from(errno: Errno) -> SysError {
        SysError::Errno(errno)
    }
}
