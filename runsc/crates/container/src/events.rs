//! What happens to a running container: samples of its use, and running out of memory.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use control::{Reply, Request};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::cgroups::stats::{self, Stats};
use crate::cgroups::{Cgroup, Version};
use crate::lifecycle::{ask, connect};
use crate::state::{State, StateDir, Status};
use crate::{ContainerError, Result, Settings};

/// How often what can't be waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What came next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time has come.
    Due,
    /// The container's memory limit was hit, and a process was killed for it.
    OutOfMemory,
    /// The container has ended.
    Ended,
}

/// A container that is watched.
#[derive(Debug)]
pub struct Watch {
    directory: StateDir,
    state: State,
    sandbox: Option<OwnedFd>,
    memory: Option<MemoryEvents>,
}

/// How the kernel tells that a group has run out of memory.
#[derive(Debug)]
enum MemoryEvents {
    /// A descriptor that the kernel counts up (Documentation/admin-guide/cgroup-v1/memory.rst, 10).
    Counter { counter: OwnedFd, _control: File },
    /// A file that counts, and what it said last.
    File { path: PathBuf, seen: u64 },
}

impl Watch {
    /// Watches container `id`.
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`] when it has ended.
    pub fn new(settings: &Settings, id: &str) -> Result<Watch> {
        let directory = StateDir::new(&settings.root);
        let state = directory.load(id)?;
        if state.status() == Status::Stopped {
            return Err(ContainerError::NotRunning(id.to_owned()));
        }
        let memory = state.cgroup.as_ref().and_then(memory_events);
        Ok(Watch {
            sandbox: state.sandbox.open()?,
            directory,
            state,
            memory,
        })
    }

    /// What the container uses: as the host's control groups count it, but processes as the
    /// container's own kernel does, since the sandbox's threads are not the container's.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self
            .state
            .cgroup
            .as_ref()
            .map(Stats::read)
            .unwrap_or_default();
        stats.network_interfaces = stats::interfaces(self.state.sandbox.pid);
        let id = &self.state.id;
        let usage = connect(&self.directory, &self.state)
            .and_then(|connection| ask(&connection, &Request::Usage { id: id.clone() }, id));
        if let Ok(Reply::Usage(usage)) = usage {
            stats.pids.current = usage.pids;
            stats.pids.limit = usage.pids_limit.unwrap_or(0);
            if self.state.cgroup.is_none() {
                stats.cpu.usage.user = usage.user_ns;
                stats.cpu.usage.kernel = usage.system_ns;
                stats.cpu.usage.total = usage.user_ns.saturating_add(usage.system_ns);
            }
        }
        stats
    }

    /// Waits for the next event, until `due` at most.
    pub fn next(&mut self, due: Instant) -> Event {
        loop {
            let Some(sandbox) = &self.sandbox else {
                return Event::Ended;
            };
            let left = due.saturating_duration_since(Instant::now());
            let counter = match &self.memory {
                Some(MemoryEvents::Counter { counter, .. }) => Some(counter),
                _ => None,
            };
            let mut polled = vec![PollFd::new(sandbox, PollFlags::IN)];
            polled.extend(counter.map(|fd| PollFd::new(fd, PollFlags::IN)));
            let at_most = if matches!(self.memory, Some(MemoryEvents::File { .. })) {
                left.min(LOOK)
            } else {
                left
            };
            let timeout = Timespec::try_from(at_most).unwrap_or_default();
            if poll(&mut polled, Some(&timeout)).is_err() {
                continue;
            }
            let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
            let ended = ready.first() == Some(&true);
            // The notice of the container's last breath comes before its end.
            if self.out_of_memory(ready.get(1) == Some(&true), ended) {
                return Event::OutOfMemory;
            }
            if ended {
                return Event::Ended;
            }
            if Instant::now() >= due {
                return Event::Due;
            }
        }
    }

    fn out_of_memory(&mut self, counted: bool, ended: bool) -> bool {
        match &mut self.memory {
            Some(MemoryEvents::Counter { counter, .. }) if counted => {
                let mut value = [0u8; 8];
                let read = rustix::io::read(&*counter, &mut value);
                // A group that is removed counts up as well.
                read.is_ok() && !ended
            }
            Some(MemoryEvents::File { path, seen }) => {
                let now = kills(path).unwrap_or(*seen);
                let more = now > *seen;
                *seen = now;
                more
            }
            _ => false,
        }
    }
}

fn memory_events(cgroup: &Cgroup) -> Option<MemoryEvents> {
    let directory = cgroup.directory("memory")?;
    match cgroup.version {
        Version::V1 => counter(directory),
        Version::V2 => {
            let path = directory.join("memory.events");
            let seen = kills(&path)?;
            Some(MemoryEvents::File { path, seen })
        }
    }
}

fn counter(directory: &Path) -> Option<MemoryEvents> {
    let counter = eventfd(0, EventfdFlags::CLOEXEC).ok()?;
    let control = File::open(directory.join("memory.oom_control")).ok()?;
    let line = format!("{} {}", counter.as_raw_fd(), control.as_raw_fd());
    let written = std::fs::write(directory.join("cgroup.event_control"), line);
    if let Err(error) = written {
        tracing::warn!(%error, "running out of memory is not told");
        return None;
    }
    Some(MemoryEvents::Counter {
        counter,
        _control: control,
    })
}

/// How many processes were killed for want of memory.
fn kills(path: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}
