//! [`Sacrifice`]: processes whose only purpose is to be the ones that the host's OOM killer takes.
//!
//! When a guest runs out of memory before the control group around it does, the engine that watches
//! the group would never learn of it: only the host's own killer makes the group's event
//! (`memory.oom_control` of version 1, `oom_kill` in `memory.events` of version 2). The sacrifice sits
//! in the group, is the killer's first choice (`oom_score_adj` 1000), and on request takes memory until
//! the group has none left. A keeper, small and with a filter of its own, forks the next one once the
//! last has been killed, so that each request has its event. Neither holds anything but two pipes.

#![expect(
    unsafe_code,
    reason = "fork, and the calls of the child after it, have no safe form"
)]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{Errno, Result, errno};

const PAGE: usize = 4096;
/// How long the keeper waits before it tries again to fork.
const RETRY_NS: i64 = 100_000_000;

/// The process, waiting.
#[derive(Debug)]
pub struct Sacrifice {
    /// A byte written here wakes it.
    wake: OwnedFd,
    /// A byte comes when it has been killed; end of file when there will be no other.
    gone: OwnedFd,
}

impl Sacrifice {
    /// Forks the keeper from this process, which has to have one thread, and with it the first
    /// sacrifice, with the ids, root and `oom_score_adj` that this process has now; each takes at most `most_bytes`. They end with this process. `confine` is called in
    /// the keeper before its first fork: it installs a filter, and says whether that is in force.
    ///
    /// # Errors
    /// Those of pipe2 and fork.
    pub fn prepare(most_bytes: usize, confine: impl FnOnce() -> bool) -> Result<Sacrifice> {
        let (wake_read, wake) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        let (gone, gone_write) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        // SAFETY: the process has one thread, so no lock is held by another, and the child may do
        // what this process may; it never returns from `keep`.
        match unsafe { libc::fork() } {
            -1 => Err(last_error()),
            0 => {
                enter(wake_read.as_raw_fd(), gone_write.as_raw_fd());
                if confine() {
                    keep(most_bytes);
                }
                exit()
            }
            _ => Ok(Sacrifice { wake, gone }),
        }
    }

    /// Has it take memory until it is killed for it, and waits so long for that. Whether it was.
    #[must_use]
    pub fn offer(&self, timeout_ms: u32) -> bool {
        let mut last = [0_u8; 16];
        // Of an offer that took longer than its caller would wait.
        while self.is_gone(0) && matches!(rustix::io::read(&self.gone, &mut last), Ok(1..)) {}
        // There is no keeper any more: then no event can be made.
        rustix::io::write(&self.wake, b"x").is_ok()
            && self.is_gone(timeout_ms)
            && matches!(rustix::io::read(&self.gone, &mut last), Ok(1..))
    }

    fn is_gone(&self, timeout_ms: u32) -> bool {
        let timeout = Timespec {
            tv_sec: i64::from(timeout_ms / 1000),
            tv_nsec: i64::from(timeout_ms % 1000) * 1_000_000,
        };
        let mut gone = [PollFd::new(&self.gone, PollFlags::IN)];
        matches!(poll(&mut gone, Some(&timeout)), Ok(1..))
    }
}

fn last_error() -> Errno {
    Errno::from_raw(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EAGAIN),
    )
}

/// The keeper's first steps: it holds the two pipes alone, and ends with its parent.
fn enter(wake: RawFd, gone: RawFd) {
    // SAFETY: plain system calls on numbers and a static string.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"runsc-oom".as_ptr());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        // Descriptors 0 and 1 are the pipes, by whatever way keeps one from overwriting the other.
        let high = libc::fcntl(gone, libc::F_DUPFD, 64);
        libc::dup2(wake, 0);
        libc::dup2(high, 1);
        libc::syscall(libc::SYS_close_range, 2, libc::c_uint::MAX, 0);
    }
}

/// The keeper's life: a sacrifice at any time, and a byte for each that is gone.
fn keep(most_bytes: usize) {
    loop {
        // SAFETY: fork without what the C library does around it: the child calls `wait_and_take`
        // alone, which makes plain system calls and never returns.
        let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        match child {
            -1 => sleep(RETRY_NS),
            0 => wait_and_take(most_bytes),
            child => {
                // SAFETY: a plain system call; no status is asked for.
                let waited = unsafe { libc::syscall(libc::SYS_wait4, child, 0, 0, 0) };
                // SAFETY: one byte of a static string.
                let told = unsafe { libc::syscall(libc::SYS_write, 1, c"x".as_ptr(), 1) };
                if waited != child || told != 1 {
                    return;
                }
            }
        }
    }
}

fn sleep(time_ns: i64) {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: time_ns,
    };
    // SAFETY: the time lives until the call returns; none is written back.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, 0) };
}

/// The life of a sacrifice.
fn wait_and_take(most_bytes: usize) -> ! {
    // SAFETY: 1. every call is a plain system call on numbers, one byte of the stack, or the fresh
    // mapping, which nothing else refers to; 2. stores stay within the mapping's length; 3. strict mode
    // allows what comes after it: read, page faults and exit.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let memory = libc::mmap(
            std::ptr::null_mut(),
            most_bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
        let mut byte = 0_u8;
        let woken = libc::syscall(libc::SYS_read, 0, &raw mut byte, 1);
        if woken == 1 && memory != libc::MAP_FAILED {
            let memory = memory.cast::<u8>();
            for at in (0..most_bytes).step_by(PAGE) {
                memory.add(at).write_volatile(1);
            }
        }
    }
    exit()
}

fn exit() -> ! {
    loop {
        // SAFETY: a plain system call; filtered or not, it ends the one thread.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::Sacrifice;

    #[test]
    fn each_offer_has_its_end() {
        // The test's own threads make no difference to a child that only makes system calls.
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let sacrifice = Sacrifice::prepare(1 << 20, || true).unwrap();
        let _ = std::fs::write("/proc/self/oom_score_adj", own.trim());
        let start = std::time::Instant::now();
        for _ in 0..3 {
            assert!(sacrifice.offer(10_000));
        }
        assert!(start.elapsed().as_secs() < 10);
    }

    #[test]
    fn without_a_filter_there_is_none() {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let sacrifice = Sacrifice::prepare(1 << 20, || false).unwrap();
        let _ = std::fs::write("/proc/self/oom_score_adj", own.trim());
        let start = std::time::Instant::now();
        assert!(!sacrifice.offer(10_000));
        assert!(start.elapsed().as_secs() < 5);
    }
}
