//! Reading and writing open files: at which offset, within which limits, and who is told (`man 2 read`, `man 2 write`).

use std::sync::Arc;

use abi::Errno;

use super::blocking::blocking_within;
use crate::error::{Result, SysError};
use crate::kernel::limits::{INFINITY, Resource};
use crate::kernel::oom;
use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::vfs::attr::FileType;
use crate::vfs::file::{OpenFile, OpenFlags, Position, Written};
use crate::vfs::io::{Sink, Source};
use crate::vfs::notify::{self, FileEvent};

/// Reads at the file's own offset, which moves.
pub(crate) fn read(
    task: &Task,
    open: &Arc<OpenFile>,
    sink: &mut Sink<'_>,
) -> core::result::Result<usize, SysError> {
    check_readable(open)?;
    let file = open.file();
    if let Some(own) = file.own_offset() {
        return Ok(own.read(sink)?);
    }
    if file.is_seekable() {
        let mut offset = open.offset().lock();
        check_range(*offset, sink.remaining())?;
        let len = file.read(task, sink, *offset)?;
        *offset = offset.saturating_add(len as u64);
        drop(offset);
        tell(open, len, FileEvent::ACCESS);
        return Ok(len);
    }
    let timeout_ns = file
        .socket()
        .map_or(0, |socket| socket.common().lock().receive_timeout_ns);
    blocking_within(task, open, Events::READABLE, timeout_ns, || {
        file.read(task, sink, 0)
    })
}

/// Reads at `offset`; ESPIPE for streams.
pub(crate) fn read_at(
    task: &Task,
    open: &Arc<OpenFile>,
    sink: &mut Sink<'_>,
    offset: u64,
) -> Result<usize> {
    check_seekable(open)?;
    check_readable(open)?;
    check_range(offset, sink.remaining())?;
    let len = open.file().read(task, sink, offset)?;
    tell(open, len, FileEvent::ACCESS);
    Ok(len)
}

/// Writes at the file's own offset, which moves, or at its end (`O_APPEND`).
pub(crate) fn write(
    task: &Task,
    open: &Arc<OpenFile>,
    source: &mut Source<'_>,
) -> core::result::Result<usize, SysError> {
    check_writable(open)?;
    let file = open.file();
    if let Some(own) = file.own_offset() {
        return Ok(own.write(source)?);
    }
    if file.is_seekable() {
        let mut offset = open.offset().lock();
        let position = position(open, *offset);
        check_range(*offset, source.remaining())?;
        limit_to_file_size(task, open, source, position)?;
        let written = write_with_room(task, open, source, position)?;
        *offset = written.end;
        drop(offset);
        return Ok(synced(open, written.len)?);
    }
    // What fits of a large write to a stream is waited for piece by piece, as Linux does.
    let timeout_ns = file
        .socket()
        .map_or(0, |socket| socket.common().lock().send_timeout_ns);
    let mut done = 0;
    loop {
        task.interruption_point()?;
        let outcome = blocking_within(task, open, Events::WRITABLE, timeout_ns, || {
            file.write(task, source, Position::At(0))
        });
        match outcome {
            Ok(written) => done += written.len,
            Err(_) if done > 0 => return Ok(done),
            Err(error) => return Err(error),
        }
        if source.remaining() == 0 || open.is_nonblocking() {
            return Ok(done);
        }
    }
}

/// Writes at `offset` (on Linux at the end if the file is in append mode, `man 2 pwrite`, *BUGS*).
pub(crate) fn write_at(
    task: &Task,
    open: &Arc<OpenFile>,
    source: &mut Source<'_>,
    offset: u64,
) -> Result<usize> {
    check_seekable(open)?;
    check_writable(open)?;
    let position = position(open, offset);
    check_range(offset, source.remaining())?;
    limit_to_file_size(task, open, source, position)?;
    let written = write_with_room(task, open, source, position)?;
    synced(open, written.len)
}

