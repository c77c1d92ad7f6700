//! Which host calls each function makes that the sources name, on x86-64: rustix's, whose back end makes its calls
//! itself, glibc's, and the standard library's. Each was read in its source.

use libc::{
    SYS_accept4, SYS_brk, SYS_clock_gettime, SYS_clock_nanosleep, SYS_clone, SYS_close,
    SYS_connect, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_exit,
    SYS_exit_group, SYS_fallocate, SYS_fchdir, SYS_fchmod, SYS_fchown, SYS_fchownat, SYS_fcntl,
    SYS_fdatasync, SYS_fgetxattr, SYS_flistxattr, SYS_flock, SYS_fremovexattr, SYS_fsetxattr,
    SYS_fstat, SYS_fstatfs, SYS_fsync, SYS_ftruncate, SYS_futex, SYS_getcpu, SYS_getdents64,
    SYS_getpid, SYS_getrandom, SYS_gettid, SYS_ioctl, SYS_kill, SYS_linkat, SYS_lseek, SYS_madvise,
    SYS_memfd_create, SYS_mkdirat, SYS_mknodat, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap,
    SYS_openat, SYS_openat2, SYS_ppoll, SYS_prctl, SYS_pread64, SYS_preadv, SYS_preadv2,
    SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_read, SYS_readlinkat, SYS_readv, SYS_recvmsg,
    SYS_renameat2, SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction, SYS_rt_sigprocmask,
    SYS_rt_sigreturn, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_sched_yield, SYS_sendmsg,
    SYS_set_robust_list, SYS_shutdown, SYS_sigaltstack, SYS_socket, SYS_socketpair, SYS_statx,
    SYS_symlinkat, SYS_syncfs, SYS_tgkill, SYS_unlinkat, SYS_unshare, SYS_utimensat, SYS_wait4,
    SYS_write, SYS_writev,
};

/// A call, and one of its arguments where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its number.
    pub(crate) number: i64,
    /// Which argument, from 0, and its value.
    pub(crate) argument: Option<(u8, u64)>,
}

const fn any(number: i64) -> Call {
    Call {
        number,
        argument: None,
    }
}

const fn with(number: i64, index: u8, value: u64) -> Call {
    Call {
        number,
        argument: Some((index, value)),
    }
}

/// The calls of a thread from its start to its end: the standard library's, glibc's below it.
const THREAD: &[Call] = &[
    any(SYS_clone),
    any(SYS_mmap),
    any(SYS_mprotect),
    any(SYS_munmap),
    // Guards of its stack, and the stack's memory when it has ended.
    with(SYS_madvise, 2, 102),
    with(SYS_madvise, 2, 4),
    any(SYS_rseq),
    any(SYS_set_robust_list),
    any(SYS_rt_sigprocmask),
    any(SYS_sigaltstack),
    // pthread_getattr_np, of the standard library's guard against overflow.
    any(SYS_sched_getaffinity),
    with(SYS_prctl, 0, 15),
    any(SYS_exit),
];

const MAPPING: &[Call] = &[any(SYS_mmap)];
const LOCK: &[Call] = &[any(SYS_futex)];
const STATUS_FLAGS: &[Call] = &[with(SYS_fcntl, 1, 3)];
const DUPLICATE: &[Call] = &[with(SYS_fcntl, 1, 1030)];
const SEEK: &[Call] = &[any(SYS_lseek)];
const NONE: &[Call] = &[];

/// What every process of these does, whatever its sources name, and who does it.
pub(crate) const ALWAYS: &[(&str, &[Call])] = &[
    (
        "glibc's malloc",
        &[
            any(SYS_brk),
            any(SYS_mmap),
            any(SYS_mprotect),
            any(SYS_munmap),
            with(SYS_mremap, 3, 1),
            with(SYS_madvise, 2, 4),
        ],
    ),
    (
        "glibc's abort, and what it says before",
        &[
            any(SYS_writev),
            any(SYS_rt_sigprocmask),
            any(SYS_rt_sigaction),
            any(SYS_gettid),
            any(SYS_getpid),
            any(SYS_tgkill),
        ],
    ),
    (
        "locks",
        &[
            with(SYS_futex, 1, 128),
            with(SYS_futex, 1, 129),
            with(SYS_futex, 1, 137),
        ],
    ),
    ("locks that spin", &[any(SYS_sched_yield)]),
    ("hash maps", &[any(SYS_getrandom)]),
    (
        "descriptors that are dropped",
        &[any(SYS_close), with(SYS_fcntl, 1, 1)],
    ),
    (
        "the clock, where the vDSO does not answer",
        &[any(SYS_clock_gettime)],
    ),
    (
        "the end of the process",
        &[any(SYS_exit_group), any(SYS_sigaltstack), any(SYS_munmap)],
    ),
    ("the log", &[any(SYS_write)]),
    (
        "the host's kernel, after a handler or a stop",
        &[any(SYS_rt_sigreturn), any(SYS_restart_syscall)],
    ),
];

