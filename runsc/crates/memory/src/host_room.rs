//! [`HostMemory`]: whether the host still has memory to give.
//!
//! The host's OOM killer ends processes by size and knows nothing of guests. So the guest's memory
//! stops growing a little before the host, or the control group that the sandbox is in, has nothing
//! left: a guest process is short of memory then, not the sandbox. What the sandbox, the gofer and the
//! page tables of stubs take counts with it, as the host counts it. Asking costs some reads of the
//! host's files, so it is asked once for every step by which the guest or the Sentry's own memory
//! ([`crate::heap`]) grows, and steps get shorter as the end comes near.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::heap::KernelMemory;
use crate::huge::HugePages;

/// Longest growth between two looks at the host.
const STEP: u64 = 32 << 20;
/// What is left to the host: other programs, page tables of the guest, the sandbox's own memory.
const RESERVE: u64 = 64 << 20;
/// What is left in a control group: a part of its limit within these bounds, for the same things.
const GROUP_RESERVE: std::ops::RangeInclusive<u64> = 2 << 20..=16 << 20;
const GROUP_SHARE: u64 = 32;
/// What is kept from objects that no process could be killed for: a part of the limit, and at least so much.
const LASTING_SHARE: u64 = 16;
const LASTING_LEAST: u64 = 4 << 20;
/// What the host may need for new frames besides them: page tables of a stub and of the Sentry.
const PAGE_TABLES: u64 = 2 * 4096;
/// How much the Sentry may grow before the next look when nothing is left.
const SHORT_STEP: u64 = 64 << 10;
/// The lines up to the third, which is the one wanted, are much shorter.
const FRONT_OF_MEMINFO: usize = 256;
/// All of a group's `memory.stat`.
const WHOLE_STAT: usize = 4096;

/// Where the host says what it has.
#[derive(Debug, Default)]
pub struct HostMemory {
    /// Its `/proc/meminfo`.
    pub meminfo: Option<OwnedFd>,
    /// The control group that limits the sandbox.
    pub group: Option<GroupFiles>,
    /// Whether it has huge pages for shared memory.
    pub huge_pages: HugePages,
}

/// The files of a memory control group.
#[derive(Debug)]
pub struct GroupFiles {
    /// `memory.usage_in_bytes` or `memory.current`.
    pub usage: OwnedFd,
    /// `memory.limit_in_bytes` or `memory.max`.
    pub limit: OwnedFd,
    /// `memory.stat`.
    pub stat: OwnedFd,
}

impl GroupFiles {
    /// The limit in bytes; none if there is none.
    fn limit(&self) -> Option<u64> {
        number_in(&self.limit)
    }

    /// What more it can hold: caches of files give way.
    fn available(&self) -> Option<u64> {
        let limit = self.limit()?;
        let usage = number_in(&self.usage)?;
        let mut text = vec![0; WHOLE_STAT];
        let len = rustix::io::pread(&self.stat, &mut text, 0).ok()?;
        let stat = text.get(..len)?;
        // Version 1 has totals of the group and those below it, which is what its usage counts.
        let row = |name: &str| {
            row_of(stat, &format!("total_{name} ")).or_else(|| row_of(stat, &format!("{name} ")))
        };
        let cache = row("inactive_file")?.saturating_add(row("active_file")?);
        let reserve = (limit / GROUP_SHARE).clamp(*GROUP_RESERVE.start(), *GROUP_RESERVE.end());
        Some(limit.saturating_sub(usage.saturating_sub(cache).saturating_add(reserve)))
    }
}

/// What the host can give, asked in steps.
pub(crate) struct HostRoom {
    host: HostMemory,
    /// Up to how many bytes in use nobody needs to ask again.
    granted: AtomicU64,
    /// What page tables may have taken besides, ever.
    page_tables: AtomicU64,
    /// What was left at the last look.
    left: AtomicU64,
    /// What the Sentry is about to allocate ([`HostRoom::promise`]).
    promised: AtomicU64,
    kernel: KernelMemory,
}

impl fmt::Debug for HostRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostRoom").finish_non_exhaustive()
    }
}

