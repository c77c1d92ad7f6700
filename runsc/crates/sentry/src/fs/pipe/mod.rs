//! Pipes and fifos (`man 7 pipe`, `man 7 fifo`).
//!
//! - [`Pipe`] is the buffer and the counts of its ends; a fifo's inode shares one among all its openers
//!   ([`crate::vfs::shared::InodeShared::fifo`]).
//! - [`PipeEnd`] is an open end: the [`File`](crate::vfs::file::File).
//! - [`open_fifo`] has the rules of opening a name.
//!
//! The pipe's lock comes before every lock of `mm`: it is held while user memory is copied, so that a
//! write of up to `PIPE_BUF` bytes is atomic without a bounce buffer. Such a copy can wait for a page of a
//! file, never for a task. Wait queues are told after the lock is released.

mod end;
mod fifo;
mod pages;
mod state;

use std::sync::Arc;

use locks::Mutex;

use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::io::{Sink, Source};

pub use end::PipeEnd;
pub(crate) use end::broken_pipe;
pub use fifo::{open_fifo, reopen_pipe};
use state::State;

/// Writes up to this are atomic.
pub const PIPE_BUF: usize = 4096;
/// How much fits into a new pipe.
pub const DEFAULT_CAPACITY: usize = 65_536;
/// What an unprivileged user may ask for: `/proc/sys/fs/pipe-max-size`.
pub const MAX_CAPACITY: usize = 1 << 20;

/// A pipe.
#[derive(Debug)]
pub struct Pipe {
    state: Mutex<State>,
    queue: WaitQueue,
}

/// What happens to bytes that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// They are gone.
    Consume,
    /// They stay (`tee(2)`).
    Peek,
}

impl Pipe {
    /// An empty pipe that nobody has open.
    #[must_use]
    pub fn new() -> Arc<Pipe> {
        Arc::new(Pipe {
            state: Mutex::new(State::new()),
            queue: WaitQueue::new(),
        })
    }

    /// The two ends of a new pipe, reading end first. `packets`: `O_DIRECT`.
    #[must_use]
    pub fn pair(packets: bool) -> (Arc<PipeEnd>, Arc<PipeEnd>) {
        let pipe = Pipe::new();
        let reader = PipeEnd::open(&pipe, end::Ways::READ, packets);
        let writer = PipeEnd::open(&pipe, end::Ways::WRITE, packets);
        (reader, writer)
    }

    /// The same for `task`, whose user is charged for what fits into it and gets less beyond its limit,
    /// and ENFILE beyond a second one.
    pub fn pair_of(task: &Task, packets: bool) -> Result<(Arc<PipeEnd>, Arc<PipeEnd>)> {
        let (capacity, charge) = pages::charge_new(task)?;
        let (reader, writer) = Pipe::pair(packets);
        reader.pipe().state.lock().limit(capacity, charge);
        Ok((reader, writer))
    }

    /// Reads what is there; 0 at the end, EAGAIN if there may be more later.
    pub fn read(&self, sink: &mut Sink<'_>, reading: Reading) -> Result<usize> {
        let mut state = self.state.lock();
        let was_writable = state.is_writable();
        let result = state.read(sink, reading);
        let wakes = !was_writable && state.is_writable();
        drop(state);
        if wakes {
            self.queue.wake(Events::OUT | Events::WRNORM);
        }
        result
    }

    /// Writes what fits; EAGAIN if nothing does, EPIPE without readers.
    pub fn write(&self, source: &mut Source<'_>, packets: bool) -> Result<usize> {
        let result = self.state.lock().write(source, packets);
        if matches!(result, Ok(written) if written > 0) {
            self.queue.wake(Events::IN | Events::RDNORM);
        }
        result
    }

