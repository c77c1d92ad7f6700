//! [`HostRoom`]: whether the host still has memory to give, for guests without a limit of their own.
//!
//! The host's OOM killer ends processes by size and knows nothing of guests. So the guest's memory
//! stops growing a little before the host has nothing left: a guest process is short of memory then,
//! not the sandbox. Asking costs a read of the host's `/proc/meminfo`, so it is asked once for every
//! [`STEP`] by which the guest grows.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// Growth between two looks at the host.
const STEP: u64 = 32 << 20;
/// What is left to the host: other programs, page tables of the guest, the sandbox's own memory.
const RESERVE: u64 = 64 << 20;
/// The lines up to the third, which is the one wanted, are much shorter.
const FRONT_OF_MEMINFO: usize = 256;

/// What the host can give.
pub(crate) struct HostRoom {
    meminfo: Option<OwnedFd>,
    /// Up to how many bytes in use nobody needs to ask again.
    granted: AtomicU64,
}

impl fmt::Debug for HostRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostRoom").finish_non_exhaustive()
    }
}

impl HostRoom {
    /// Asks `meminfo`, the host's `/proc/meminfo`; without it the host is taken to be large enough.
    pub(crate) fn new(meminfo: Option<OwnedFd>) -> HostRoom {
        HostRoom {
            meminfo,
            granted: AtomicU64::new(0),
        }
    }

    /// Whether the host has room for `len` bytes on top of the `used` ones.
    pub(crate) fn allows(&self, used: u64, len: u64) -> bool {
        let Some(sum) = used.checked_add(len) else {
            return false;
        };
        let granted = self.granted.load(Ordering::Relaxed);
        // What was granted long ago, before most of it was given back, may no longer be there.
        if sum <= granted && granted - sum <= 2 * STEP {
            return true;
        }
        let Some(available) = self.available() else {
            return true;
        };
        let Some(left) = available.checked_sub(RESERVE.saturating_add(len)) else {
            return false;
        };
        self.granted
            .store(sum.saturating_add(left.min(STEP)), Ordering::Relaxed);
        true
    }

    fn available(&self) -> Option<u64> {
        let mut text = [0; FRONT_OF_MEMINFO];
        let len = host::rustix::io::pread(self.meminfo.as_ref()?, &mut text, 0).ok()?;
        available_in(text.get(..len)?)
    }
}

/// `MemAvailable` in bytes (`man 5 proc_meminfo`).
fn available_in(text: &[u8]) -> Option<u64> {
    let line = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"MemAvailable:"))?;
    let number = std::str::from_utf8(line).ok()?.trim().strip_suffix(" kB")?;
    number.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;

    use super::{HostRoom, RESERVE, STEP, available_in};

    fn host_with(available: u64) -> HostRoom {
        let mut file = tempfile::tempfile().unwrap();
        let kib = available / 1024;
        write!(
            file,
            "MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable:   {kib} kB\n"
        )
        .unwrap();
        HostRoom::new(Some(OwnedFd::from(file)))
    }

    #[test]
    fn the_reserve_stays_with_the_host() {
        let room = host_with(RESERVE + (1 << 20));
        assert!(room.allows(0, 1 << 20));
        assert!(!room.allows(0, (1 << 20) + 4096));
        assert!(!room.allows(5 << 30, 2 << 20), "whatever is used already");
    }

    #[test]
    fn asks_once_per_step() {
        let room = host_with(RESERVE + 2 * STEP);
        assert!(room.allows(0, 4096));
        let file = room.meminfo.as_ref().unwrap();
        host::rustix::fs::ftruncate(file, 0).unwrap();
        host::rustix::io::pwrite(file, b"MemAvailable: 0 kB\n", 0).unwrap();
        assert!(room.allows(STEP - 4096, 4096));
        assert!(!room.allows(STEP, 2 * 4096));
    }

    #[test]
    fn without_a_host_to_ask_there_is_room() {
        assert!(HostRoom::new(None).allows(1 << 40, 1 << 40));
        assert_eq!(available_in(b"MemTotal: 1 kB\n"), None);
        assert_eq!(available_in(b"MemAvailable: x kB\n"), None);
    }
}
