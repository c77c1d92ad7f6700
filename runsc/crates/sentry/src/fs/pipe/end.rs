//! An open end of a pipe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use abi::raw::ioctl;
use bitflags::bitflags;

use super::{Pipe, Reading};
use crate::error::{Result, SyscallResult};
use crate::kernel::signal::{self, Signal, SignalInfo};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile, OpenFlags, Position, Written};
use crate::vfs::io::{Sink, Source};

bitflags! {
    /// Which ways an end is open.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Ways: u8 {
        const READ = 1;
        const WRITE = 2;
    }
}

/// An open end of a pipe, or both in one (a fifo opened with `O_RDWR`).
#[derive(Debug)]
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    ways: Ways,
    /// `O_DIRECT`: writes are packets.
    packets: AtomicBool,
    /// Writers that had ever been when this end was opened: without new ones, no writer is not a hang-up.
    writers_before: u64,
}

impl PipeEnd {
    /// Opens an end: counts it and tells the others.
    pub(super) fn open(pipe: &Arc<Pipe>, ways: Ways, packets: bool) -> Arc<PipeEnd> {
        let mut state = pipe.state.lock();
        let writers_before = if state.writers == 0 {
            state.writer_opens
        } else {
            u64::MAX
        };
        if ways.contains(Ways::READ) {
            state.readers += 1;
            state.reader_opens += 1;
        }
        if ways.contains(Ways::WRITE) {
            state.writers += 1;
            state.writer_opens += 1;
        }
        drop(state);
        pipe.queue.wake(Events::all());
        Arc::new(PipeEnd {
            pipe: pipe.clone(),
            ways,
            packets: AtomicBool::new(packets),
            writers_before,
        })
    }

    /// The pipe.
    #[must_use]
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// Whether writes are packets (`O_DIRECT`).
    #[must_use]
    pub fn has_packets(&self) -> bool {
        self.packets.load(Ordering::Relaxed)
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        let mut gone = Events::empty();
        if self.ways.contains(Ways::READ) {
            state.readers -= 1;
            if state.readers == 0 {
                gone |= Events::ERR | Events::OUT | Events::WRNORM;
            }
        }
        if self.ways.contains(Ways::WRITE) {
            state.writers -= 1;
            if state.writers == 0 {
                gone |= Events::HUP | Events::IN | Events::RDNORM;
            }
        }
        drop(state);
        if !gone.is_empty() {
            self.pipe.queue.wake(gone);
        }
    }
}

/// EPIPE, with the SIGPIPE that goes with it.
pub(crate) fn broken_pipe(task: &Task) -> Errno {
    // The number is the task's own while it runs.
    if let Some(task) = task.pid_namespace().task(task.tid()) {
        let uid = task.credentials().uid;
        let info = SignalInfo::user(Signal::SIGPIPE, task.group().pid(), uid);
        signal::state::send_to_task(&task, info);
    }
    Errno::EPIPE
}

impl File for PipeEnd {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        self.pipe.read(sink, Reading::Consume)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        match self.pipe.write(source, self.has_packets()) {
            Ok(len) => Ok(Written { len, end: 0 }),
            Err(Errno::EPIPE) => Err(broken_pipe(task)),
            Err(errno) => Err(errno),
        }
    }

    fn poll(&self) -> Events {
        let state = self.pipe.state.lock();
        let mut events = Events::empty();
        if self.ways.contains(Ways::READ) {
            if state.len() > 0 {
                events |= Events::IN | Events::RDNORM;
            }
            if state.writers == 0 && state.writer_opens != self.writers_before {
                events |= Events::HUP;
            }
        }
        if self.ways.contains(Ways::WRITE) {
            if state.is_writable() {
                events |= Events::OUT | Events::WRNORM;
            }
            if state.readers == 0 {
                events |= Events::ERR;
            }
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.pipe.queue)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        if command != ioctl::FIONREAD {
            return Err(Errno::ENOTTY.into());
        }
        let len = i32::try_from(self.pipe.len()).unwrap_or(i32::MAX);
        task.mm().write_value(argument.address(), &len)?;
        Ok(0)
    }

    fn held_bytes(&self, _depth: u32) -> u64 {
        let state = self.pipe.state.try_lock();
        state.map_or(0, |state| state.buffer_bytes() as u64)
    }

    fn flags_changed(&self, open: &OpenFile) {
        let packets = open.flags().contains(OpenFlags::DIRECT);
        self.packets.store(packets, Ordering::Relaxed);
    }
}
