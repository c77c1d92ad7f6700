//! The watcher of one `exec`: a control connection, signals, an exit code.

use libc::{
    F_GET_SEALS, F_GETFD, MADV_DONTNEED, MREMAP_MAYMOVE, SYS_brk, SYS_clock_gettime, SYS_close,
    SYS_exit_group, SYS_fcntl, SYS_fstat, SYS_futex, SYS_getpid, SYS_getrandom, SYS_gettid,
    SYS_madvise, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap, SYS_ppoll, SYS_pread64, SYS_read,
    SYS_recvmsg, SYS_restart_syscall, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_sched_yield, SYS_sendmsg, SYS_sigaltstack, SYS_tgkill, SYS_write, SYS_writev,
};

use crate::entry::{Entry, NOT_EXECUTABLE, WAIT_OR_WAKE, allow, is, when};

/// What the watcher needs once its process was started.
pub const ENTRIES: &[Entry] = &[
    allow(SYS_ppoll, "waits for a signal or an answer"),
    allow(SYS_read, "the signal descriptor"),
    allow(SYS_recvmsg, "answers of the control server"),
    allow(SYS_sendmsg, "signals to forward"),
    when(
        SYS_fcntl,
        &[&[is(1, F_GET_SEALS)], &[is(1, F_GETFD)]],
        "the seals of a long answer; F_GETFD in debug builds",
    ),
    allow(SYS_fstat, "the length of a long answer"),
    allow(SYS_pread64, "a long answer"),
    allow(SYS_write, "the log"),
    allow(SYS_writev, "what glibc says before it aborts"),
    allow(SYS_close, "gives descriptors back"),
    when(SYS_mmap, NOT_EXECUTABLE, "heap; never executable"),
    when(SYS_mprotect, NOT_EXECUTABLE, "heap; never executable"),
    allow(SYS_munmap, "heap"),
    when(
        SYS_mremap,
        &[&[is(3, MREMAP_MAYMOVE)]],
        "realloc of large blocks, wherever there is room",
    ),
    allow(SYS_brk, "malloc"),
    when(SYS_madvise, &[&[is(2, MADV_DONTNEED)]], "malloc"),
    when(SYS_futex, WAIT_OR_WAKE, "locks"),
    allow(SYS_sched_yield, "spinning locks"),
    allow(SYS_getrandom, "hash seeds"),
    allow(SYS_clock_gettime, "log lines"),
    allow(SYS_getpid, "glibc's abort"),
    allow(SYS_gettid, "glibc's abort"),
    allow(SYS_tgkill, "glibc's abort"),
    allow(SYS_rt_sigaction, "glibc's abort"),
    allow(SYS_rt_sigprocmask, "glibc's abort"),
    allow(SYS_rt_sigreturn, "end of a handler"),
    allow(SYS_sigaltstack, "Rust's exit"),
    allow(SYS_restart_syscall, "the host restarts a wait after a stop"),
    allow(SYS_exit_group, "the process's exit code"),
];