/// Methods that count, the folder or file that they count in, and what they make.
pub(crate) const METHODS: &[(&str, &str, &[Call])] = &[
    ("", ".try_clone", DUPLICATE),
    ("", ".try_clone_to_owned", DUPLICATE),
    ("", ".write_all", &[any(SYS_write)]),
    ("platform/src/kvm/", ".run", &[with(SYS_ioctl, 1, 0xae80)]),
    (
        "platform/src/kvm/",
        ".create_vcpu",
        &[with(SYS_ioctl, 1, 0xae41), any(SYS_mmap)],
    ),
    (
        "platform/src/kvm/",
        ".set_user_memory_region",
        &[with(SYS_ioctl, 1, 0x4020_ae46)],
    ),
    (
        "platform/src/kvm/",
        ".get_xsave",
        &[with(SYS_ioctl, 1, 0x9000_aea4)],
    ),
    (
        "platform/src/kvm/",
        ".set_xsave",
        &[with(SYS_ioctl, 1, 0x5000_aea5)],
    ),
    (
        "platform/src/kvm/",
        ".get_vcpu_events",
        &[with(SYS_ioctl, 1, 0x8040_ae9f)],
    ),
    (
        "platform/src/kvm/",
        ".get_sregs",
        &[with(SYS_ioctl, 1, 0x8138_ae83)],
    ),
    (
        "platform/src/kvm/",
        ".set_sregs",
        &[with(SYS_ioctl, 1, 0x4138_ae84)],
    ),
    (
        "platform/src/kvm/",
        ".set_cpuid2",
        &[with(SYS_ioctl, 1, 0x4008_ae90)],
    ),
    (
        "platform/src/kvm/",
        ".set_msrs",
        &[with(SYS_ioctl, 1, 0x4008_ae89)],
    ),
    (
        "platform/src/kvm/",
        ".set_xcrs",
        &[with(SYS_ioctl, 1, 0x4188_aea7)],
    ),
];

/// What a function makes that a source names, or a constant stands for; nothing if it is not in these tables.
pub(crate) fn of(what: &str) -> Option<&'static [Call]> {
    let (family, name) = what.split_once("::")?;
    let table = match family {
        "rustix" if is_constructor(name) => return Some(NONE),
        "rustix" => RUSTIX,
        "libc" => LIBC,
        "std" => STD,
        _ => return None,
    };
    let found = table.iter().find(|(names, _)| names.contains(&name))?;
    Some(found.1)
}