impl HostRoom {
    /// Asks `host`; what is missing there is taken to be large enough.
    pub(crate) fn new(host: HostMemory) -> HostRoom {
        HostRoom {
            host,
            granted: AtomicU64::new(0),
            page_tables: AtomicU64::new(0),
            left: AtomicU64::new(u64::MAX),
            promised: AtomicU64::new(0),
            kernel: KernelMemory::default(),
        }
    }

    /// Counts the page tables of frames that have been given out.
    pub(crate) fn gave_frames(&self) {
        self.page_tables.fetch_add(PAGE_TABLES, Ordering::Relaxed);
    }

    /// Takes `bytes` off what is left, until they are taken back.
    pub(crate) fn promise(&self, bytes: u64) {
        self.promised.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back what was promised.
    pub(crate) fn take_back(&self, bytes: u64) {
        self.promised.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Has the next question asked of the host itself.
    pub(crate) fn ask_again(&self) {
        self.granted.store(0, Ordering::Relaxed);
    }

    /// Whether, at the last look, there was room for what no process could be killed for.
    pub(crate) fn has_lasting_room(&self, limit: u64) -> bool {
        let wanted = (limit / LASTING_SHARE).max(LASTING_LEAST);
        // Without a limit the host's own reserve has to do.
        let wanted = if limit == u64::MAX {
            LASTING_LEAST
        } else {
            wanted
        };
        self.left.load(Ordering::Relaxed) >= wanted
    }

    /// The limit of the control group, if there is one.
    pub(crate) fn group_limit(&self) -> Option<u64> {
        self.host.group.as_ref()?.limit()
    }

    /// Whether the host has room for `len` bytes on top of the `used` ones, of which it has given
    /// `resident` already.
    pub(crate) fn allows(&self, used: u64, len: u64, resident: impl FnOnce() -> u64) -> bool {
        let page_tables = self.page_tables.load(Ordering::Relaxed);
        let Some(sum) = used
            .checked_add(len)
            .and_then(|sum| sum.checked_add(page_tables))
        else {
            return false;
        };
        let granted = self.granted.load(Ordering::Relaxed);
        // What was granted long ago, before most of it was given back, may no longer be there.
        if sum <= granted && granted - sum <= STEP {
            return true;
        }
        let available = self.available().unwrap_or(u64::MAX);
        let promised = used
            .saturating_sub(resident())
            .saturating_add(self.promised.load(Ordering::Relaxed));
        let left = available.checked_sub(promised.saturating_add(len));
        self.grant(sum, left.unwrap_or(0));
        left.is_some()
    }

    /// Lets frames and the Sentry's own memory grow by parts of what is left before the next look.
    fn grant(&self, sum: u64, left: u64) {
        self.left.store(left, Ordering::Relaxed);
        let step = (left / 2).min(STEP);
        let granted = if left == 0 {
            0
        } else {
            sum.saturating_add(step)
        };
        self.granted.store(granted, Ordering::Relaxed);
        self.kernel.grant((step / 2).max(SHORT_STEP));
    }

    fn available(&self) -> Option<u64> {
        let whole = self.host.meminfo.as_ref().and_then(available_on_host);
        let group = self.host.group.as_ref().and_then(GroupFiles::available);
        match (whole, group) {
            (Some(whole), Some(group)) => Some(whole.min(group)),
            (one, other) => one.or(other),
        }
    }
}

fn available_on_host(meminfo: &OwnedFd) -> Option<u64> {
    let mut text = [0; FRONT_OF_MEMINFO];
    let len = rustix::io::pread(meminfo, &mut text, 0).ok()?;
    Some(available_in(text.get(..len)?)?.saturating_sub(RESERVE))
}

/// `MemAvailable` in bytes (`man 5 proc_meminfo`).
fn available_in(text: &[u8]) -> Option<u64> {
    let kib = row_of(text.strip_suffix(b"\n").unwrap_or(text), "MemAvailable:");
    kib?.checked_mul(1024)
}

/// The number in the line that begins with `name`.
fn row_of(text: &[u8], name: &str) -> Option<u64> {
    let line = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes()))?;
    let line = std::str::from_utf8(line).ok()?.trim();
    line.strip_suffix(" kB").unwrap_or(line).parse().ok()
}

