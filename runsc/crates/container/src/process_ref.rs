//! A host process that outlives the command that made it, told apart from later users of its id.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use host::errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{self, Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use crate::{ContainerError, Result};

/// How often it is looked whether a process that has ended was taken.
const POLL: Duration = Duration::from_millis(2);

/// A process id with the moment the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its id; 0 is no process.
    pub pid: i32,
    /// When it started, in clock ticks since the host's boot (`man 5 proc`, stat, field 22).
    pub start_ticks: u64,
}

impl ProcessRef {
    /// The process that has this id now.
    #[must_use]
    pub fn of(pid: i32) -> ProcessRef {
        let start_ticks = status(pid).map_or(0, |status| status.start_ticks);
        ProcessRef { pid, start_ticks }
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.pid > 0
            && status(self.pid).is_some_and(|status| {
                status.start_ticks == self.start_ticks && !matches!(status.state, 'Z' | 'X')
            })
    }

    /// Kills it. Having ended already is no error.
    ///
    /// # Errors
    /// [`ContainerError::Host`].
    pub fn kill(&self) -> Result<()> {
        if let Some(pidfd) = self.open()? {
            // An error: it has ended since.
            let _ = process::pidfd_send_signal(&pidfd, Signal::KILL);
        }
        Ok(())
    }

    /// What it is doing, for a message about one that does not end.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = status(self.pid).map_or('?', |status| status.state);
        let place = fs::read_to_string(format!("/proc/{}/wchan", self.pid)).unwrap_or_default();
        format!("process {} in state {state} at {place:?}", self.pid)
    }

    /// Waits until it is gone, at most `timeout`.
    ///
    /// # Errors
    /// [`ContainerError::Host`] when it does not end.
    pub fn wait_for_end(&self, timeout: Duration) -> Result<()> {
        match self.open()? {
            Some(pidfd) => self.wait(&pidfd, timeout),
            None => Ok(()),
        }
    }

    /// Waits until it has ended and its parent has taken its exit code, at most `timeout` for each. A child of
    /// this process's own stays for its parent to take, and so does one whose parent takes none.
    ///
    /// # Errors
    /// [`ContainerError::Host`] when it does not end.
    pub fn wait_until_reaped(&self, timeout: Duration) -> Result<()> {
        self.wait_for_end(timeout)?;
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            match status(self.pid) {
                Some(status) if status.start_ticks == self.start_ticks && status.parent != own => {
                    std::thread::sleep(POLL);
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// A descriptor that becomes readable at its end; none if it has ended.
    ///
    /// # Errors
    /// [`ContainerError::Host`].
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) else {
            return Ok(None);
        };
        match process::pidfd_open(pid, PidfdFlags::empty()) {
            // Checked again, now that the descriptor keeps the id from being used anew.
            Ok(pidfd) => Ok(self.is_alive().then_some(pidfd)),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(ContainerError::host("open a descriptor of a process")(
                errno(error),
            )),
        }
    }

    fn wait(&self, pidfd: &OwnedFd, timeout: Duration) -> Result<()> {
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        });
        let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => Err(ContainerError::Host {
                step: "end a process of the sandbox in time",
                errno: host::Errno::ETIMEDOUT,
            }),
            Ok(_) => Ok(()),
            Err(_) if !self.is_alive() => Ok(()),
            Err(error) => Err(ContainerError::host("wait for the end of a process")(
                errno(error),
            )),
        }
    }
}

/// What `/proc/[pid]/stat` says of a process.
struct Status {
    state: char,
    parent: i32,
    start_ticks: u64,
}

fn status(pid: i32) -> Option<Status> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold anything, `)` too: fields count from its last one.
    let mut fields = text.get(text.rfind(')')? + 2..)?.split(' ');
    Some(Status {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        start_ticks: fields.nth(17)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::ProcessRef;

    #[test]
    fn an_id_used_again_is_another_process() {
        let own = ProcessRef::of(i32::try_from(std::process::id()).unwrap());
        assert!(own.is_alive());
        let earlier = ProcessRef {
            start_ticks: own.start_ticks - 1,
            ..own
        };
        assert!(!earlier.is_alive());
        assert!(!ProcessRef::default().is_alive());
    }
}
