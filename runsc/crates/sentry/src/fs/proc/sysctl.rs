//! `/proc/sys` (`man 5 proc_sys`).

use std::sync::Arc;

use abi::Errno;
use parking_lot::Mutex;

use crate::error::Result;
use crate::fs::synthetic::{Content, Directory, Entry, Generated, StaticDirectory};
use crate::kernel::credentials::{CAP_LAST, Capability};
use crate::kernel::namespaces::UtsNames;
use crate::kernel::pids::PID_MAX;
use crate::kernel::task::Task;
use crate::syscalls::system::{RELEASE, VERSION};

/// The whole tree.
pub(super) fn root() -> Arc<dyn Directory> {
    let directory =
        |entries: Vec<(&'static str, Entry)>| Entry::directory(StaticDirectory::new(entries));
    StaticDirectory::new([
        ("kernel", directory(kernel_entries())),
        ("fs", directory(fs_entries())),
        ("vm", directory(vm_entries())),
        (
            "net",
            directory(vec![("core", directory(net_core_entries()))]),
        ),
    ])
}

/// A value that never changes.
fn fixed(value: impl Into<String>) -> Entry {
    let line = format!("{}\n", value.into()).into_bytes();
    Entry::file(Arc::new(Generated(move |_: &Task| Ok(line.clone()))))
}

/// A number that root may set. It is remembered; nothing here acts on it.
#[derive(Debug)]
struct Number {
    value: Mutex<u64>,
    most: u64,
}

fn number(value: u64, most: u64) -> Entry {
    Entry::file(Arc::new(Number {
        value: Mutex::new(value),
        most,
    }))
    .with_permissions(0o644)
}

impl Content for Number {
    fn read(&self, _task: &Task) -> Result<Vec<u8>> {
        Ok(format!("{}\n", self.value.lock()).into_bytes())
    }

    fn write(&self, task: &Task, bytes: &[u8], _offset: u64) -> Result<usize> {
        if !task.has_capability(Capability::SysAdmin) {
            return Err(Errno::EPERM);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
        let value: u64 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        if value > self.most {
            return Err(Errno::EINVAL);
        }
        *self.value.lock() = value;
        Ok(bytes.len())
    }
}

/// Host or domain name of the reader's UTS namespace.
struct Name(fn(&mut UtsNames) -> &mut Vec<u8>);

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Name")
    }
}

impl Content for Name {
    fn read(&self, task: &Task) -> Result<Vec<u8>> {
        let mut names = task.namespaces().uts.names.lock().clone();
        let mut line = (self.0)(&mut names).clone();
        line.push(b'\n');
        Ok(line)
    }

    fn write(&self, task: &Task, bytes: &[u8], _offset: u64) -> Result<usize> {
        if !task.has_capability(Capability::SysAdmin) {
            return Err(Errno::EPERM);
        }
        let name = bytes
            .split(|byte| matches!(byte, 0 | b'\n'))
            .next()
            .unwrap_or_default();
        let namespaces = task.namespaces();
        *(self.0)(&mut namespaces.uts.names.lock()) = name[..name.len().min(64)].to_vec();
        Ok(bytes.len())
    }
}

fn name(field: fn(&mut UtsNames) -> &mut Vec<u8>) -> Entry {
    Entry::file(Arc::new(Name(field))).with_permissions(0o644)
}