/// A file that holds one number; none for anything else, `max` for example.
fn number_in(file: &OwnedFd) -> Option<u64> {
    let mut text = [0; 32];
    let len = rustix::io::pread(file, &mut text, 0).ok()?;
    std::str::from_utf8(text.get(..len)?)
        .ok()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;

    use super::{GroupFiles, HostMemory, HostRoom, RESERVE, STEP, available_in};

    fn file(text: &str) -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        write!(file, "{text}").unwrap();
        OwnedFd::from(file)
    }

    fn meminfo(available: u64) -> OwnedFd {
        let kib = available / 1024;
        file(&format!(
            "MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable:   {kib} kB\n"
        ))
    }

    fn host_with(available: u64) -> HostRoom {
        HostRoom::new(HostMemory {
            meminfo: Some(meminfo(available)),
            group: None,
            ..HostMemory::default()
        })
    }

    fn nothing_resident() -> u64 {
        0
    }

    #[test]
    fn the_reserve_stays_with_the_host() {
        let room = host_with(RESERVE + (1 << 20));
        assert!(room.allows(0, 1 << 20, nothing_resident));
        assert!(!room.allows(0, (1 << 20) + 4096, nothing_resident));
        assert!(!room.allows(5 << 30, 2 << 20, || 5 << 30));
        assert!(room.allows(5 << 30, 1 << 20, || 5 << 30));
        assert!(!room.allows(6 << 30, 4096, nothing_resident), "promised");
    }

    #[test]
    fn asks_once_per_step() {
        let room = host_with(RESERVE + 4 * STEP);
        assert!(room.allows(0, 4096, nothing_resident));
        let file = room.host.meminfo.as_ref().unwrap();
        rustix::fs::ftruncate(file, 0).unwrap();
        rustix::io::pwrite(file, b"MemAvailable: 0 kB\n", 0).unwrap();
        assert!(room.allows(STEP - 4096, 4096, nothing_resident));
        assert!(!room.allows(STEP, 2 * 4096, nothing_resident));
    }

    #[test]
    fn a_control_group_holds_what_is_not_cache() {
        const MIB: u64 = 1 << 20;
        let group = |limit: &str, stat: &str| {
            HostRoom::new(HostMemory {
                meminfo: Some(meminfo(1 << 40)),
                group: Some(GroupFiles {
                    usage: file(&format!("{}\n", 60 * MIB)),
                    limit: file(limit),
                    stat: file(stat),
                }),
                ..HostMemory::default()
            })
        };
        let limit = format!("{}\n", 64 * MIB);
        let v1 = "inactive_file 1\nactive_file 1\ntotal_inactive_file 8388608\ntotal_active_file 2097152\n";
        // 64 - (60 - 10) - 2 of reserve.
        let room = group(&limit, v1);
        assert_eq!(room.group_limit(), Some(64 * MIB));
        assert!(room.allows(0, 12 * MIB, nothing_resident));
        assert!(!room.allows(0, 12 * MIB + 4096, nothing_resident));
        let v2 = "anon 5\ninactive_file 0\nactive_file 0\n";
        assert!(group(&limit, v2).allows(0, 2 * MIB, nothing_resident));
        assert!(!group(&limit, v2).allows(0, 3 * MIB, nothing_resident));
        let unlimited = group("max\n", v2);
        assert_eq!(unlimited.group_limit(), None);
        assert!(unlimited.allows(0, 1 << 30, nothing_resident));
    }

    #[test]
    fn without_a_host_to_ask_there_is_room() {
        let room = HostRoom::new(HostMemory::default());
        assert!(room.allows(1 << 40, 1 << 40, nothing_resident));
        assert_eq!(available_in(b"MemTotal: 1 kB\n"), None);
        assert_eq!(available_in(b"MemAvailable: x kB\n"), None);
    }
}