/// Writes at the end, whatever the file's mode (`RWF_APPEND`); the file's own offset stays.
pub(crate) fn append(task: &Task, open: &Arc<OpenFile>, source: &mut Source<'_>) -> Result<usize> {
    check_seekable(open)?;
    check_writable(open)?;
    limit_to_file_size(task, open, source, Position::End)?;
    let written = write_with_room(task, open, source, Position::End)?;
    synced(open, written.len)
}

/// Has the file write; where memory is short (a tmpfs), again once there is room.
fn write_with_room(
    task: &Task,
    open: &OpenFile,
    source: &mut Source<'_>,
    position: Position,
) -> Result<Written> {
    oom::with_room(task, || open.file().write(task, source, position))
}

/// Reads what is there now, without waiting (`RWF_NOWAIT`).
pub(crate) fn read_now(task: &Task, open: &Arc<OpenFile>, sink: &mut Sink<'_>) -> Result<usize> {
    check_readable(open)?;
    open.file().read(task, sink, 0)
}

/// No byte is behind the largest offset; EINVAL.
fn check_range(offset: u64, len: usize) -> Result<()> {
    let end = offset.checked_add(len as u64);
    if end.is_some_and(|end| i64::try_from(end).is_ok()) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// Sends SIGXFSZ: a file was to grow beyond `RLIMIT_FSIZE`.
pub(crate) fn send_file_size_signal(task: &Task) {
    let tasks = task.group().tasks();
    let this = tasks
        .iter()
        .find(|other| std::ptr::eq(Arc::as_ptr(other), task));
    if let Some(this) = this {
        send::send_to_task(this, SignalInfo::kernel(Signal::SIGXFSZ));
    }
}

pub(crate) fn check_readable(open: &OpenFile) -> Result<()> {
    if !open.flags().readable() {
        return Err(Errno::EBADF);
    }
    if open.inode().kind() == Ok(FileType::Directory) {
        return Err(Errno::EISDIR);
    }
    Ok(())
}

pub(crate) fn check_writable(open: &OpenFile) -> Result<()> {
    if open.flags().writable() {
        Ok(())
    } else {
        Err(Errno::EBADF)
    }
}

fn check_seekable(open: &OpenFile) -> Result<()> {
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    if open.file().is_seekable() {
        Ok(())
    } else {
        Err(Errno::ESPIPE)
    }
}

fn position(open: &OpenFile, offset: u64) -> Position {
    if open.flags().contains(OpenFlags::APPEND) {
        Position::End
    } else {
        Position::At(offset)
    }
}

/// `RLIMIT_FSIZE`: a write stops at the limit; one that starts there is SIGXFSZ and EFBIG.
fn limit_to_file_size(
    task: &Task,
    open: &OpenFile,
    source: &mut Source<'_>,
    position: Position,
) -> Result<()> {
    let limit = task.group().limits().get(Resource::FileSize).soft;
    if limit == INFINITY || source.remaining() == 0 {
        return Ok(());
    }
    let attr = open.inode().attr()?;
    if attr.file_type != FileType::Regular {
        return Ok(());
    }
    let start = match position {
        Position::At(offset) => offset,
        Position::End => attr.size,
    };
    if start >= limit {
        send_file_size_signal(task);
        return Err(Errno::EFBIG);
    }
    source.truncate(usize::try_from(limit - start).unwrap_or(usize::MAX));
    Ok(())
}

/// `O_SYNC` and `O_DSYNC`: what was written goes to the disk at once.
fn synced(open: &OpenFile, len: usize) -> Result<usize> {
    tell(open, len, FileEvent::MODIFY);
    if len > 0 && open.flags().contains(OpenFlags::DSYNC) {
        open.file().sync()?;
    }
    Ok(len)
}

/// Tells those who watch the file (inotify).
fn tell(open: &OpenFile, len: usize, event: FileEvent) {
    if len > 0 {
        notify::happened(open.path(), event);
    }
}
