//! What a worker begins with: limits, files, descriptors of every kind.

use crate::raw::raw;
use crate::signals;

/// How many descriptors a worker may have; few, so that most small numbers are one.
const NR_FDS: u64 = 256;

/// Limits that keep a worker from filling its machine.
pub(crate) fn limit() {
    let limits: [(u32, u64); 6] = [
        (libc::RLIMIT_NOFILE, NR_FDS),
        (libc::RLIMIT_FSIZE, 16 << 20),
        (libc::RLIMIT_AS, 1 << 30),
        (libc::RLIMIT_MEMLOCK, 1 << 20),
        (libc::RLIMIT_NPROC, 200),
        (libc::RLIMIT_CPU, 60),
    ];
    for (resource, value) in limits {
        raw!(SYS_setrlimit, resource, [value, value].as_slice());
    }
    // What is short of memory ends a worker first.
    let fd = raw!(SYS_open, c"/proc/self/oom_score_adj", libc::O_WRONLY);
    raw!(SYS_write, fd, c"500", 3);
    raw!(SYS_close, fd);
}

/// Handlers for what would end the worker, and an alarm that interrupts calls that sleep.
pub(crate) fn arm() {
    const SA_ONSTACK: u64 = 0x0800_0000;
    const SA_NODEFER: u64 = 0x4000_0000;
    for signal in [
        1, 2, 3, 10, 12, 13, 14, 15, 23, 24, 25, 26, 27, 29, 30, 34, 40, 64,
    ] {
        signals::install(signal, SA_NODEFER | SA_ONSTACK);
    }
    rearm();
}

/// The alarm, again: calls may have taken it away.
pub(crate) fn rearm() {
    const TWENTY_MS: [u64; 4] = [0, 20_000, 0, 20_000];
    signals::install(14, 0);
    raw!(SYS_setitimer, 0, TWENTY_MS.as_slice(), 0);
    let alarm = [1_u64 << 13];
    raw!(
        SYS_rt_sigprocmask,
        libc::SIG_UNBLOCK,
        alarm.as_slice(),
        0,
        8
    );
}

/// Files in the current directory.
pub(crate) fn files() {
    raw!(SYS_mkdir, c"d", 0o755);
    raw!(SYS_mkdir, c"e", 0o1777);
    raw!(SYS_symlink, c"a", c"link");
    raw!(SYS_symlink, c"loop", c"loop");
    raw!(SYS_mknod, c"fifo", 0o010_666, 0);
    for name in [c"a", c"b", c"d/a"] {
        let fd = raw!(SYS_open, name, libc::O_RDWR | libc::O_CREAT, 0o666);
        raw!(SYS_write, fd, PATTERN, PATTERN.len());
        raw!(SYS_close, fd);
    }
    let fd = raw!(SYS_open, c"script", libc::O_RDWR | libc::O_CREAT, 0o777);
    raw!(SYS_write, fd, c"#!/fuzz-guest worker\n", 21);
    raw!(SYS_close, fd);
}

static PATTERN: &[u8] = &[b'p'; 5000];

/// Descriptors of every kind; whatever fails is not there.
pub(crate) fn descriptors() {
    opened();
    pairs();
    sockets();
    let mask = [0x2204_u64];
    raw!(SYS_eventfd2, 3, libc::O_NONBLOCK);
    raw!(SYS_epoll_create1, 0);
    raw!(SYS_inotify_init1, libc::O_NONBLOCK);
    raw!(SYS_timerfd_create, 1, libc::O_NONBLOCK);
    raw!(SYS_signalfd4, -1, mask.as_slice(), 8, libc::O_NONBLOCK);
    raw!(SYS_memfd_create, c"m", libc::MFD_ALLOW_SEALING);
    raw!(SYS_pidfd_open, raw!(SYS_getpid), 0);
    raw!(
        SYS_mq_open,
        c"q",
        libc::O_RDWR | libc::O_CREAT | libc::O_NONBLOCK,
        0o666,
        0
    );
}

fn opened() {
    let files = [
        (c"a", libc::O_RDWR),
        (c"b", libc::O_RDWR | libc::O_APPEND),
        (c"a", libc::O_RDONLY),
        (c".", libc::O_RDONLY | libc::O_DIRECTORY),
        (c"d", libc::O_PATH),
        (c"fifo", libc::O_RDWR | libc::O_NONBLOCK),
        (c"/tmp", libc::O_RDWR | libc::O_TMPFILE),
        (c"/dev/null", libc::O_RDWR),
        (c"/dev/zero", libc::O_RDWR),
        (
            c"/dev/ptmx",
            libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK,
        ),
        (c"/proc/self/mem", libc::O_RDWR),
        (c"/proc/self/ns/user", libc::O_RDONLY),
        (c"/proc/self/ns/net", libc::O_RDONLY),
        (c"/proc/self", libc::O_RDONLY),
        (c"/proc/self/maps", libc::O_RDONLY),
    ];
    for (name, flags) in files {
        let fd = raw!(SYS_open, name, flags, 0o600);
        if name == c"/dev/ptmx" && fd >= 0 {
            const TIOCSPTLCK: u64 = 0x4004_5431;
            const TIOCGPTPEER: u64 = 0x5441;
            raw!(SYS_ioctl, fd, TIOCSPTLCK, [0_u64].as_slice());
            raw!(SYS_ioctl, fd, TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY);
        }
    }
}

fn pairs() {
    let pair = [0_u64];
    raw!(SYS_pipe2, pair.as_slice(), 0);
    raw!(SYS_pipe2, pair.as_slice(), libc::O_NONBLOCK);
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        raw!(SYS_socketpair, libc::AF_UNIX, kind, 0, pair.as_slice());
    }
}

fn sockets() {
    raw!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0);
    raw!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0);
    raw!(SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0);
    raw!(SYS_socket, libc::AF_INET6, libc::SOCK_STREAM, 0);
    raw!(SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0);
}

/// Who the worker is: as it was started, a user, or root of namespaces of its own.
pub(crate) fn identity(which: u64) {
    match which {
        0 | 1 => own_mounts(),
        2 | 3 => {
            raw!(SYS_setgroups, 0, 0);
            raw!(SYS_setresgid, 1000, 1000, 1000);
            raw!(SYS_setresuid, 1000, 1000, 1000);
        }
        4 => {
            own_mounts();
            raw!(SYS_unshare, libc::CLONE_NEWPID | libc::CLONE_NEWIPC);
        }
        _ => namespaces(),
    }
}

/// Root in a user namespace, with the others that it may then have.
fn namespaces() {
    let (uid, gid) = (raw!(SYS_getuid), raw!(SYS_getgid));
    raw!(
        SYS_unshare,
        libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWNET
    );
    for (name, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ] {
        // Where namespaces are refused, the worker goes on as it is.
        let _ = std::fs::write(format!("/proc/self/{name}"), text);
    }
    private_mounts();
}

/// A mount namespace of its own, if it may: root could take the files from the first process and whoever is executed
/// from outside.
fn own_mounts() {
    if raw!(SYS_unshare, libc::CLONE_NEWNS) == 0 {
        private_mounts();
    }
}

fn private_mounts() {
    raw!(
        SYS_mount,
        c"none",
        c"/",
        0,
        libc::MS_REC | libc::MS_PRIVATE,
        0
    );
}
