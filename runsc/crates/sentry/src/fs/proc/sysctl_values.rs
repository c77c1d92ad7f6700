//! The values of `/proc/sys` that can be set: numbers, remembered by the kernel (`man 5 proc_sys`). The container's
//! description sets them before anything runs, root of the container while it runs. They are
//! shown again; what they would steer keeps Linux's default, but for those that
//! the kernel asks for with [`Values::flag`] or [`Values::number`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::fs::synthetic::{Content, Entry};
use crate::kernel::credentials::Capability;
use crate::kernel::kernel::Kernel;
use crate::kernel::pids::PID_MAX;
use crate::kernel::task::Task;

/// One value: its path below `/proc/sys`, its first value, and the most that each of its numbers may be.
#[derive(Debug)]
struct Value {
    path: &'static str,
    first: &'static str,
    most: u64,
}

/// A row of the table.
const fn row(path: &'static str, first: &'static str, most: u64) -> Value {
    Value { path, first, most }
}

const U32: u64 = 0xffff_ffff;
const I32: u64 = 0x7fff_ffff;
const I64: u64 = 0x7fff_ffff_ffff_ffff;
const BOOLEAN: u64 = 1;
/// Asked for with each file that is opened.
const FILE_MAX: &str = "fs/file-max";

/// Linux's names and defaults.
const VALUES: &[Value] = &[
    row("fs/aio-max-nr", "65536", u64::MAX),
    row("fs/epoll/max_user_watches", "3000000", U32),
    row(FILE_MAX, "9223372036854775807", I64),
    row("fs/inotify/max_queued_events", "16384", U32),
    row("fs/inotify/max_user_instances", "128", U32),
    row("fs/inotify/max_user_watches", "65536", U32),
    row("fs/mount-max", "100000", U32),
    row("fs/mqueue/msg_default", "10", 65536),
    row("fs/mqueue/msg_max", "10", 65536),
    row("fs/mqueue/msgsize_default", "8192", 16 << 20),
    row("fs/mqueue/msgsize_max", "8192", 16 << 20),
    row("fs/mqueue/queues_max", "256", 65536),
    row("fs/nr_open", "1048576", 1 << 30),
    row("fs/overflowgid", "65534", 65535),
    row("fs/overflowuid", "65534", 65535),
    row("fs/pipe-max-size", "1048576", 1 << 31),
    row("fs/pipe-user-pages-hard", "0", u64::MAX),
    row("fs/pipe-user-pages-soft", "16384", u64::MAX),
    row("fs/protected_fifos", "0", 2),
    row("fs/protected_hardlinks", "0", BOOLEAN),
    row("fs/protected_regular", "0", 2),
    row("fs/protected_symlinks", "0", BOOLEAN),
    row("fs/suid_dumpable", "0", 2),
    row("kernel/core_uses_pid", "0", BOOLEAN),
    row("kernel/dmesg_restrict", "1", BOOLEAN), // as Debian has it
    row("kernel/kptr_restrict", "0", 2),
    row("kernel/msg_next_id", "-1", I32),
    row("kernel/msgmax", "8192", U32),
    row("kernel/msgmnb", "16384", U32),
    row("kernel/msgmni", "32000", 32768),
    row("kernel/overflowgid", "65534", 65535),
    row("kernel/overflowuid", "65534", 65535),
    row("kernel/perf_event_paranoid", "2", 4),
    row("kernel/pid_max", "4194304", PID_MAX as u64),
    row("kernel/printk", "4\t4\t1\t7", I32),
    row("kernel/pty/max", "4096", 1 << 20),
    row("kernel/pty/reserve", "1024", 1 << 20),
    row("kernel/randomize_va_space", "2", 2),
    row("kernel/sched_autogroup_enabled", "0", BOOLEAN),
    row("kernel/sem", "32000\t1024000000\t500\t32000", I32),
    row("kernel/sem_next_id", "-1", I32),
    row("kernel/shm_next_id", "-1", I32),
    row("kernel/shm_rmid_forced", "0", BOOLEAN),
    row("kernel/shmall", "18446744073692774399", u64::MAX),
    row("kernel/shmmax", "18446744073692774399", u64::MAX),
    row("kernel/shmmni", "4096", 32768),
    row("kernel/threads-max", "191000", U32),
    row("kernel/yama/ptrace_scope", "1", 3),
    row("net/core/netdev_max_backlog", "1000", I32),
    row("net/core/optmem_max", "131072", I32),
    row("net/core/rmem_default", "212992", I32),
    row("net/core/rmem_max", "212992", I32),
    row("net/core/somaxconn", "4096", I32),
    row("net/core/wmem_default", "212992", I32),
    row("net/core/wmem_max", "212992", I32),
    row("net/ipv4/conf/all/accept_redirects", "0", BOOLEAN),
    row("net/ipv4/conf/all/accept_source_route", "0", BOOLEAN),
    row("net/ipv4/conf/all/arp_announce", "0", 2),
    row("net/ipv4/conf/all/arp_ignore", "0", 8),
    row("net/ipv4/conf/all/forwarding", "0", BOOLEAN),
    row("net/ipv4/conf/all/route_localnet", "0", BOOLEAN),
    row("net/ipv4/conf/all/rp_filter", "0", 2),
    row("net/ipv4/conf/all/send_redirects", "1", BOOLEAN),
    row("net/ipv4/conf/all/src_valid_mark", "0", BOOLEAN),
    row("net/ipv4/conf/default/accept_redirects", "1", BOOLEAN),
    row("net/ipv4/conf/default/accept_source_route", "0", BOOLEAN),
    row("net/ipv4/conf/default/arp_announce", "0", 2),
    row("net/ipv4/conf/default/arp_ignore", "0", 8),
    row("net/ipv4/conf/default/forwarding", "0", BOOLEAN),
    row("net/ipv4/conf/default/rp_filter", "0", 2),
    row("net/ipv4/conf/default/send_redirects", "1", BOOLEAN),
    row("net/ipv4/icmp_echo_ignore_all", "0", BOOLEAN),
    row("net/ipv4/icmp_echo_ignore_broadcasts", "1", BOOLEAN),
    row("net/ipv4/icmp_ratelimit", "1000", I32),
    row("net/ipv4/ip_default_ttl", "64", 255),
    row("net/ipv4/ip_forward", "0", BOOLEAN),
    row("net/ipv4/ip_local_port_range", "32768\t60999", 65535),
    row("net/ipv4/ip_no_pmtu_disc", "0", 3),
    row("net/ipv4/ip_nonlocal_bind", "0", BOOLEAN),
    row("net/ipv4/ip_unprivileged_port_start", "1024", 65535),
    row("net/ipv4/ping_group_range", "1\t0", I32),
    row("net/ipv4/tcp_abort_on_overflow", "0", BOOLEAN),
    row("net/ipv4/tcp_dsack", "1", BOOLEAN),
    row("net/ipv4/tcp_ecn", "2", 5),
    row("net/ipv4/tcp_fastopen", "1", 0x7ff),
    row("net/ipv4/tcp_fin_timeout", "60", I32),
    row("net/ipv4/tcp_keepalive_intvl", "75", I32),
    row("net/ipv4/tcp_keepalive_probes", "9", I32),
    row("net/ipv4/tcp_keepalive_time", "7200", I32),
    row("net/ipv4/tcp_max_orphans", "65536", I32),
    row("net/ipv4/tcp_max_syn_backlog", "1024", I32),
    row("net/ipv4/tcp_max_tw_buckets", "65536", I32),
    row("net/ipv4/tcp_mtu_probing", "0", 2),
    row("net/ipv4/tcp_notsent_lowat", "4294967295", U32),
    row("net/ipv4/tcp_orphan_retries", "0", 255),
    row("net/ipv4/tcp_retries1", "3", 255),
    row("net/ipv4/tcp_retries2", "15", 255),
    row("net/ipv4/tcp_rfc1337", "0", BOOLEAN),
    row("net/ipv4/tcp_rmem", "4096\t131072\t6291456", I32),
    row("net/ipv4/tcp_sack", "1", BOOLEAN),
    row("net/ipv4/tcp_slow_start_after_idle", "1", BOOLEAN),
    row("net/ipv4/tcp_syn_retries", "6", 127),
    row("net/ipv4/tcp_synack_retries", "5", 255),
    row("net/ipv4/tcp_syncookies", "1", 2),
    row("net/ipv4/tcp_timestamps", "1", 2),
    row("net/ipv4/tcp_tw_reuse", "2", 2),
    row("net/ipv4/tcp_window_scaling", "1", BOOLEAN),
    row("net/ipv4/tcp_wmem", "4096\t16384\t4194304", I32),
    row("net/ipv4/udp_rmem_min", "4096", I32),
    row("net/ipv4/udp_wmem_min", "4096", I32),
    row("net/ipv6/conf/all/accept_ra", "1", 2),
    row("net/ipv6/conf/all/disable_ipv6", "0", BOOLEAN),
    row("net/ipv6/conf/all/forwarding", "0", BOOLEAN),
    row("net/ipv6/conf/default/accept_ra", "1", 2),
    row("net/ipv6/conf/default/disable_ipv6", "0", BOOLEAN),
    row("net/ipv6/conf/default/forwarding", "0", BOOLEAN),
    row("net/unix/max_dgram_qlen", "10", I32),
    row("vm/dirty_background_ratio", "10", 100),
    row("vm/dirty_ratio", "20", 100),
    row("vm/max_map_count", "65530", U32),
    row("vm/overcommit_kbytes", "0", u64::MAX),
    row("vm/overcommit_memory", "0", 2),
    row("vm/overcommit_ratio", "50", 100),
    row("vm/swappiness", "60", 200),
];

