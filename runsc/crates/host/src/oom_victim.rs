//! [`OomVictim`]: processes whose only purpose is to be the ones that the host's OOM killer takes.
//!
//! When a guest runs out of memory before the control group around it does, the engine that watches
//! the group would never learn of it: only the host's own killer makes the group's event
//! (`memory.oom_control` of version 1, `oom_kill` in `memory.events` of version 2). The victim sits
//! in the group, is the killer's first choice (`oom_score_adj` 1000), and on request takes memory until
//! the group has none left. A keeper, small and with a filter of its own, forks the next one once the
//! last is gone, so that each request has its event, and tells whether one was killed or had all that it may take.
//! Neither holds anything but two pipes.

#![expect(
    unsafe_code,
    reason = "fork, and the calls of the child after it, have no safe form"
)]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{Errno, Result, errno};

const PAGE: usize = 4096;
/// Less memory than that is not worth to be taken.
const LEAST_BYTES: usize = 64 * PAGE;
/// How long the keeper waits before it tries again.
const RETRY_NS: i64 = 100_000_000;
const KILLED: u8 = b'x';
const LIVED: u8 = b'-';
/// The exit code of one that was asked, and took all that it may.
const TOOK_ALL: i32 = 1;

/// The process, waiting.
#[derive(Debug)]
pub struct OomVictim {
    /// A byte written here wakes it.
    wake: OwnedFd,
    /// [`KILLED`] comes when it has been killed, [`LIVED`] when it has taken all that it may and was not; end of file
    /// when there will be no other.
    gone: OwnedFd,
}

impl OomVictim {
    /// Forks the keeper from this process, which has to have one thread, and with it the first victim, with the
    /// ids, root and `oom_score_adj` that this process has now; each takes at most `most_bytes`. They end with this
    /// process. `confine` is called in the keeper before its first fork: it installs a filter, and says whether
    /// that is in force.
    ///
    /// # Errors
    /// Those of pipe2 and fork.
    pub fn prepare(most_bytes: usize, confine: impl FnOnce() -> bool) -> Result<OomVictim> {
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
                exit(0)
            }
            _ => Ok(OomVictim { wake, gone }),
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
            && matches!(rustix::io::read(&self.gone, &mut last), Ok(1..) if last[0] == KILLED)
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

/// The keeper's life: a victim at any time, and a byte for each that was asked or killed.
fn keep(most_bytes: usize) {
    loop {
        // SAFETY: fork without what the C library does around it: the child calls `wait_and_take`
        // alone, which makes plain system calls and never returns.
        let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        match child {
            -1 => sleep(RETRY_NS),
            0 => wait_and_take(most_bytes),
            child => {
                let mut status = 0;
                // SAFETY: the status lives until the call returns.
                let waited =
                    unsafe { libc::syscall(libc::SYS_wait4, child, &raw mut status, 0, 0) };
                if waited != child {
                    return;
                }
                let news = news_of(status);
                if news.is_some_and(|news| !tell(news)) {
                    return;
                }
                if news != Some(KILLED) {
                    sleep(RETRY_NS);
                }
            }
        }
    }
}

/// The byte for a victim that ended like this; none if it was not asked for anything.
fn news_of(status: i32) -> Option<u8> {
    if libc::WIFSIGNALED(status) {
        return Some(KILLED);
    }
    (libc::WEXITSTATUS(status) == TOOK_ALL).then_some(LIVED)
}

/// Writes the byte; whether there is still somebody to read it.
fn tell(byte: u8) -> bool {
    // SAFETY: one byte, which lives until the call returns.
    let told = unsafe { libc::syscall(libc::SYS_write, 1, &raw const byte, 1) };
    told == 1
}

fn sleep(time_ns: i64) {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: time_ns,
    };
    // SAFETY: the time lives until the call returns; none is written back.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, 0) };
}

/// The life of a victim. Where there is no memory to be had it ends before it takes a request.
fn wait_and_take(most_bytes: usize) -> ! {
    // SAFETY: 1. every call is a plain system call on numbers, one byte of the stack, or the fresh
    // mapping, which nothing else refers to; 2. stores stay within the mapping's length; 3. strict mode
    // allows what comes after it: read, page faults and exit.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if let Some((memory, bytes)) = reserve(most_bytes) {
            let mut byte = 0_u8;
            if libc::syscall(libc::SYS_read, 0, &raw mut byte, 1) == 1 {
                for at in (0..bytes).step_by(PAGE) {
                    memory.add(at).write_volatile(1);
                }
                exit(TOOK_ALL);
            }
        }
    }
    exit(0)
}

/// Address space to take memory in, as much of `most_bytes` as the host gives: without overcommitment it gives less.
fn reserve(most_bytes: usize) -> Option<(*mut u8, usize)> {
    let mut bytes = most_bytes;
    while bytes >= LEAST_BYTES {
        // SAFETY: a fresh mapping at an address of the host's choice.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if memory != libc::MAP_FAILED {
            return Some((memory.cast(), bytes));
        }
        bytes /= 2;
    }
    None
}

fn exit(code: i32) -> ! {
    loop {
        // SAFETY: a plain system call; filtered or not, it ends the one thread.
        unsafe { libc::syscall(libc::SYS_exit, code) };
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, getpid, kill_process};

    use super::OomVictim;

    /// The test's own threads make no difference to a child that only makes system calls.
    fn prepare(most_bytes: usize, is_confined: bool) -> OomVictim {
        OomVictim::prepare(most_bytes, || is_confined).unwrap()
    }

    fn stat(pid: i32) -> Option<(String, i32)> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
        Some((name.to_owned(), parent))
    }

    /// Keepers of this process.
    fn keepers() -> Vec<i32> {
        let own = getpid().as_raw_nonzero().get();
        children(own)
    }

    fn children(parent: i32) -> Vec<i32> {
        let ids = std::fs::read_dir("/proc").unwrap();
        let ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.filter(|id| stat(*id) == Some(("runsc-oom".to_owned(), parent)))
            .collect()
    }

    #[test]
    fn each_kill_is_told() {
        let before = keepers();
        let victim = prepare(1 << 40, true);
        let new = || {
            let keepers = keepers();
            keepers.into_iter().find(|id| !before.contains(id))
        };
        for _ in 0..3 {
            let child = loop {
                let child = new().and_then(|keeper| children(keeper).pop());
                if let Some(child) = child.and_then(Pid::from_raw) {
                    break child;
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            // In place of the host's killer, which has to come before memory is scarce here.
            kill_process(child, Signal::KILL).unwrap();
            let start = Instant::now();
            while !victim.is_gone(0) && start.elapsed().as_secs() < 10 {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(victim.is_gone(0));
            let mut byte = [0_u8; 1];
            rustix::io::read(&victim.gone, &mut byte).unwrap();
        }
    }

    #[test]
    fn an_end_without_a_kill_is_none() {
        let victim = prepare(1 << 20, true);
        let start = Instant::now();
        for _ in 0..2 {
            assert!(!victim.offer(60_000));
        }
        assert!(start.elapsed().as_secs() < 30, "it waited for a kill");
    }

    #[test]
    fn without_a_filter_there_is_none() {
        let victim = prepare(1 << 20, false);
        let start = Instant::now();
        assert!(!victim.offer(10_000));
        assert!(start.elapsed().as_secs() < 5);
    }
}
