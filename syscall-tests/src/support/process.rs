//! Child processes: forking, waiting, and carrying an [`Outcome`] back to the parent.

#![expect(unsafe_code, reason = "fork and _exit")]

use std::fmt;

use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::time;
use crate::sys::SysError;

/// The limit for a child of a test, in milliseconds.
const CHILD_LIMIT_MS: i32 = 10_000;
/// The lowest number of the descriptor that a child reports through, out of the way of tests that count descriptors.
const REPORT_FD: i32 = 900;

/// Ends the calling process at once.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` runs no destructor and does not return.
    unsafe { libc::_exit(code) }
}

/// Makes the calling process the leader of a new process group.
pub(crate) fn new_group() {
    // It fails only for a session leader, which leads its group already.
    let _ = sys!(SYS_setpgid, 0, 0);
}

/// The calling process's id.
pub(crate) fn getpid() -> i32 {
    sys!(SYS_getpid).map_or(0, |pid| pid as i32)
}

/// The calling thread's id.
pub(crate) fn gettid() -> i32 {
    sys!(SYS_gettid).map_or(0, |tid| tid as i32)
}

/// A wait status.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) i32);

impl Status {
    /// The exit code, if it exited.
    pub(crate) fn code(self) -> Option<i32> {
        libc::WIFEXITED(self.0).then(|| libc::WEXITSTATUS(self.0))
    }

    /// The signal that killed it.
    pub(crate) fn signal(self) -> Option<i32> {
        libc::WIFSIGNALED(self.0).then(|| libc::WTERMSIG(self.0))
    }

    /// The signal that stopped it.
    pub(crate) fn stop(self) -> Option<i32> {
        libc::WIFSTOPPED(self.0).then(|| libc::WSTOPSIG(self.0))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code(), self.signal()) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (_, Some(signal)) => write!(f, "signal {signal}"),
            _ => write!(f, "wait status {:#x}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A child that is killed and reaped when dropped, unless it has been waited for.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its process id.
    pub(crate) pid: i32,
    waited: bool,
}

impl Child {
    /// Takes over a child made by other means than [`fork`].
    pub(crate) fn adopt(pid: i64) -> Self {
        Self {
            pid: pid as i32,
            waited: false,
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Result<Status, SysError> {
        let mut status = 0_i32;
        sys!(SYS_wait4, self.pid, &mut status, 0, 0)?;
        self.waited = true;
        Ok(Status(status))
    }

    /// Sends it a signal.
    pub(crate) fn kill(&self, signal: i32) -> Result<(), SysError> {
        sys!(SYS_kill, self.pid, signal).map(|_| ())
    }

    /// The test has reaped it by itself.
    pub(crate) fn forget(mut self) {
        self.waited = true;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.waited {
            // Both fail only if it is gone, which is what is wanted.
            let _ = sys!(SYS_kill, self.pid, libc::SIGKILL);
            let _ = sys!(SYS_wait4, self.pid, 0, 0, 0);
        }
    }
}

/// Forks; the child runs `body` and exits with its result.
pub(crate) fn fork(body: impl FnOnce() -> i32) -> Result<Child, Failure> {
    // SAFETY: the test processes fork while they have one thread, or run only system calls in the child.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(std::io::Error::last_os_error().into()),
        0 => exit_now(body()),
        pid => Ok(Child { pid, waited: false }),
    }
}

/// Forks a child that sleeps until it is killed.
pub(crate) fn fork_sleeper() -> Result<Child, Failure> {
    fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    })
}

/// Runs `body` in a child; its outcome is the result.
pub(crate) fn in_child(body: impl FnOnce() -> Outcome) -> Outcome {
    let mut child = Reporting::spawn(body)?;
    match child.finish(CHILD_LIMIT_MS)? {
        Waited::Reported(outcome) => outcome,
        Waited::Died(status) => fail!("the child ended with {status}"),
        Waited::TimedOut => {
            let _ = sys!(SYS_kill, child.pid(), libc::SIGKILL);
            fail!("the child did not end")
        }
    }
}

/// Runs `body` in a child and gives its wait status.
pub(crate) fn status_of(body: impl FnOnce() -> i32) -> Result<Status, Failure> {
    Ok(fork(body)?.wait()?)
}

/// How a reporting child ended.
pub(crate) enum Waited {
    /// It reported this.
    Reported(Outcome),
    /// It ended without a report.
    Died(Status),
    /// It still runs.
    TimedOut,
}

/// A child that reports an [`Outcome`] through a pipe.
pub(crate) struct Reporting {
    child: Child,
    pipe: Fd,
}

impl Reporting {
    /// Starts it.
    pub(crate) fn spawn(body: impl FnOnce() -> Outcome) -> Result<Self, Failure> {
        let (reader, writer) = fd::pipe(libc::O_CLOEXEC)?;
        let parent_end = reader.number();
        let child = fork(move || {
            let _ = sys!(SYS_close, parent_end);
            let high = sys!(SYS_fcntl, &writer, libc::F_DUPFD_CLOEXEC, REPORT_FD);
            let report_fd = high.map_or(writer.number(), |fd| fd as i32);
            if report_fd != writer.number() {
                drop(writer);
            }
            send_report(report_fd, &body());
            0
        })?;
        Ok(Self {
            child,
            pipe: reader,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.child.pid
    }

    /// Waits for its report or its end, so many milliseconds at most.
    pub(crate) fn finish(&mut self, limit_ms: i32) -> Result<Waited, Failure> {
        let deadline = time::monotonic_ns() + i64::from(limit_ms) * 1_000_000;
        loop {
            if fd::wait_readable(&self.pipe, 100)?
                && let Some(outcome) = receive_report(&self.pipe)
            {
                self.child.wait()?;
                return Ok(Waited::Reported(outcome));
            }
            let mut status = 0_i32;
            if sys!(SYS_wait4, self.child.pid, &mut status, libc::WNOHANG, 0)? != 0 {
                self.child.waited = true;
                // It may have reported between the two looks.
                if fd::wait_readable(&self.pipe, 0)?
                    && let Some(outcome) = receive_report(&self.pipe)
                {
                    return Ok(Waited::Reported(outcome));
                }
                return Ok(Waited::Died(Status(status)));
            }
            if time::monotonic_ns() > deadline {
                return Ok(Waited::TimedOut);
            }
        }
    }

    /// Kills what is left of its process group.
    pub(crate) fn kill_group(&self) {
        // ESRCH is the usual answer: nothing is left.
        let _ = sys!(SYS_kill, -self.child.pid, libc::SIGKILL);
    }
}

/// Writes the outcome as one message: a tag, then the text.
fn send_report(pipe: i32, outcome: &Outcome) {
    let (tag, text) = match outcome {
        Ok(()) => (b'o', ""),
        Err(Failure::Failed(reason)) => (b'f', reason.as_str()),
        Err(Failure::Skipped(why)) => (b's', why.as_str()),
    };
    let mut message = vec![tag];
    message.extend(text.bytes().take(2000));
    if sys!(SYS_write, pipe, message.as_slice(), message.len()).is_err() {
        exit_now(125);
    }
}

/// Reads one message; none if the child closed the pipe without one.
fn receive_report(pipe: &Fd) -> Option<Outcome> {
    let message = pipe.read(4096).ok()?;
    let (tag, text) = message.split_first()?;
    let text = String::from_utf8_lossy(text).into_owned();
    Some(match tag {
        b'o' => Ok(()),
        b's' => Err(Failure::Skipped(text)),
        _ => Err(Failure::Failed(text)),
    })
}
