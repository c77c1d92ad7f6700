//! The sandbox process: Sentry and control server. It has no file names, no new descriptors but
//! those that the gofer and the command line pass, no programs, no executable memory.

use libc::{
    SYS_accept4, SYS_brk, SYS_clock_getres, SYS_clock_gettime, SYS_clock_nanosleep, SYS_clone,
    SYS_clone3, SYS_close, SYS_close_range, SYS_copy_file_range, SYS_dup, SYS_epoll_create1,
    SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_wait, SYS_eventfd2, SYS_exit, SYS_exit_group,
    SYS_fadvise64, SYS_fallocate, SYS_fcntl, SYS_fdatasync, SYS_flock, SYS_fstat, SYS_fstatfs,
    SYS_fsync, SYS_ftruncate, SYS_futex, SYS_getcpu, SYS_getpid, SYS_getrandom, SYS_getrusage,
    SYS_getsockopt, SYS_gettid, SYS_gettimeofday, SYS_ioctl, SYS_lseek, SYS_madvise,
    SYS_membarrier, SYS_memfd_create, SYS_mincore, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_msync,
    SYS_munmap, SYS_nanosleep, SYS_newfstatat, SYS_open, SYS_openat, SYS_poll, SYS_ppoll,
    SYS_prctl, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_pwrite64, SYS_pwritev, SYS_pwritev2,
    SYS_read, SYS_readlink, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_restart_syscall, SYS_rseq,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_getaffinity,
    SYS_sched_setaffinity, SYS_sched_yield, SYS_sendmsg, SYS_sendto, SYS_set_robust_list,
    SYS_shutdown, SYS_sigaltstack, SYS_socketpair, SYS_statx, SYS_sync_file_range, SYS_sysinfo,
    SYS_tgkill, SYS_uname, SYS_write, SYS_writev,
};