/// Of rustix.
const RUSTIX: &[(&[&str], &[Call])] = &[
    (&["event::epoll::create"], &[any(SYS_epoll_create1)]),
    (
        &[
            "event::epoll::add",
            "event::epoll::modify",
            "event::epoll::delete",
        ],
        &[any(SYS_epoll_ctl)],
    ),
    (&["event::epoll::wait"], &[any(SYS_epoll_pwait)]),
    (&["event::eventfd"], &[any(SYS_eventfd2)]),
    (&["event::poll"], &[any(SYS_ppoll)]),
    (&["fs::chownat"], &[any(SYS_fchownat)]),
    (&["fs::fallocate"], &[any(SYS_fallocate)]),
    (&["fs::fchmod"], &[any(SYS_fchmod)]),
    (&["fs::fchown"], &[any(SYS_fchown)]),
    (&["fs::fcntl_add_seals"], &[with(SYS_fcntl, 1, 1033)]),
    (&["fs::fcntl_get_seals"], &[with(SYS_fcntl, 1, 1034)]),
    (&["fs::fcntl_getfl"], STATUS_FLAGS),
    (&["fs::fdatasync"], &[any(SYS_fdatasync)]),
    (&["fs::fgetxattr"], &[any(SYS_fgetxattr)]),
    (&["fs::flistxattr"], &[any(SYS_flistxattr)]),
    (&["fs::flock"], &[any(SYS_flock)]),
    (
        &["fs::FlockOperation::NonBlockingLockShared"],
        &[with(SYS_flock, 1, 5)],
    ),
    (
        &["fs::FlockOperation::NonBlockingLockExclusive"],
        &[with(SYS_flock, 1, 6)],
    ),
    (&["fs::FlockOperation::Unlock"], &[with(SYS_flock, 1, 8)]),
    (&["fs::fremovexattr"], &[any(SYS_fremovexattr)]),
    (&["fs::fsetxattr"], &[any(SYS_fsetxattr)]),
    (&["fs::fstat"], &[any(SYS_fstat)]),
    (&["fs::fstatfs"], &[any(SYS_fstatfs)]),
    (&["fs::fsync"], &[any(SYS_fsync)]),
    (&["fs::ftruncate"], &[any(SYS_ftruncate)]),
    (&["fs::linkat"], &[any(SYS_linkat)]),
    (&["fs::memfd_create"], &[any(SYS_memfd_create)]),
    (&["fs::mkdirat"], &[any(SYS_mkdirat)]),
    (&["fs::mknodat"], &[any(SYS_mknodat)]),
    (&["fs::openat"], &[any(SYS_openat)]),
    (&["fs::openat2"], &[any(SYS_openat2)]),
    (&["fs::RawDir::new"], &[any(SYS_getdents64)]),
    (&["fs::readlinkat"], &[any(SYS_readlinkat)]),
    (&["fs::renameat_with"], &[any(SYS_renameat2)]),
    (&["fs::seek"], SEEK),
    (&["fs::statx"], &[any(SYS_statx)]),
    (&["fs::symlinkat"], &[any(SYS_symlinkat)]),
    (&["fs::syncfs"], &[any(SYS_syncfs)]),
    (&["fs::unlinkat"], &[any(SYS_unlinkat)]),
    (&["fs::utimensat"], &[any(SYS_utimensat)]),
    (&["io::fcntl_dupfd_cloexec"], DUPLICATE),
    (&["io::pread"], &[any(SYS_pread64)]),
    (&["io::preadv2"], &[any(SYS_preadv2)]),
    (&["io::pwrite"], &[any(SYS_pwrite64)]),
    (&["io::pwritev2"], &[any(SYS_pwritev2)]),
    (&["io::read"], &[any(SYS_read)]),
    (&["io::write"], &[any(SYS_write)]),
    (&["mm::madvise"], &[any(SYS_madvise)]),
    (&["mm::Advice::LinuxDontDump"], &[with(SYS_madvise, 2, 16)]),
    (&["mm::Advice::LinuxDontFork"], &[with(SYS_madvise, 2, 10)]),
    (&["mm::Advice::LinuxDontNeed"], &[with(SYS_madvise, 2, 4)]),
    (&["mm::Advice::LinuxHugepage"], &[with(SYS_madvise, 2, 14)]),
    (
        &["mm::Advice::LinuxPopulateRead"],
        &[with(SYS_madvise, 2, 22)],
    ),
    (
        &["mm::Advice::LinuxPopulateWrite"],
        &[with(SYS_madvise, 2, 23)],
    ),
    (&["mm::mmap", "mm::mmap_anonymous"], MAPPING),
    (&["mm::munmap"], &[any(SYS_munmap)]),
    (&["net::accept_with"], &[any(SYS_accept4)]),
    (&["net::connect"], &[any(SYS_connect)]),
    (&["net::recvmsg"], &[any(SYS_recvmsg)]),
    (&["net::sendmsg"], &[any(SYS_sendmsg)]),
    (&["net::shutdown"], &[any(SYS_shutdown)]),
    (&["net::socket_with"], &[with(SYS_socket, 0, 1)]),
    (&["net::socketpair"], &[with(SYS_socketpair, 0, 1)]),
    (&["process::fchdir"], &[any(SYS_fchdir)]),
    (&["process::getpid"], &[any(SYS_getpid)]),
    (&["rand::getrandom"], &[any(SYS_getrandom)]),
    (
        &["termios::isatty", "termios::tcgetwinsize"],
        &[with(SYS_ioctl, 1, 0x5413)],
    ),
    (&["thread::gettid"], &[any(SYS_gettid)]),
    (
        &["thread::sched_getaffinity"],
        &[any(SYS_sched_getaffinity)],
    ),
    (&["thread::sched_getcpu"], &[any(SYS_getcpu)]),
    (
        &["thread::sched_setaffinity"],
        &[any(SYS_sched_setaffinity)],
    ),
    (&["thread::sched_yield"], &[any(SYS_sched_yield)]),
    (&["time::clock_gettime"], &[any(SYS_clock_gettime)]),
    // What the kernel said when the program started.
    (
        &[
            "param::linux_hwcap",
            "param::linux_minsigstksz",
            "param::page_size",
        ],
        NONE,
    ),
    (
        &["buffer::spare_capacity", "fs::makedev", "event::epoll"],
        NONE,
    ),
];