fn named(path: &str) -> Option<&'static Value> {
    let place = VALUES.binary_search_by_key(&path, |value| value.path);
    VALUES.get(place.ok()?)
}

/// The values of one kernel that are not Linux's own.
#[derive(Debug)]
pub struct Values {
    set: Mutex<BTreeMap<&'static str, String>>,
    file_max: AtomicU64,
}

impl Default for Values {
    fn default() -> Values {
        Values {
            set: Mutex::default(),
            file_max: AtomicU64::new(I64),
        }
    }
}

impl Values {
    /// `fs.file-max`
    pub(crate) fn file_max(&self) -> u64 {
        self.file_max.load(Ordering::Relaxed)
    }

    /// Whether the flag at `path` is set.
    pub(crate) fn flag(&self, path: &str) -> bool {
        named(path).is_some_and(|value| self.get(value) != "0")
    }

    /// The number at `path`, the first if there are several.
    pub(crate) fn number(&self, path: &str) -> u64 {
        self.number_at(path, 0)
    }

    /// The number at `path` in this place, counted from 0.
    pub(crate) fn number_at(&self, path: &str, place: usize) -> u64 {
        let text = named(path).map(|value| self.get(value)).unwrap_or_default();
        let number = text.split('\t').nth(place).unwrap_or_default();
        number.parse().unwrap_or_default()
    }