/// A random UUID, version 4.
fn uuid() -> String {
    let mut bytes = [0_u8; 16];
    // It can fail only for a signal before the first byte; zeros make a valid if dull UUID.
    let _ = host::rustix::rand::getrandom(&mut bytes, host::rustix::rand::GetRandomFlags::empty());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn random_entries() -> Vec<(&'static str, Entry)> {
    let fresh = Generated(|_: &Task| Ok(format!("{}\n", uuid()).into_bytes()));
    vec![
        ("boot_id", fixed(uuid())),
        ("uuid", Entry::file(Arc::new(fresh))),
        ("entropy_avail", fixed("256")),
        ("poolsize", fixed("256")),
    ]
}

fn kernel_entries() -> Vec<(&'static str, Entry)> {
    vec![
        ("cap_last_cap", fixed(CAP_LAST.to_string())),
        ("hostname", name(|names| &mut names.host)),
        ("domainname", name(|names| &mut names.domain)),
        ("ostype", fixed("Linux")),
        ("osrelease", fixed(RELEASE)),
        ("version", fixed(VERSION)),
        ("pid_max", number(u64::from(PID_MAX), u64::from(PID_MAX))),
        ("threads-max", number(191_000, u64::from(u32::MAX))),
        ("ngroups_max", fixed("65536")),
        ("overflowuid", number(65534, 65535)),
        ("overflowgid", number(65534, 65535)),
        ("randomize_va_space", number(2, 2)),
        ("core_pattern", fixed("core")),
        ("core_uses_pid", number(0, 1)),
        ("dmesg_restrict", number(0, 1)),
        ("kptr_restrict", number(0, 2)),
        ("perf_event_paranoid", number(2, 4)),
        ("printk", fixed("4\t4\t1\t7")),
        ("sched_autogroup_enabled", number(0, 1)),
        ("msgmax", number(8192, u64::from(u32::MAX))),
        ("msgmnb", number(16384, u64::from(u32::MAX))),
        ("msgmni", number(32000, 32768)),
        ("sem", fixed("32000\t1024000000\t500\t32000")),
        ("shmall", number(u64::MAX >> 12, u64::MAX)),
        ("shmmax", number(u64::MAX >> 12 << 12, u64::MAX)),
        ("shmmni", number(4096, 32768)),
        (
            "random",
            Entry::directory(StaticDirectory::new(random_entries())),
        ),
        (
            "yama",
            Entry::directory(StaticDirectory::new([("ptrace_scope", number(1, 3))])),
        ),
    ]
}

fn fs_entries() -> Vec<(&'static str, Entry)> {
    vec![
        ("file-max", number(9_223_372_036_854_775_807, u64::MAX)),
        ("file-nr", fixed("1024\t0\t9223372036854775807")),
        ("nr_open", number(1 << 20, 1 << 30)),
        ("inode-nr", fixed("0\t0")),
        ("inode-state", fixed("0\t0\t0\t0\t0\t0\t0")),
        ("aio-max-nr", number(65536, u64::MAX)),
        ("aio-nr", fixed("0")),
        ("pipe-max-size", number(1 << 20, 1 << 31)),
        ("pipe-user-pages-hard", number(0, u64::MAX)),
        ("pipe-user-pages-soft", number(16384, u64::MAX)),
        ("protected_hardlinks", number(0, 1)),
        ("protected_symlinks", number(0, 1)),
        ("protected_fifos", number(0, 2)),
        ("protected_regular", number(0, 2)),
        ("suid_dumpable", number(0, 2)),
        ("overflowuid", number(65534, 65535)),
        ("overflowgid", number(65534, 65535)),
        (
            "inotify",
            Entry::directory(StaticDirectory::new([
                ("max_queued_events", number(16384, u64::from(u32::MAX))),
                ("max_user_instances", number(128, u64::from(u32::MAX))),
                ("max_user_watches", number(65536, u64::from(u32::MAX))),
            ])),
        ),
        (
            "epoll",
            Entry::directory(StaticDirectory::new([(
                "max_user_watches",
                number(3_000_000, u64::from(u32::MAX)),
            )])),
        ),
        (
            "mqueue",
            Entry::directory(StaticDirectory::new([
                ("msg_max", number(10, 65536)),
                ("msgsize_max", number(8192, 16 << 20)),
                ("queues_max", number(256, 65536)),
            ])),
        ),
    ]
}

fn vm_entries() -> Vec<(&'static str, Entry)> {
    vec![
        ("max_map_count", number(65530, u64::from(u32::MAX))),
        ("mmap_min_addr", fixed("65536")),
        ("overcommit_memory", number(0, 2)),
        ("overcommit_ratio", number(50, 100)),
        ("overcommit_kbytes", number(0, u64::MAX)),
        ("swappiness", number(60, 200)),
        ("dirty_ratio", number(20, 100)),
        ("dirty_background_ratio", number(10, 100)),
    ]
}

fn net_core_entries() -> Vec<(&'static str, Entry)> {
    vec![
        ("somaxconn", number(4096, u64::from(u32::MAX))),
        ("rmem_default", number(212_992, u64::from(u32::MAX))),
        ("rmem_max", number(212_992, u64::from(u32::MAX))),
        ("wmem_default", number(212_992, u64::from(u32::MAX))),
        ("wmem_max", number(212_992, u64::from(u32::MAX))),
        ("netdev_max_backlog", number(1000, u64::from(u32::MAX))),
    ]
}
