//! Strings: paths and names that mean something, and some that are too long, empty, or no text.

use std::ffi::CStr;

/// Paths. What the fuzzer itself needs is not among them: its programs, its report, and the first process.
pub(crate) const PATHS: &[&CStr] = &[
    c".",
    c"..",
    c"/",
    c"",
    c"a",
    c"b",
    c"c",
    c"d",
    c"e",
    c"f",
    c"d/a",
    c"d/b",
    c"d/../a",
    c"link",
    c"loop",
    c"fifo",
    c"socket",
    c"script",
    c"elf",
    c"a/",
    c"./a",
    c"d/e/f",
    c"a",
    c"b",
    c"d",
    c"/tmp",
    c"/tmp/x",
    c"/tmp/y",
    c"/tmp/d",
    c"/dev",
    c"/dev/null",
    c"/dev/zero",
    c"/dev/full",
    c"/dev/random",
    c"/dev/urandom",
    c"/dev/tty",
    c"/dev/ptmx",
    c"/dev/pts",
    c"/dev/pts/0",
    c"/dev/pts/1",
    c"/dev/pts/ptmx",
    c"/dev/console",
    c"/dev/shm",
    c"/dev/shm/s",
    c"/dev/mqueue",
    c"/dev/mqueue/q",
    c"/dev/fd/3",
    c"/dev/stdin",
    c"/dev/stdout",
    c"/proc",
    c"/proc/self",
    c"/proc/self/exe",
    c"/proc/self/cwd",
    c"/proc/self/root",
    c"/proc/self/fd",
    c"/proc/self/fd/0",
    c"/proc/self/fd/1",
    c"/proc/self/fd/3",
    c"/proc/self/fd/7",
    c"/proc/self/fd/12",
    c"/proc/self/fdinfo/5",
    c"/proc/self/maps",
    c"/proc/self/smaps",
    c"/proc/self/mem",
    c"/proc/self/pagemap",
    c"/proc/self/environ",
    c"/proc/self/cmdline",
    c"/proc/self/comm",
    c"/proc/self/stat",
    c"/proc/self/status",
    c"/proc/self/auxv",
    c"/proc/self/limits",
    c"/proc/self/mounts",
    c"/proc/self/mountinfo",
    c"/proc/self/mountstats",
    c"/proc/self/oom_score_adj",
    c"/proc/self/oom_adj",
    c"/proc/self/uid_map",
    c"/proc/self/gid_map",
    c"/proc/self/setgroups",
    c"/proc/self/coredump_filter",
    c"/proc/self/clear_refs",
    c"/proc/self/timerslack_ns",
    c"/proc/self/timers",
    c"/proc/self/task",
    c"/proc/self/task/self/stat",
    c"/proc/thread-self/children",
    c"/proc/self/ns",
    c"/proc/self/ns/user",
    c"/proc/self/ns/mnt",
    c"/proc/self/ns/pid",
    c"/proc/self/ns/net",
    c"/proc/self/ns/ipc",
    c"/proc/self/ns/uts",
    c"/proc/self/ns/cgroup",
    c"/proc/self/ns/time",
    c"/proc/self/attr/current",
    c"/proc/self/loginuid",
    c"/proc/self/map_files",
    c"/proc/self/net/unix",
    c"/proc/self/net/tcp",
    c"/proc/self/stack",
    c"/proc/self/syscall",
    c"/proc/self/wchan",
    c"/proc/self/sched",
    c"/proc/self/cgroup",
    c"/proc/meminfo",
    c"/proc/stat",
    c"/proc/cpuinfo",
    c"/proc/uptime",
    c"/proc/loadavg",
    c"/proc/version",
    c"/proc/filesystems",
    c"/proc/interrupts",
    c"/proc/vmstat",
    c"/proc/zoneinfo",
    c"/proc/partitions",
    c"/proc/sys",
    c"/proc/sys/kernel/hostname",
    c"/proc/sys/kernel/domainname",
    c"/proc/sys/kernel/sem",
    c"/proc/sys/kernel/shmmax",
    c"/proc/sys/kernel/msgmax",
    c"/proc/sys/kernel/ns_last_pid",
    c"/proc/sys/kernel/random/uuid",
    c"/proc/sys/net/core/somaxconn",
    c"/proc/sys/net/ipv4/ip_local_port_range",
    c"/proc/sys/fs/pipe-max-size",
    c"/proc/sys/fs/mqueue/msg_max",
    c"/proc/sysvipc/shm",
    c"/proc/sysvipc/msg",
    c"/proc/sysvipc/sem",
    c"/proc/sysrq-trigger",
    c"/proc/kmsg",
    c"/proc/kcore",
    c"/proc/pressure/memory",
    c"/sys",
    c"/sys/devices/system/cpu/online",
    c"/sys/fs/cgroup",
    c"/sys/fs/cgroup/cgroup.procs",
    c"/sys/class/net",
    c"/sys/kernel/mm/transparent_hugepage/enabled",
    c"/etc/passwd",
    c"/etc",
    c"/run",
    c"/no/such/path",
    c"a/b/c/d/e",
    c"\xff\xfe\n",
    c"x\ty z",
];