    /// Bytes in it (`FIONREAD`).
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much fits into it (`F_GETPIPE_SZ`).
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.state.lock().capacity()
    }

    /// `F_SETPIPE_SZ` by `task`, whose user is charged: EPERM above its limit, too.
    pub fn set_capacity_of(&self, task: &Task, bytes: usize) -> Result<usize> {
        let privileged = task.has_capability(Capability::SysResource);
        let charge = |state: &mut State, old, new| state.recharge(task, old, new);
        self.resize(bytes, privileged, charge)
    }

    /// `F_SETPIPE_SZ`: sets the capacity to at least `bytes` and returns it. EPERM above
    /// [`MAX_CAPACITY`] unless `privileged` (`CAP_SYS_RESOURCE`), EBUSY if more is in it.
    pub fn set_capacity(&self, bytes: usize, privileged: bool) -> Result<usize> {
        self.resize(bytes, privileged, |_, _, _| Ok(()))
    }

    fn resize(
        &self,
        bytes: usize,
        privileged: bool,
        charge: impl FnOnce(&mut State, usize, usize) -> Result<()>,
    ) -> Result<usize> {
        let mut state = self.state.lock();
        let was_writable = state.is_writable();
        let capacity = state.check_capacity(bytes, privileged)?;
        let old = state.capacity();
        charge(&mut state, old, capacity)?;
        state.set_capacity(capacity);
        let wakes = !was_writable && state.is_writable();
        drop(state);
        if wakes {
            self.queue.wake(Events::OUT | Events::WRNORM);
        }
        Ok(capacity)
    }

    /// Where changes are told.
    #[must_use]
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

#[cfg(test)]
mod tests {
    use abi::Errno;

    use super::{DEFAULT_CAPACITY, PIPE_BUF, Pipe, PipeEnd, Reading};
    use crate::kernel::wait_queue::Events;
    use crate::vfs::file::File;
    use crate::vfs::io::{Sink, Source};

    fn write(end: &PipeEnd, bytes: &[u8]) -> Result<usize, Errno> {
        end.pipe()
            .write(&mut Source::Kernel(bytes), end.has_packets())
    }

    fn read(end: &PipeEnd, count: usize) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; count];
        let got = end
            .pipe()
            .read(&mut Sink::Kernel(&mut buffer), Reading::Consume)?;
        buffer.truncate(got);
        Ok(buffer)
    }

    #[test]
    fn a_full_pipe_is_eagain_and_becomes_writable_by_whole_pages() {
        let (reader, writer) = Pipe::pair(false);
        assert_eq!(write(&writer, &vec![1; 100_000]), Ok(DEFAULT_CAPACITY));
        assert_eq!(write(&writer, b"x"), Err(Errno::EAGAIN));
        assert!(!writer.poll().contains(Events::OUT));
        assert_eq!(
            read(&reader, PIPE_BUF).map(|bytes| bytes.len()),
            Ok(PIPE_BUF)
        );
        assert!(writer.poll().contains(Events::OUT));
        assert_eq!(write(&writer, &[0; PIPE_BUF]), Ok(PIPE_BUF));
    }

    #[test]
    fn ends_that_close_are_end_of_file_and_epipe() {
        let (reader, writer) = Pipe::pair(false);
        assert_eq!(read(&reader, 1), Err(Errno::EAGAIN));
        write(&writer, b"ab").unwrap();
        drop(writer);
        assert!(reader.poll().contains(Events::IN | Events::HUP));
        assert_eq!(read(&reader, 10).unwrap(), b"ab");
        assert_eq!(read(&reader, 10).unwrap(), b"");
        let (reader, writer) = Pipe::pair(false);
        drop(reader);
        assert!(writer.poll().contains(Events::ERR));
        assert_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    }

    #[test]
    fn packets_keep_their_boundaries_and_lose_what_is_not_read() {
        let (reader, writer) = Pipe::pair(true);
        write(&writer, b"hello").unwrap();
        write(&writer, b"world").unwrap();
        assert_eq!(read(&reader, 2).unwrap(), b"he");
        assert_eq!(read(&reader, 100).unwrap(), b"world");
    }

    #[test]
    fn capacity_is_a_power_of_two_of_at_least_a_page() {
        let (_reader, writer) = Pipe::pair(false);
        let pipe = writer.pipe();
        assert_eq!(pipe.set_capacity(0, false), Ok(4096));
        assert_eq!(pipe.set_capacity(4097, false), Ok(8192));
        write(&writer, &[0; 5000]).unwrap();
        assert_eq!(pipe.set_capacity(4096, false), Err(Errno::EBUSY));
        assert_eq!(pipe.set_capacity(2 << 20, false), Err(Errno::EPERM));
        assert_eq!(pipe.set_capacity(2 << 20, true), Ok(2 << 20));
        assert_eq!(pipe.set_capacity(1 << 32, true), Err(Errno::EINVAL));
    }
}
