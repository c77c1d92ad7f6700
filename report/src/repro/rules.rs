//! What is not compared as it is printed, and why: one table.

/// How something is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// An address: one of the host stands for one of the sandbox.
    Address,
    /// A descriptor: the same.
    Descriptor,
    /// The id of a process or thread: the same.
    Id,
    /// Not at all.
    Hidden,
    /// Not if it is a time since the first run began.
    Recent,
    /// It is, but a difference is expected.
    Expected,
}

/// Things that are treated alike for one reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// How they are compared.
    pub(super) treatment: Treatment,
    /// Members of structures, in any call.
    pub(super) fields: &'static [&'static str],
    /// Calls of which the result is meant.
    pub(super) results: &'static [&'static str],
    /// Calls of which everything that they store is meant.
    pub(super) stored: &'static [&'static str],
    /// Files of which the contents are meant; all in a directory if it ends in a slash.
    pub(super) files: &'static [&'static str],
    /// Why.
    pub(super) why: &'static str,
}

/// A rule about nothing.
const NOTHING: Rule = Rule {
    treatment: Treatment::Hidden,
    fields: &[],
    results: &[],
    stored: &[],
    files: &[],
    why: "",
};

/// The table.
pub(super) const RULES: &[Rule] = &[
    Rule {
        treatment: Treatment::Address,
        fields: &[
            "ss_sp",
            "sa_handler",
            "sa_restorer",
            "iov_base",
            "uaddr",
            "head",
        ],
        results: &["brk", "mmap", "mremap", "shmat"],
        stored: &["arch_prctl", "get_robust_list"],
        why: "address spaces are laid out at random; an address of the host stands for one of the sandbox",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Descriptor,
        fields: &["fd", "u32", "u64"],
        results: &[
            "accept",
            "accept4",
            "creat",
            "dup",
            "dup2",
            "dup3",
            "epoll_create",
            "epoll_create1",
            "eventfd",
            "eventfd2",
            "fcntl",
            "inotify_init",
            "inotify_init1",
            "memfd_create",
            "open",
            "open_by_handle_at",
            "openat",
            "openat2",
            "pidfd_getfd",
            "pidfd_open",
            "signalfd",
            "signalfd4",
            "socket",
            "timerfd_create",
        ],
        stored: &["pipe", "pipe2", "socketpair"],
        why: "one descriptor more or less shifts all that follow; a descriptor of the host stands for one of the sandbox",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Id,
        fields: &["l_pid", "pid", "si_pid"],
        results: &[
            "clone",
            "clone3",
            "fork",
            "getpgid",
            "getpgrp",
            "getpid",
            "getppid",
            "gettid",
            "set_tid_address",
            "setsid",
            "vfork",
            "wait4",
            "waitid",
        ],
        why: "the sandbox counts its processes from 1; an id of the host stands for one of the sandbox, in text too",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Hidden,
        fields: &[
            "d_ino",
            "d_off",
            "f_fsid",
            "st_dev",
            "st_ino",
            "stx_dev_major",
            "stx_dev_minor",
            "stx_ino",
            "stx_mnt_id",
        ],
        results: &["sched_getaffinity"],
        why: "numbers of devices, inodes, mounts and places in a directory, and the size of a mask, are each kernel's own",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Hidden,
        fields: &[
            "ru_stime",
            "ru_utime",
            "si_stime",
            "si_utime",
            "st_atime",
            "st_atime_nsec",
            "st_ctime",
            "st_ctime_nsec",
            "st_mtime_nsec",
            "stx_atime",
            "stx_btime",
            "stx_ctime",
        ],
        results: &["time", "times"],
        stored: &[
            "adjtimex",
            "clock_adjtime",
            "clock_gettime",
            "clock_nanosleep",
            "getitimer",
            "getrusage",
            "gettimeofday",
            "nanosleep",
            "setitimer",
            "time",
            "timer_gettime",
            "timer_settime",
            "timerfd_gettime",
            "timerfd_settime",
            "times",
        ],
        why: "time passes",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Hidden,
        results: &["getsid"],
        why: "the session on the host is that of whoever started this",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Recent,
        fields: &["st_mtime", "stx_mtime"],
        why: "what was modified since the first run began was modified by the runs",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Hidden,
        fields: &[
            "f_bavail",
            "f_bfree",
            "f_ffree",
            "freeram",
            "freeswap",
            "loads",
            "procs",
            "bufferram",
            "sharedram",
        ],
        results: &["futex"],
        stored: &["getcpu", "getrandom", "sysinfo"],
        why: "what is free, who is running where, and chance change from run to run",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Expected,
        files: &["/proc/self/exe"],
        why: "a behaviour test's program has a place of its own in its container",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Expected,
        fields: &[
            "effective",
            "inheritable",
            "permitted",
            "rlim_cur",
            "rlim_max",
        ],
        why: "limits and capabilities come from the sandbox's configuration, not from whoever started it",
        ..NOTHING
    },
    Rule {
        treatment: Treatment::Expected,
        files: &[
            "/proc/cpuinfo",
            "/proc/filesystems",
            "/proc/meminfo",
            "/proc/mounts",
            "/proc/self/cgroup",
            "/proc/self/maps",
            "/proc/self/mountinfo",
            "/proc/self/mounts",
            "/proc/stat",
            "/proc/sys/kernel/osrelease",
            "/proc/version",
            "/sys/",
        ],
        fields: &["domainname", "nodename", "release", "version"],
        why: "the sandbox is a kernel of its own, with a version of its own",
        ..NOTHING
    },
];

/// The rule for a member of a structure, or for all that a call stores.
pub(super) fn of_stored(call: &str, field: Option<&str>) -> Option<&'static Rule> {
    let by_field = field.and_then(|field| RULES.iter().find(|rule| rule.fields.contains(&field)));
    by_field.or_else(|| RULES.iter().find(|rule| rule.stored.contains(&call)))
}

/// The rule for what a file holds.
pub(super) fn of_file(path: &str) -> Option<&'static Rule> {
    let has = |name: &str| path == name || (name.ends_with('/') && path.starts_with(name));
    RULES
        .iter()
        .find(|rule| rule.files.iter().any(|name| has(name)))
}

/// How the result of a call is compared, if not as a number.
pub(super) fn of_result(call: &str) -> Option<Treatment> {
    let rule = RULES.iter().find(|rule| rule.results.contains(&call));
    rule.map(|rule| rule.treatment)
}

#[cfg(test)]
mod tests {
    use super::{RULES, Treatment, of_result, of_stored};

    #[test]
    fn a_member_counts_before_its_call() {
        let of = |call, field| of_stored(call, field).map(|rule| rule.treatment);
        assert_eq!(of("fstat", Some("st_ino")), Some(Treatment::Hidden));
        assert_eq!(of("fstat", Some("st_size")), None);
        assert_eq!(of("sysinfo", Some("totalram")), Some(Treatment::Hidden));
        assert_eq!(of_result("openat"), Some(Treatment::Descriptor));
        assert_eq!(of_result("read"), None);
    }

    #[test]
    fn the_documentation_gives_every_reason() {
        let path = fixtures::build::workspace().join("syscall-tests/README.md");
        let text = std::fs::read_to_string(path).unwrap();
        for rule in RULES {
            assert!(text.contains(rule.why), "{}", rule.why);
        }
    }
}
