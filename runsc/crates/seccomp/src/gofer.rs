//! The gofer: file system calls below the directories it was given, one kind of socket.

use libc::{
    F_DUPFD_CLOEXEC, F_GETFD, MADV_DONTNEED, MREMAP_MAYMOVE, SYS_brk, SYS_clock_gettime, SYS_clone,
    SYS_clone3, SYS_close, SYS_connect, SYS_exit, SYS_exit_group, SYS_fchdir, SYS_fchmod,
    SYS_fchmodat2, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fdatasync, SYS_fgetxattr,
    SYS_flistxattr, SYS_fremovexattr, SYS_fsetxattr, SYS_fstatfs, SYS_fsync, SYS_ftruncate,
    SYS_futex, SYS_getcwd, SYS_getdents64, SYS_getpid, SYS_getrandom, SYS_gettid, SYS_linkat,
    SYS_lseek, SYS_madvise, SYS_mkdirat, SYS_mknodat, SYS_mmap, SYS_mprotect, SYS_mremap,
    SYS_munmap, SYS_name_to_handle_at, SYS_openat, SYS_openat2, SYS_prctl, SYS_readlink,
    SYS_readlinkat, SYS_recvmsg, SYS_renameat2, SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_getaffinity, SYS_sched_setaffinity,
    SYS_sched_yield, SYS_sendmsg, SYS_set_robust_list, SYS_shutdown, SYS_sigaltstack, SYS_socket,
    SYS_socketpair, SYS_statx, SYS_symlinkat, SYS_syncfs, SYS_tgkill, SYS_unlinkat, SYS_unshare,
    SYS_utimensat, SYS_write, SYS_writev,
};

use crate::entry::{
    Argument, Entry, MADV_GUARD_INSTALL, NEW_THREAD, NOT_EXECUTABLE, Refusal, WAIT_OR_WAKE, allow,
    is, when,
};

/// Neither `O_CREAT` nor what tells `O_TMPFILE` from `O_DIRECTORY`.
const NOT_CREATING: &[&[Argument]] = &[&[Argument::Masked(2, 0o100 | 0o20_000_000, 0)]];

/// What the gofer needs.
pub const ENTRIES: &[Entry] = &[
    // Names below the trees.
    allow(SYS_openat2, "every open of a name, with RESOLVE_BENEATH"),
    when(
        SYS_openat,
        NOT_CREATING,
        "reopens a node's own descriptor through /proc/self/fd",
    ),
    allow(SYS_statx, "attributes with birth time and mount id"),
    allow(SYS_fstatfs, "statfs of a tree"),
    allow(SYS_readlinkat, "readlink of a node"),
    allow(SYS_getdents64, "listings"),
    allow(SYS_lseek, "listings from a position"),
    allow(SYS_mkdirat, "mkdir"),
    allow(SYS_mknodat, "FIFOs, sockets' names"),
    allow(SYS_symlinkat, "symlink"),
    allow(SYS_linkat, "link"),
    allow(SYS_unlinkat, "unlink and rmdir"),
    allow(SYS_renameat2, "rename"),
    allow(SYS_fchmod, "chmod"),
    allow(SYS_fchmodat2, "chmod of a node"),
    allow(SYS_fchown, "chown"),
    allow(SYS_fchownat, "chown of a node"),
    allow(SYS_utimensat, "times"),
    allow(SYS_ftruncate, "size"),
    allow(SYS_fsync, "fsync of a node"),
    allow(SYS_fdatasync, "fdatasync of a node"),
    allow(SYS_syncfs, "the guest's sync and syncfs"),
    allow(
        SYS_name_to_handle_at,
        "tells a file from another that has its inode number",
    ),
    allow(SYS_fgetxattr, "extended attributes"),
    allow(SYS_fsetxattr, "extended attributes"),
    allow(SYS_flistxattr, "extended attributes"),
    allow(SYS_fremovexattr, "extended attributes"),
    allow(SYS_write, "the log; writes"),
    allow(SYS_writev, "the log"),
    // The socket to the Sentry.
    allow(SYS_recvmsg, "requests"),
    allow(SYS_sendmsg, "answers, with descriptors"),
    when(
        SYS_socketpair,
        &[&[Argument::Is(0, 1)]],
        "further connections for the Sentry",
    ),
    allow(SYS_shutdown, "ends a connection"),
    // The process itself.
    allow(SYS_close, "gives descriptors back"),
    when(
        SYS_fcntl,
        &[&[is(1, F_GETFD)], &[is(1, F_DUPFD_CLOEXEC)]],
        "copies of descriptors; F_GETFD in debug builds",
    ),
    when(
        SYS_mmap,
        NOT_EXECUTABLE,
        "heap and stacks; never executable",
    ),
    when(
        SYS_mprotect,
        NOT_EXECUTABLE,
        "guard pages; never executable",
    ),
    allow(SYS_munmap, "heap"),
    when(
        SYS_mremap,
        &[&[is(3, MREMAP_MAYMOVE)]],
        "realloc of large blocks, wherever there is room",
    ),
    allow(SYS_brk, "malloc"),
    when(
        SYS_madvise,
        &[&[is(2, MADV_DONTNEED)], &[is(2, MADV_GUARD_INSTALL)]],
        "malloc; guards of stacks, as glibc 2.42 makes them",
    ),
    when(SYS_clone, NEW_THREAD, "worker threads"),
    when(SYS_futex, WAIT_OR_WAKE, "locks"),
    allow(SYS_set_robust_list, "glibc at thread start"),
    allow(SYS_rseq, "glibc at thread start"),
    when(SYS_prctl, &[&[Argument::Is(0, 15)]], "names of threads"),
    allow(SYS_gettid, "glibc"),
    allow(SYS_getpid, "glibc's raise and abort"),
    when(
        SYS_tgkill,
        &[&[Argument::Is(0, 1)]],
        "abort of this very process, pid 1",
    ),
    allow(SYS_sched_yield, "spinning locks"),
    allow(SYS_sched_getaffinity, "number of CPUs"),
    allow(
        SYS_sched_setaffinity,
        "answers on the CPU that the Sentry waits on",
    ),
    allow(SYS_rt_sigaction, "glibc's abort"),
    allow(SYS_rt_sigprocmask, "thread start"),
    allow(SYS_rt_sigreturn, "end of a handler"),
    allow(SYS_sigaltstack, "Rust's stack overflow guard per thread"),
    allow(SYS_clock_gettime, "log lines"),
    allow(
        SYS_restart_syscall,
        "the host restarts a sleep after a stop",
    ),
    allow(SYS_getrandom, "hash seeds"),
    allow(SYS_exit, "end of a thread"),
    allow(SYS_exit_group, "end of the gofer"),
];

/// What is allowed besides with `--host-uds`.
pub const HOST_SOCKETS: &[Entry] = &[
    when(
        SYS_socket,
        &[&[Argument::Is(0, 1)]],
        "unix sockets, for the host's sockets in mounts",
    ),
    allow(SYS_connect, "the host's sockets in mounts"),
    allow(SYS_fchdir, "reaches a socket's name within its directory"),
    when(
        SYS_unshare,
        &[&[Argument::Is(0, 0x200)]],
        "CLONE_FS: a working directory of its own for the thread that connects",
    ),
];

/// What libraries try and do well without.
pub const REFUSALS: &[Refusal] = &[
    Refusal {
        number: SYS_clone3,
        errno: libc::ENOSYS,
        reason: "its flags are behind a pointer; glibc falls back to clone",
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
