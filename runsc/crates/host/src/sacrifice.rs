//! [`Sacrifice`]: a process whose only purpose is to be the one that the host's OOM killer takes.
//!
//! When a guest runs out of memory before the control group around it does, the engine that watches
//! the group would never learn of it: only the host's own killer makes the group's event
//! (`memory.oom_control` of version 1, `oom_kill` in `memory.events` of version 2). The sacrifice sits
//! in the group, is the killer's first choice (`oom_score_adj` 1000), and on request takes memory until
//! the group has none left. It holds nothing but two pipes and runs in strict secure computing mode.

#![expect(
    unsafe_code,
    reason = "fork, and the calls of the child after it, have no safe form"
)]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{Errno, Result, errno};

const PAGE: usize = 4096;

/// The process, waiting.
#[derive(Debug)]
pub struct Sacrifice {
    /// A byte written here wakes it.
    wake: OwnedFd,
    /// End of file when it is gone.
    gone: OwnedFd,
}

impl Sacrifice {
    /// Forks it from this process, which has to have one thread, and lets it wait; it takes at most
    /// `most_bytes`. It ends with this process.
    ///
    /// # Errors
    /// Those of pipe2 and fork.
    pub fn prepare(most_bytes: usize) -> Result<Sacrifice> {
        let (wake_read, wake) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        let (gone, gone_write) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        // Its children inherit the number; the caller sets its own anew.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        // SAFETY: the process has one thread, so no lock is held by another; the child calls nothing
        // but `wait_and_take`, which neither allocates nor returns.
        match unsafe { libc::fork() } {
            -1 => Err(last_error()),
            0 => wait_and_take(wake_read.as_raw_fd(), gone_write.as_raw_fd(), most_bytes),
            _ => Ok(Sacrifice { wake, gone }),
        }
    }

    /// Has it take memory until it is killed for it, and waits so long for that.
    pub fn offer(&self, timeout_ms: u32) {
        // Gone already: then the event was made before.
        if rustix::io::write(&self.wake, b"x").is_err() {
            return;
        }
        let timeout = Timespec {
            tv_sec: i64::from(timeout_ms / 1000),
            tv_nsec: i64::from(timeout_ms % 1000) * 1_000_000,
        };
        let mut gone = [PollFd::new(&self.gone, PollFlags::IN)];
        let _ = poll(&mut gone, Some(&timeout));
    }
}

fn last_error() -> Errno {
    Errno::from_raw(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EAGAIN),
    )
}

/// The life of the child.
fn wait_and_take(wake: RawFd, gone: RawFd, most_bytes: usize) -> ! {
    // SAFETY: 1. every call is a plain system call on numbers, static strings, or the fresh mapping,
    // which nothing else refers to; 2. stores stay within the mapping's length; 3. strict mode allows
    // what comes after it: read, page faults and exit.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"runsc-oom".as_ptr());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        // Descriptors 0 and 1 are the pipes, by whatever way keeps one from overwriting the other.
        let high = libc::fcntl(gone, libc::F_DUPFD, 64);
        libc::dup2(wake, 0);
        libc::dup2(high, 1);
        libc::syscall(libc::SYS_close_range, 2, libc::c_uint::MAX, 0);
        let memory = libc::mmap(
            std::ptr::null_mut(),
            most_bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
        let strict = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT);
        let mut byte = 0_u8;
        let woken = libc::syscall(libc::SYS_read, 0, &raw mut byte, 1);
        if woken == 1 && strict == 0 && memory != libc::MAP_FAILED {
            let memory = memory.cast::<u8>();
            for at in (0..most_bytes).step_by(PAGE) {
                memory.add(at).write_volatile(1);
            }
        }
        loop {
            libc::syscall(libc::SYS_exit, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sacrifice;

    #[test]
    fn it_takes_what_it_may_and_is_gone() {
        // The test's own threads make no difference to a child that only makes system calls.
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let sacrifice = Sacrifice::prepare(1 << 20).unwrap();
        let _ = std::fs::write("/proc/self/oom_score_adj", own.trim());
        let start = std::time::Instant::now();
        sacrifice.offer(10_000);
        assert!(start.elapsed().as_secs() < 5);
        // A second time there is nobody to wait for.
        sacrifice.offer(10_000);
        assert!(start.elapsed().as_secs() < 5);
    }
}