/// `OFlags::empty`, `Uid::from_raw` and their like, which only make a value.
fn is_constructor(name: &str) -> bool {
    let mut parts = name.rsplit("::");
    let (function, of) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let makes = matches!(
        function,
        "empty"
            | "from_bits"
            | "from_bits_retain"
            | "from_borrowed_fd"
            | "from_raw"
            | "from_raw_mode"
            | "new"
            | "new_u64"
    );
    makes && of != "RawDir" && of.starts_with(|first: char| first.is_ascii_uppercase())
}

/// Of libc.
const LIBC: &[(&[&str], &[Call])] = &[
    (&["_exit"], &[any(SYS_exit_group)]),
    (&["F_OFD_GETLK"], &[with(SYS_fcntl, 1, 36)]),
    (&["F_OFD_SETLK"], &[with(SYS_fcntl, 1, 37)]),
    (&["FIONREAD"], &[with(SYS_ioctl, 1, 0x541b)]),
    (&["TCGETS"], &[with(SYS_ioctl, 1, 0x5401)]),
    (&["TCSETS"], &[with(SYS_ioctl, 1, 0x5402)]),
    (&["TCSETSW"], &[with(SYS_ioctl, 1, 0x5403)]),
    (&["TCSETSF"], &[with(SYS_ioctl, 1, 0x5404)]),
    (&["TIOCGWINSZ"], &[with(SYS_ioctl, 1, 0x5413)]),
    (&["TIOCSWINSZ"], &[with(SYS_ioctl, 1, 0x5414)]),
    (&["KVM_SET_DEVICE_ATTR"], &[with(SYS_ioctl, 1, 0x4018_aee1)]),
    (&["fcntl"], &[any(SYS_fcntl)]),
    (&["ioctl"], &[any(SYS_ioctl)]),
    (&["kill"], &[any(SYS_kill)]),
    (&["malloc_trim"], &[any(SYS_brk), with(SYS_madvise, 2, 4)]),
    (&["mmap"], MAPPING),
    (&["prctl"], &[any(SYS_prctl)]),
    (&["PR_SET_PDEATHSIG"], &[with(SYS_prctl, 0, 1)]),
    (&["preadv"], &[any(SYS_preadv)]),
    (&["preadv2"], &[any(SYS_preadv2)]),
    (&["pwritev"], &[any(SYS_pwritev)]),
    (&["pwritev2"], &[any(SYS_pwritev2)]),
    (
        &["raise"],
        &[
            any(SYS_getpid),
            any(SYS_gettid),
            any(SYS_tgkill),
            any(SYS_rt_sigprocmask),
        ],
    ),
    (&["readv"], &[any(SYS_readv)]),
    (&["sigaction", "signal"], &[any(SYS_rt_sigaction)]),
    (&["unshare"], &[any(SYS_unshare)]),
    (&["wait4"], &[any(SYS_wait4)]),
    (&["write"], &[any(SYS_write)]),
    (&["writev"], &[any(SYS_writev)]),
    // With a number that the source names beside it.
    (&["syscall"], NONE),
    (
        &[
            "mallopt",
            "sigaddset",
            "sigdelset",
            "sigemptyset",
            "sigfillset",
            "WEXITSTATUS",
            "WIFEXITED",
            "WIFSIGNALED",
            "WIFSTOPPED",
            "WSTOPSIG",
            "WTERMSIG",
        ],
        NONE,
    ),
];

/// Of the standard library.
const STD: &[(&[&str], &[Call])] = &[
    (&["thread::Builder::new", "thread::spawn"], THREAD),
    (
        &["thread::scope", "thread::park", "thread::park_timeout"],
        LOCK,
    ),
    (&["thread::sleep"], &[any(SYS_clock_nanosleep)]),
    (&["thread::yield_now"], &[any(SYS_sched_yield)]),
    (&["process::exit"], &[any(SYS_exit_group)]),
    (
        &["thread::current", "fs::File::from", "net::Ipv6Addr::from"],
        NONE,
    ),
    (
        &["time::Instant::now", "time::SystemTime::now"],
        &[any(SYS_clock_gettime)],
    ),
];

/// The calls of numbers that the sources name as `libc::SYS_…` or as a number of their own.
pub(crate) fn named(what: &str) -> Option<Call> {
    let name = match what {
        "libc::NR_FCHMODAT2" => "fchmodat2",
        _ => what.strip_prefix("libc::SYS_")?,
    };
    let number = (0..500).find(|number| abi::syscall_names::name(*number) == Some(name))?;
    Some(any(i64::from(number)))
}
