//! The sandbox process: Sentry and control server. It has no file names, no new descriptors but
//! those that the gofer and the command line pass, no programs, no executable memory.

use libc::{
    F_ADD_SEALS, F_DUPFD_CLOEXEC, F_GET_SEALS, F_GETFD, F_GETFL, F_OFD_GETLK, F_OFD_SETLK,
    FIONREAD, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, MADV_DONTDUMP, MADV_DONTFORK, MADV_DONTNEED,
    MADV_HUGEPAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MREMAP_MAYMOVE, PR_SET_NAME,
    SYS_accept4, SYS_brk, SYS_clock_gettime, SYS_clock_nanosleep, SYS_clone, SYS_clone3, SYS_close,
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_exit, SYS_exit_group,
    SYS_fallocate, SYS_fcntl, SYS_flock, SYS_fstat, SYS_fsync, SYS_ftruncate, SYS_futex,
    SYS_getcpu, SYS_getcwd, SYS_getpid, SYS_getrandom, SYS_gettid, SYS_ioctl, SYS_lseek,
    SYS_madvise, SYS_membarrier, SYS_memfd_create, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap,
    SYS_open, SYS_openat, SYS_ppoll, SYS_prctl, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_pwrite64,
    SYS_pwritev, SYS_pwritev2, SYS_read, SYS_readlink, SYS_readv, SYS_recvmsg, SYS_restart_syscall,
    SYS_rseq, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_getaffinity,
    SYS_sched_setaffinity, SYS_sched_yield, SYS_sendmsg, SYS_set_robust_list, SYS_shutdown,
    SYS_sigaltstack, SYS_socketpair, SYS_statx, SYS_tgkill, SYS_write, SYS_writev, TCGETS, TCSETS,
    TCSETSF, TCSETSW, TIOCGWINSZ, TIOCSWINSZ,
};

use crate::entry::{
    Argument, EMPTY_PATH_IN_2, Entry, MADV_GUARD_INSTALL, NEW_THREAD, NOT_EXECUTABLE, Refusal,
    WAIT_OR_WAKE, allow, is, when,
};

/// `MEMBARRIER_CMD_GLOBAL`
const MEMBARRIER_CMD_GLOBAL: u32 = 1;

/// A request of ioctl(2).
const fn request(value: libc::Ioctl) -> Argument {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel takes the lower 32 bits of a request"
    )]
    Argument::Is(1, value as u32)
}