    /// The same as a size; the largest if it does not fit.
    pub(crate) fn size_at(&self, path: &str, place: usize) -> usize {
        usize::try_from(self.number_at(path, place)).unwrap_or(usize::MAX)
    }

    fn get(&self, value: &'static Value) -> String {
        let set = self.set.lock().get(value.path).cloned();
        set.unwrap_or_else(|| value.first.to_owned())
    }

    fn set(&self, value: &'static Value, text: &str) -> Result<()> {
        let numbers = value.parse(text).ok_or(Errno::EINVAL)?;
        self.set.lock().insert(value.path, numbers);
        if value.path == FILE_MAX {
            self.file_max
                .store(self.number(FILE_MAX), Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Value {
    /// What a write of `text` sets: fewer numbers than there are leave the rest as they first were.
    fn parse(&self, text: &str) -> Option<String> {
        let mut numbers: Vec<&str> = self.first.split('\t').collect();
        let given: Vec<&str> = text.split_ascii_whitespace().collect();
        if given.is_empty() || given.len() > numbers.len() {
            return None;
        }
        for (slot, number) in numbers.iter_mut().zip(given) {
            let fits = match number.parse::<u64>() {
                Ok(number) => number <= self.most,
                Err(_) => number == "-1" && self.first == "-1",
            };
            if !fits {
                return None;
            }
            *slot = number;
        }
        Some(numbers.join("\t"))
    }
}

/// The file of one value.
#[derive(Debug)]
struct ValueFile(&'static Value);

impl Content for ValueFile {
    fn read(&self, task: &Task) -> Result<Vec<u8>> {
        let text = task.kernel().sysctl.get(self.0);
        Ok(format!("{text}\n").into_bytes())
    }

    fn write(&self, task: &Task, bytes: &[u8], _offset: u64) -> Result<usize> {
        let needed = match self.0.path.starts_with("net/") {
            true => Capability::NetAdmin,
            false => Capability::SysAdmin,
        };
        if !task.has_capability(needed) {
            return Err(Errno::EPERM);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
        task.kernel().sysctl.set(self.0, text)?;
        Ok(bytes.len())
    }
}

/// The files, by path.
pub(super) fn entries() -> Vec<(&'static str, Entry)> {
    let file = |value: &'static Value| {
        let entry = Entry::file(Arc::new(ValueFile(value))).with_permissions(0o644);
        (value.path, entry)
    };
    VALUES.iter().map(file).collect()
}

impl Kernel {
    /// Sets a value of `/proc/sys` from outside; `path` has slashes.
    ///
    /// # Errors
    /// ENOENT: there is none, or it can't be set; EINVAL: it can't be that.
    pub fn set_sysctl(&self, path: &str, text: &str) -> Result<()> {
        if path == "kernel/domainname" {
            let name = text.trim().as_bytes();
            if name.len() > 64 {
                return Err(Errno::EINVAL);
            }
            self.namespaces().uts.names.lock().domain = name.to_vec();
            return Ok(());
        }
        self.sysctl.set(named(path).ok_or(Errno::ENOENT)?, text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{VALUES, Values, named};

    #[test]
    fn every_first_value_is_valid() {
        for value in VALUES {
            assert_eq!(
                value.parse(value.first).as_deref(),
                Some(value.first),
                "{}",
                value.path
            );
        }
        assert!(VALUES.is_sorted_by_key(|value| value.path));
    }

    #[test]
    fn values_are_checked_and_remembered() {
        let values = Values::default();
        let named = |path: &str| named(path).unwrap();
        let range = named("net/ipv4/ping_group_range");
        values.set(range, "0 2147483647\n").unwrap();
        assert_eq!(values.get(range), "0\t2147483647");
        let forward = named("net/ipv4/ip_forward");
        for bad in ["", "2", "-1", "x", "1 1"] {
            assert!(values.set(forward, bad).is_err(), "{bad:?}");
        }
        assert_eq!(values.get(forward), "0");
        values.set(named("kernel/shm_next_id"), "-1").unwrap();
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_leaves_it(
            index in 0..VALUES.len(),
            text in "[-+ \t\n0-9]{0,30}|.{0,20}",
        ) {
            let value = &VALUES[index];
            let values = Values::default();
            if values.set(value, &text).is_ok() {
                let now = values.get(value);
                prop_assert_eq!(now.split('\t').count(), value.first.split('\t').count());
                let reread = value.parse(&now);
                prop_assert_eq!(reread, Some(now));
            } else {
                prop_assert_eq!(values.get(value), value.first);
            }
        }
    }
}