use crate::entry::{
    Argument, EMPTY_PATH_IN_2, EMPTY_PATH_IN_3, Entry, NEW_THREAD, NOT_EXECUTABLE, Refusal, allow,
    when,
};

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
    allow(
        SYS_mremap,
        "realloc of large blocks; keeps the protection, which is never executable",
    ),
    allow(SYS_brk, "malloc"),
    allow(
        SYS_madvise,
        "returns memory to the host; stacks of ended threads",
    ),
    allow(SYS_mincore, "tells which pages of a host file are resident"),
    allow(SYS_msync, "the guest's msync of a mapped host file"),
    allow(
        SYS_memfd_create,
        "guest memory; bodies of long control messages",
    ),
    allow(
        SYS_fallocate,
        "punches freed guest memory; the guest's fallocate on donated files",
    ),
    allow(
        SYS_ftruncate,
        "sizes memfds; the guest's ftruncate on donated files",
    ),
    allow(SYS_membarrier, "the guest's membarrier"),
    // Threads of the Sentry.
    when(
        SYS_clone,
        NEW_THREAD,
        "one thread per guest thread; no process, no namespace",
    ),
    allow(SYS_futex, "locks and waits"),
    allow(SYS_set_robust_list, "glibc at thread start"),
    allow(SYS_rseq, "glibc at thread start"),
    allow(SYS_gettid, "a thread's name for kicks"),
    allow(SYS_getpid, "glibc's raise and abort"),
    allow(SYS_sched_yield, "spinning locks"),
    allow(SYS_sched_getaffinity, "number of CPUs"),
    allow(
        SYS_sched_setaffinity,
        "a thread that waits for the gofer stays near it",
    ),
    allow(
        SYS_getcpu,
        "follows the CPU for the stub's affinity; the guest's getcpu",
    ),
    allow(SYS_exit, "end of a thread"),
    allow(SYS_exit_group, "end of the sandbox"),
    allow(
        SYS_restart_syscall,
        "the host restarts a sleep after a stop",
    ),
    when(
        SYS_prctl,
        &[&[Argument::Is(0, 15)], &[Argument::Is(0, 0x5356_4d41)]],
        "names of threads (PR_SET_NAME) and of mappings (PR_SET_VMA)",
    ),
    // Signals.
    allow(
        SYS_rt_sigaction,
        "Rust's and the fault handler's set-up of new threads",
    ),
    allow(SYS_rt_sigprocmask, "thread start"),
    allow(SYS_rt_sigreturn, "end of the fault handler and of kicks"),
    allow(SYS_sigaltstack, "Rust's stack overflow guard per thread"),
    when(
        SYS_tgkill,
        &[&[Argument::Is(0, 1)]],
        "kicks threads of this very process, pid 1",
    ),
    // Time and events.
    allow(SYS_clock_gettime, "clocks that the vDSO does not answer"),
    allow(SYS_gettimeofday, "the vDSO's fallback"),
    allow(SYS_clock_getres, "the guest's clock_getres"),
    allow(SYS_clock_nanosleep, "timed waits"),
    allow(SYS_nanosleep, "timed waits"),
    allow(SYS_eventfd2, "wakes pollers"),
    allow(SYS_epoll_create1, "watches donated descriptors"),
    allow(SYS_epoll_ctl, "watches donated descriptors"),
    allow(SYS_epoll_wait, "watches donated descriptors"),
    allow(SYS_epoll_pwait, "watches donated descriptors"),
    allow(SYS_poll, "donated stdio is polled before it is read"),
    allow(SYS_ppoll, "donated stdio is polled before it is read"),
    // Donated files.
    allow(SYS_read, "stdio, eventfds"),
    allow(SYS_readv, "stdio"),
    allow(SYS_pread64, "donated files"),
    allow(SYS_preadv, "donated files"),
    allow(SYS_preadv2, "donated files"),
    allow(SYS_write, "stdio, eventfds, the log"),
    allow(SYS_writev, "stdio"),
    allow(SYS_pwrite64, "donated files"),
    allow(SYS_pwritev, "donated files"),
    allow(SYS_pwritev2, "donated files"),
    allow(SYS_lseek, "SEEK_HOLE and SEEK_DATA on donated files"),
    allow(SYS_fsync, "the guest's fsync"),
    allow(SYS_fdatasync, "the guest's fdatasync"),
    allow(SYS_sync_file_range, "the guest's sync_file_range"),
    allow(SYS_fadvise64, "the guest's posix_fadvise"),
    allow(
        SYS_copy_file_range,
        "the guest's copy_file_range between donated files",
    ),
    allow(SYS_fstat, "sizes of donated files"),
    when(
        SYS_newfstatat,
        EMPTY_PATH_IN_3,
        "fstat as glibc spells it; no path",
    ),
    when(
        SYS_statx,
        EMPTY_PATH_IN_2,
        "fstat as Rust spells it; no path",
    ),
    allow(SYS_fstatfs, "the guest's fstatfs on donated files"),
    allow(SYS_close, "gives descriptors back"),
    allow(SYS_close_range, "gives descriptors back"),
    allow(SYS_dup, "a second owner of a donated descriptor"),
    when(
        SYS_fcntl,
        &[
            &[Argument::Is(1, 1)],
            &[Argument::Is(1, 2)],
            &[Argument::Is(1, 3)],
            &[Argument::Is(1, 1030)],
            &[Argument::Is(1, 1033)],
            &[Argument::Is(1, 1034)],
            &[Argument::Is(1, 36)],
            &[Argument::Is(1, 37)],
        ],
        "F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, and the seals of control messages; F_OFD_GETLK and F_OFD_SETLK, \
         the guest's locks of files that others use too, without waiting",
    ),
    when(
        SYS_flock,
        &[
            &[Argument::Is(1, 5)],
            &[Argument::Is(1, 6)],
            &[Argument::Is(1, 8)],
        ],
        "the same of whole files: LOCK_SH, LOCK_EX, both with LOCK_NB, LOCK_UN",
    ),
    when(
        SYS_ioctl,
        &[
            &[Argument::Is(1, 0x5401)],
            &[Argument::Is(1, 0x5402)],
            &[Argument::Is(1, 0x5403)],
            &[Argument::Is(1, 0x5404)],
            &[Argument::Is(1, 0x5413)],
            &[Argument::Is(1, 0x5414)],
            &[Argument::Is(1, 0x541b)],
        ],
        "TCGETS, TCSETS*, TIOCGWINSZ, TIOCSWINSZ, FIONREAD on a donated terminal",
    ),
    // Sockets: the gofer's and the control server's; no new ones to anywhere.
    allow(SYS_accept4, "control connections"),
    allow(
        SYS_recvmsg,
        "gofer answers and control requests, with descriptors",
    ),
    allow(SYS_sendmsg, "gofer requests and control answers"),
    allow(SYS_recvfrom, "donated sockets"),
    allow(SYS_sendto, "donated sockets"),
    allow(SYS_shutdown, "ends a control connection"),
    allow(
        SYS_getsockopt,
        "the credentials of a control connection's other end",
    ),
    when(
        SYS_socketpair,
        &[&[Argument::Is(0, 1)]],
        "unix pairs inside the process",
    ),
    // Facts of the host that the guest sees.
    allow(SYS_getrandom, "the guest's getrandom; hash seeds"),
    allow(SYS_sysinfo, "memory size, when no limit is set"),
    allow(SYS_getrusage, "processor time"),
    allow(SYS_uname, "glibc"),
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
];