/// What the Sentry needs on every platform; platforms add their own.
pub const ENTRIES: &[Entry] = &[
    // Memory.
    when(
        SYS_mmap,
        NOT_EXECUTABLE,
        "heap, thread stacks, windows on files; never executable",
    ),
    when(
        SYS_mprotect,
        NOT_EXECUTABLE,
        "guard pages, growth of malloc arenas; never executable",
    ),
    allow(SYS_munmap, "gives memory and windows back"),
    when(
        SYS_mremap,
        &[&[is(3, MREMAP_MAYMOVE)]],
        "realloc of large blocks, wherever there is room; keeps the protection, which is never executable",
    ),
    allow(SYS_brk, "malloc"),
    when(
        SYS_madvise,
        &[
            &[is(2, MADV_DONTNEED)],
            &[is(2, MADV_DONTFORK)],
            &[is(2, MADV_DONTDUMP)],
            &[is(2, MADV_HUGEPAGE)],
            &[is(2, MADV_POPULATE_READ)],
            &[is(2, MADV_POPULATE_WRITE)],
            &[is(2, MADV_GUARD_INSTALL)],
        ],
        "gives memory back, prepares windows on guest memory; guards of stacks, as glibc 2.42 makes them",
    ),
    allow(
        SYS_memfd_create,
        "guest memory; bodies of long control messages",
    ),
    allow(
        SYS_fallocate,
        "punches freed guest memory; the guest's fallocate on files of the gofer",
    ),
    allow(
        SYS_ftruncate,
        "sizes memfds; the guest's ftruncate on donated files",
    ),
    when(
        SYS_membarrier,
        &[&[Argument::Is(0, MEMBARRIER_CMD_GLOBAL)]],
        "the guest's membarrier",
    ),
    // Threads of the Sentry.
    when(
        SYS_clone,
        NEW_THREAD,
        "one thread per guest thread; no process, no namespace",
    ),
    when(SYS_futex, WAIT_OR_WAKE, "locks and waits"),
    allow(SYS_set_robust_list, "glibc at thread start"),
    allow(SYS_rseq, "glibc at thread start"),
    allow(SYS_gettid, "a thread's name for kicks and in panics"),
    allow(SYS_getpid, "glibc's raise and abort"),
    allow(SYS_sched_yield, "spinning locks"),
    allow(SYS_sched_getaffinity, "the CPUs that this thread may use"),
    allow(
        SYS_sched_setaffinity,
        "a thread that waits for the gofer stays near it",
    ),
    allow(
        SYS_getcpu,
        "where the vDSO can't tell: the CPU that the gofer is to answer on, the guest's getcpu",
    ),
    allow(SYS_exit, "end of a thread"),
    allow(SYS_exit_group, "end of the sandbox"),
    allow(
        SYS_restart_syscall,
        "the host restarts a sleep after a stop",
    ),
    when(SYS_prctl, &[&[is(0, PR_SET_NAME)]], "names of threads"),
    // Signals.
    allow(
        SYS_rt_sigaction,
        "a fault that is no guest's ends the process as usual",
    ),
    allow(SYS_rt_sigprocmask, "thread start"),
    allow(SYS_rt_sigreturn, "end of the fault handler and of kicks"),
    allow(SYS_sigaltstack, "Rust's stack overflow guard per thread"),
    when(
        SYS_tgkill,
        &[&[Argument::Is(0, 1)]],
        "kicks threads of this very process, pid 1; its abort",
    ),
    // Time and events.
    allow(SYS_clock_gettime, "clocks that the vDSO does not answer"),
    allow(SYS_clock_nanosleep, "timed waits"),
    allow(SYS_eventfd2, "wakes pollers"),
    allow(SYS_epoll_create1, "watches donated descriptors"),
    allow(SYS_epoll_ctl, "watches donated descriptors"),
    allow(SYS_epoll_pwait, "watches donated descriptors"),
    allow(SYS_ppoll, "donated stdio is polled before it is read"),
    // Donated files.
    allow(SYS_read, "stdio, eventfds"),
    allow(SYS_readv, "stdio"),
    allow(SYS_pread64, "donated files"),
    allow(SYS_preadv, "donated files"),
    allow(SYS_preadv2, "donated files"),
    allow(SYS_write, "stdio, eventfds, the log"),
    allow(SYS_writev, "stdio; what glibc says before it aborts"),
    allow(SYS_pwrite64, "donated files"),
    allow(SYS_pwritev, "donated files"),
    allow(SYS_pwritev2, "donated files"),
    allow(SYS_lseek, "SEEK_HOLE and SEEK_DATA on donated files"),
    allow(SYS_fsync, "the guest's fsync and fdatasync"),
    allow(SYS_fstat, "sizes and kinds of donated files"),
    when(
        SYS_statx,
        EMPTY_PATH_IN_2,
        "attributes of an open file of the gofer; no path",
    ),
    allow(SYS_close, "gives descriptors back"),
    when(
        SYS_fcntl,
        &[
            &[is(1, F_GETFD)],
            &[is(1, F_GETFL)],
            &[is(1, F_DUPFD_CLOEXEC)],
            &[is(1, F_ADD_SEALS)],
            &[is(1, F_GET_SEALS)],
            &[is(1, F_OFD_GETLK)],
            &[is(1, F_OFD_SETLK)],
        ],
        "what a descriptor is open for, copies, and the seals of control messages; F_GETFD in debug builds; \
         the guest's locks of files that others use too, without waiting",
    ),
    when(
        SYS_flock,
        &[
            &[is(1, LOCK_SH | LOCK_NB)],
            &[is(1, LOCK_EX | LOCK_NB)],
            &[is(1, LOCK_UN)],
        ],
        "the same of whole files",
    ),
    when(
        SYS_ioctl,
        &[
            &[request(TCGETS)],
            &[request(TCSETS)],
            &[request(TCSETSW)],
            &[request(TCSETSF)],
            &[request(TIOCGWINSZ)],
            &[request(TIOCSWINSZ)],
            &[request(FIONREAD)],
        ],
        "a donated terminal",
    ),
    // Sockets: the gofer's and the control server's; no new ones to anywhere.
    allow(SYS_accept4, "control connections"),
    allow(
        SYS_recvmsg,
        "gofer answers and control requests, with descriptors",
    ),
    allow(SYS_sendmsg, "gofer requests and control answers"),
    allow(SYS_shutdown, "ends a connection to the gofer"),
    when(
        SYS_socketpair,
        &[&[Argument::Is(0, 1)]],
        "unix pairs inside the process",
    ),
    // Facts of the host that the guest sees.
    allow(SYS_getrandom, "the guest's getrandom; hash seeds"),
];

/// What libraries try and do well without.
pub const REFUSALS: &[Refusal] = &[
    Refusal {
        number: SYS_clone3,
        errno: libc::ENOSYS,
        reason: "its flags are behind a pointer; glibc falls back to clone",
    },
    Refusal {
        number: SYS_openat,
        errno: libc::ENOENT,
        reason: "Rust looks for cgroup limits, glibc for time zones and CPU lists: the root is empty",
    },
    Refusal {
        number: SYS_open,
        errno: libc::ENOENT,
        reason: "the same",
    },
    Refusal {
        number: SYS_readlink,
        errno: libc::ENOENT,
        reason: "backtraces look for the program",
    },
    Refusal {
        number: SYS_getcwd,
        errno: libc::ENOENT,
        reason: "backtraces shorten the names of sources by it",
    },
];
