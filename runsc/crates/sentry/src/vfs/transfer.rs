//! Moving bytes between open files inside the kernel: `sendfile(2)`, `copy_file_range(2)`, `splice(2)`,
//! `tee(2)`, `vmsplice(2)`.
//!
//! Bytes pass through a buffer of the kernel's. What is taken out of a pipe stays there until it has
//! been written, so that nothing is lost when the receiver takes less.

use std::sync::Arc;

use abi::Errno;

use crate::error::{Restart, SysError};
use crate::fs::pipe::{Pipe, PipeEnd, Reading};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::vfs::blocking::blocking;
use crate::vfs::file::OpenFile;
use crate::vfs::io::{Sink, Source};
use crate::vfs::read_write;

/// Bytes moved at a time.
const STEP: usize = 64 << 10;

/// The outcome may be an interruption.
type Outcome<T> = Result<T, SysError>;

/// A file and where in it: at its own offset, which moves, or at one of the caller's, which is updated.
#[derive(Debug)]
pub struct End<'a> {
    /// The file.
    pub open: &'a Arc<OpenFile>,
    /// The caller's offset.
    pub offset: Option<u64>,
}

impl End<'_> {
    fn read(&mut self, task: &Task, buffer: &mut [u8]) -> Outcome<usize> {
        let mut sink = Sink::Kernel(buffer);
        match &mut self.offset {
            None => read_write::read(task, self.open, &mut sink),
            Some(offset) => {
                let len = read_write::read_at(task, self.open, &mut sink, *offset)?;
                *offset += len as u64;
                Ok(len)
            }
        }
    }

    fn write(&mut self, task: &Task, bytes: &[u8]) -> Outcome<usize> {
        let mut source = Source::Kernel(bytes);
        match &mut self.offset {
            None => read_write::write(task, self.open, &mut source),
            Some(offset) => {
                let len = read_write::write_at(task, self.open, &mut source, *offset)?;
                *offset += len as u64;
                Ok(len)
            }
        }
    }

    /// Takes back what was read but could not be written.
    fn unread(&mut self, len: usize) {
        match &mut self.offset {
            Some(offset) => *offset = offset.saturating_sub(len as u64),
            None => {
                let mut offset = self.open.offset().lock();
                *offset = offset.saturating_sub(len as u64);
            }
        }
    }
}

/// Copies up to `len` bytes from a file with offsets to any file.
pub fn copy(task: &Task, from: &mut End<'_>, to: &mut End<'_>, len: usize) -> Outcome<usize> {
    let mut buffer = vec![0; len.min(STEP)];
    let mut done = 0;
    while done < len {
        task.interruption_point()?;
        let want = (len - done).min(STEP);
        let read = match from.read(task, &mut buffer[..want]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        };
        match to.write(task, &buffer[..read]) {
            Ok(written) => {
                done += written;
                if written < read {
                    from.unread(read - written);
                    break;
                }
            }
            Err(error) => {
                from.unread(read);
                return if done > 0 { Ok(done) } else { Err(error) };
            }
        }
    }
    Ok(done)
}

/// How a call on pipes waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Until something can be moved.
    Blocking,
    /// Not at all (`SPLICE_F_NONBLOCK`).
    NonBlocking,
}

/// The pipe of an open file, if it is one end of it.
#[must_use]
pub fn pipe_of(open: &OpenFile) -> Option<&Arc<Pipe>> {
    open.file_as::<PipeEnd>().map(PipeEnd::pipe)
}

/// Waits until `attempt` on a pipe is something else than EAGAIN.
fn on_pipe<T>(
    task: &Task,
    open: &Arc<OpenFile>,
    waiting: Waiting,
    events: Events,
    mut attempt: impl FnMut() -> crate::error::Result<T>,
) -> Outcome<T> {
    if waiting == Waiting::NonBlocking {
        return Ok(attempt()?);
    }
    blocking(task, open, events, None, Restart::Sys, attempt)
}

/// From a pipe to a file or another pipe.
pub fn from_pipe(
    task: &Task,
    from: &Arc<OpenFile>,
    to: &mut End<'_>,
    len: usize,
    waiting: Waiting,
) -> Outcome<usize> {
    let pipe = pipe_of(from).ok_or(Errno::EINVAL)?;
    let mut buffer = vec![0; len.min(STEP)];
    let read = on_pipe(task, from, waiting, Events::READABLE, || {
        pipe.read(&mut Sink::Kernel(&mut buffer), Reading::Peek)
    })?;
    if read == 0 {
        return Ok(0);
    }
    let written = match (pipe_of(to.open), waiting) {
        (Some(target), Waiting::NonBlocking) => {
            target.write(&mut Source::Kernel(&buffer[..read]), false)?
        }
        _ => to.write(task, &buffer[..read])?,
    };
    let mut rest = &mut buffer[..written];
    while !rest.is_empty() {
        let len = pipe.read(&mut Sink::Kernel(rest), Reading::Consume)?;
        if len == 0 {
            break;
        }
        rest = &mut rest[len..];
    }
    Ok(written)
}

/// From a file to a pipe.
pub fn to_pipe(
    task: &Task,
    from: &mut End<'_>,
    to: &Arc<OpenFile>,
    len: usize,
    waiting: Waiting,
) -> Outcome<usize> {
    let pipe = pipe_of(to).ok_or(Errno::EINVAL)?;
    // No more is taken than there is room for.
    let room = on_pipe(task, to, waiting, Events::WRITABLE, || {
        let room = pipe.capacity().saturating_sub(pipe.len());
        if room == 0 {
            return Err(Errno::EAGAIN);
        }
        Ok(room)
    })?;
    let mut buffer = vec![0; len.min(STEP).min(room)];
    let read = from.read(task, &mut buffer)?;
    let mut source = Source::Kernel(&buffer[..read]);
    while source.remaining() > 0 {
        on_pipe(task, to, Waiting::Blocking, Events::WRITABLE, || {
            pipe.write(&mut source, false)
        })?;
    }
    Ok(read)
}

/// `tee(2)`: copies what is in one pipe to another.
pub fn tee(
    task: &Task,
    from: &Arc<OpenFile>,
    to: &Arc<OpenFile>,
    len: usize,
    waiting: Waiting,
) -> Outcome<usize> {
    let (source, target) = match (pipe_of(from), pipe_of(to)) {
        (Some(source), Some(target)) if !Arc::ptr_eq(source, target) => (source, target),
        _ => return Err(Errno::EINVAL.into()),
    };
    let mut buffer = vec![0; len.min(STEP)];
    let read = on_pipe(task, from, waiting, Events::READABLE, || {
        source.read(&mut Sink::Kernel(&mut buffer), Reading::Peek)
    })?;
    on_pipe(task, to, waiting, Events::WRITABLE, || {
        target.write(&mut Source::Kernel(&buffer[..read]), false)
    })
}