/// Short strings for labels, options and host names.
pub(crate) const TEXTS: &[&CStr] = &[
    c"",
    c"a",
    c"fuzz",
    c"guest",
    c"size=1m",
    c"size=1m,mode=777,nr_inodes=100",
    c"mode=0",
    c"size=-1",
    c"size=200%",
    c"lowerdir=d,upperdir=u,workdir=w",
    c"lowerdir=d:e",
    c"newinstance,ptmxmode=0666",
    c"hidepid=2",
    c"uid=1000,gid=5",
    c"name=x",
    c"\xff\x01",
    c"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// File systems.
pub(crate) const FILE_SYSTEMS: &[&CStr] = &[
    c"tmpfs",
    c"ramfs",
    c"proc",
    c"sysfs",
    c"devpts",
    c"mqueue",
    c"cgroup",
    c"cgroup2",
    c"overlay",
    c"devtmpfs",
    c"ext4",
    c"fuse",
    c"bind",
    c"",
];

/// Extended attributes.
pub(crate) const XATTRS: &[&CStr] = &[
    c"user.a",
    c"user.b",
    c"user.",
    c"trusted.a",
    c"trusted.overlay.opaque",
    c"security.capability",
    c"security.selinux",
    c"system.posix_acl_access",
    c"system.posix_acl_default",
    c"none.a",
    c"",
];

/// Message queues.
pub(crate) const QUEUES: &[&CStr] = &[c"/q", c"q", c"r", c"/", c"", c"/a/b", c"/.."];

/// Programs.
pub(crate) const PROGRAMS: &[&CStr] = &[
    c"/proc/self/exe",
    c"/fuzz-guest",
    c"script",
    c"elf",
    c"a",
    c"d",
    c"/dev/null",
    c"/proc/self/fd/3",
    c"",
];

/// Names of 255 and 256 bytes, and a path of the longest that is too long.
pub(crate) struct Long {
    name: [u8; 256],
    longer: [u8; 257],
    path: [u8; 4200],
}

/// The only ones.
pub(crate) static LONG: Long = Long {
    name: terminated(),
    longer: terminated(),
    path: slashes(),
};

impl Long {
    /// All of them.
    pub(crate) fn all(&self) -> [&[u8]; 3] {
        [&self.name, &self.longer, &self.path]
    }
}

const fn terminated<const N: usize>() -> [u8; N] {
    let mut bytes = [b'n'; N];
    bytes[N - 1] = 0;
    bytes
}

const fn slashes() -> [u8; 4200] {
    let mut bytes = terminated::<4200>();
    let mut index = 1;
    while index < 4198 {
        bytes[index] = b'/';
        index += 2;
    }
    bytes
}
