//! Which arguments of a call it stores to; all others are what it is asked for.

/// Calls and the indices of the arguments that they store to.
const STORED: &[(&str, &[usize])] = &[
    ("accept", &[1, 2]),
    ("accept4", &[1, 2]),
    ("arch_prctl", &[1]),
    ("capget", &[1]),
    ("clock_adjtime", &[1]),
    ("adjtimex", &[0]),
    ("clock_getres", &[1]),
    ("clock_gettime", &[1]),
    ("clock_nanosleep", &[3]),
    ("epoll_pwait", &[1]),
    ("epoll_pwait2", &[1]),
    ("epoll_wait", &[1]),
    ("fcntl", &[2]),
    ("fgetxattr", &[2]),
    ("flistxattr", &[1]),
    ("fstat", &[1]),
    ("fstatfs", &[1]),
    ("get_robust_list", &[1, 2]),
    ("getcpu", &[0, 1]),
    ("getcwd", &[0]),
    ("getdents64", &[1]),
    ("getgroups", &[1]),
    ("getitimer", &[1]),
    ("getpeername", &[1, 2]),
    ("getrandom", &[0]),
    ("getresgid", &[0, 1, 2]),
    ("getresuid", &[0, 1, 2]),
    ("getrlimit", &[1]),
    ("getrusage", &[1]),
    ("getsockname", &[1, 2]),
    ("getsockopt", &[3, 4]),
    ("gettimeofday", &[0, 1]),
    ("getxattr", &[2]),
    ("ioctl", &[2]),
    ("lgetxattr", &[2]),
    ("listxattr", &[1]),
    ("llistxattr", &[1]),
    ("lstat", &[1]),
    ("nanosleep", &[1]),
    ("newfstatat", &[2]),
    ("pipe", &[0]),
    ("pipe2", &[0]),
    ("prctl", &[1]),
    ("pread64", &[1]),
    ("preadv", &[1]),
    ("preadv2", &[1]),
    ("prlimit64", &[3]),
    ("read", &[1]),
    ("readlink", &[1]),
    ("readlinkat", &[2]),
    ("readv", &[1]),
    ("recvfrom", &[1, 4, 5]),
    ("recvmsg", &[1]),
    ("rt_sigaction", &[2]),
    ("rt_sigpending", &[0]),
    ("rt_sigprocmask", &[2]),
    ("rt_sigtimedwait", &[1]),
    ("sched_getaffinity", &[2]),
    ("sched_getparam", &[1]),
    ("sched_rr_get_interval", &[1]),
    ("setitimer", &[2]),
    ("sigaltstack", &[1]),
    ("socketpair", &[3]),
    ("stat", &[1]),
    ("statfs", &[1]),
    ("statx", &[4]),
    ("sysinfo", &[0]),
    ("time", &[0]),
    ("timer_gettime", &[1]),
    ("timer_settime", &[3]),
    ("timerfd_gettime", &[1]),
    ("timerfd_settime", &[3]),
    ("times", &[0]),
    ("uname", &[0]),
    ("wait4", &[1, 3]),
    ("waitid", &[2, 4]),
];

/// Calls that may return one of their arguments, and which: then they must do so on both sides.
const RETURNED: &[(&str, usize)] = &[
    ("brk", 0),
    ("mmap", 0),
    ("mremap", 0),
    ("dup2", 1),
    ("dup3", 1),
];

/// Calls that make a thread.
const CLONES: [&str; 4] = ["clone", "clone3", "fork", "vfork"];

/// The indices of the arguments that a call stores to.
pub(super) fn stored(call: &str) -> &'static [usize] {
    let found = STORED.iter().find(|(name, _)| *name == call);
    found.map_or(&[], |(_, indices)| indices)
}

/// The index of the argument that a call may return.
pub(super) fn returned(call: &str) -> Option<usize> {
    let found = RETURNED.iter().find(|(name, _)| *name == call);
    found.map(|(_, index)| *index)
}

/// Whether a call makes a thread.
pub(super) fn is_clone(call: &str) -> bool {
    CLONES.contains(&call)
}
