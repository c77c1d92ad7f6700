//! `sendfile(2)`, `copy_file_range(2)`, `splice(2)`, `tee(2)`, `vmsplice(2)`.

use std::sync::Arc;

use abi::Errno;
use mm::user_io::{MAX_BYTES, UserIo};
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::attr::FileType;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::io::{Sink, Source};
use crate::vfs::read_write;
use crate::vfs::transfer::{self, End, Waiting};

calls! {
    40 sendfile(out_fd: Fd, in_fd: Fd, position: UserPtr<i64> as In(id::long), count: usize)
        => full ["pipe::sendfile_errors", "pipe::sendfile_from_a_file"];
    326 copy_file_range(
        in_fd: Fd,
        in_position: UserPtr<i64> as In(id::long),
        out_fd: Fd,
        out_position: UserPtr<i64> as In(id::long),
        len: usize,
        flags: u32,
    )
        => full ["pipe::copy_file_range_errors", "pipe::copy_file_range_copies"];
    275 splice(
        in_fd: Fd,
        in_position: UserPtr<i64> as In(id::long),
        out_fd: Fd,
        out_position: UserPtr<i64> as In(id::long),
        len: usize,
        flags: u32,
    )
        => full ["pipe::splice_errors", "pipe::splice_between_pipe_and_file"];
    276 tee(in_fd: Fd, out_fd: Fd, len: usize, flags: u32) => full ["pipe::tee_duplicates"];
    278 vmsplice(fd: Fd, pieces: UserPtr<u8>, count: usize, flags: u32)
        => full ["pipe::vmsplice_copies_in_and_out"];
}

/// `SPLICE_F_MOVE`, `SPLICE_F_NONBLOCK`, `SPLICE_F_MORE`, `SPLICE_F_GIFT`
const SPLICE_FLAGS: u32 = 15;
const SPLICE_NONBLOCK: u32 = 2;

fn waiting(flags: u32) -> Result<Waiting> {
    if flags & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(if flags & SPLICE_NONBLOCK != 0 {
        Waiting::NonBlocking
    } else {
        Waiting::Blocking
    })
}

/// The offset at `address`, none for NULL.
fn offset(task: &Task, address: usize) -> Result<Option<u64>> {
    if address == 0 {
        return Ok(None);
    }
    let offset: i64 = task.mm().read_value(address)?;
    u64::try_from(offset).map(Some).map_err(|_| Errno::EINVAL)
}

/// Stores the caller's offset as it is now.
fn store(task: &Task, address: usize, end: &End<'_>) -> Result<()> {
    match end.offset {
        Some(offset) => task.mm().write_value(address, &offset),
        None => Ok(()),
    }
}

fn sendfile(
    task: &Task,
    out_fd: Fd,
    in_fd: Fd,
    position: UserPtr<i64>,
    count: usize,
) -> SyscallResult {
    let (to, from) = (task.files().get(out_fd)?, task.files().get(in_fd)?);
    read_write::check_readable(&from).map_err(|errno| match errno {
        Errno::EISDIR => Errno::EINVAL,
        other => other,
    })?;
    read_write::check_writable(&to)?;
    let mut from = End {
        offset: offset(task, position.address())?,
        open: &from,
    };
    if !from.open.file().is_seekable() {
        let errno = if from.offset.is_some() {
            Errno::ESPIPE
        } else {
            Errno::EINVAL
        };
        return Err(errno.into());
    }
    if to.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL.into());
    }
    let mut to = End {
        open: &to,
        offset: None,
    };
    let len = transfer::copy(task, &mut from, &mut to, count.min(MAX_BYTES))?;
    store(task, position.address(), &from)?;
    Ok(len as u64)
}

fn copy_file_range(
    task: &Task,
    in_fd: Fd,
    in_position: UserPtr<i64>,
    out_fd: Fd,
    out_position: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SyscallResult {
    let (from, to) = (task.files().get(in_fd)?, task.files().get(out_fd)?);
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut source = End {
        offset: offset(task, in_position.address())?,
        open: &from,
    };
    let mut target = End {
        offset: offset(task, out_position.address())?,
        open: &to,
    };
    for open in [&from, &to] {
        match open.inode().kind()? {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR.into()),
            _ => return Err(Errno::EINVAL.into()),
        }
    }
    let append = to.flags().contains(OpenFlags::APPEND);
    if !from.flags().readable() || !to.flags().writable() || append {
        return Err(Errno::EBADF.into());
    }
    let len = len.min(MAX_BYTES);
    check_overlap(&source, &target, len)?;
    let len = transfer::copy(task, &mut source, &mut target, len)?;
    store(task, in_position.address(), &source)?;
    store(task, out_position.address(), &target)?;
    Ok(len as u64)
}

/// A file can't be copied onto itself where the ranges meet.
fn check_overlap(from: &End<'_>, to: &End<'_>, len: usize) -> Result<()> {
    if !Arc::ptr_eq(from.open.inode(), to.open.inode()) {
        return Ok(());
    }
    let start = |end: &End<'_>| end.offset.unwrap_or_else(|| *end.open.offset().lock());
    let (source, target) = (start(from), start(to));
    let len = len as u64;
    if source < target.saturating_add(len) && target < source.saturating_add(len) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

fn splice(
    task: &Task,
    in_fd: Fd,
    in_position: UserPtr<i64>,
    out_fd: Fd,
    out_position: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SyscallResult {
    let waiting = waiting(flags)?;
    let len = len.min(MAX_BYTES);
    if len == 0 {
        return Ok(0);
    }
    let (from, to) = (task.files().get(in_fd)?, task.files().get(out_fd)?);
    if !from.flags().readable() || !to.flags().writable() {
        return Err(Errno::EBADF.into());
    }
    let from_pipe = transfer::pipe_of(&from);
    let to_pipe = transfer::pipe_of(&to);
    let on_pipe = (from_pipe.is_some() && !in_position.is_null())
        || (to_pipe.is_some() && !out_position.is_null());
    if on_pipe {
        return Err(Errno::ESPIPE.into());
    }
    if let (Some(one), Some(other)) = (from_pipe, to_pipe)
        && Arc::ptr_eq(one, other)
    {
        return Err(Errno::EINVAL.into());
    }
    if from_pipe.is_some() {
        if to.flags().contains(OpenFlags::APPEND) {
            return Err(Errno::EINVAL.into());
        }
        let mut target = End {
            offset: offset(task, out_position.address())?,
            open: &to,
        };
        let len = transfer::from_pipe(task, &from, &mut target, len, waiting)?;
        store(task, out_position.address(), &target)?;
        return Ok(len as u64);
    }
    if to_pipe.is_none() {
        return Err(Errno::EINVAL.into());
    }
    let mut source = End {
        offset: offset(task, in_position.address())?,
        open: &from,
    };
    let len = transfer::to_pipe(task, &mut source, &to, len, waiting)?;
    store(task, in_position.address(), &source)?;
    Ok(len as u64)
}

fn tee(task: &Task, in_fd: Fd, out_fd: Fd, len: usize, flags: u32) -> SyscallResult {
    let waiting = waiting(flags)?;
    let (from, to) = (task.files().get(in_fd)?, task.files().get(out_fd)?);
    if !from.flags().readable() || !to.flags().writable() {
        return Err(Errno::EBADF.into());
    }
    let len = len.min(MAX_BYTES);
    if len == 0 {
        return Ok(0);
    }
    Ok(transfer::tee(task, &from, &to, len, waiting)? as u64)
}

/// Pages are copied rather than given away: a gift is a hint.
fn vmsplice(task: &Task, fd: Fd, pieces: UserPtr<u8>, count: usize, flags: u32) -> SyscallResult {
    waiting(flags)?;
    let open: Arc<OpenFile> = task.files().get(fd)?;
    if transfer::pipe_of(&open).is_none() {
        return Err(Errno::EBADF.into());
    }
    let mm = task.mm();
    let buffers = UserIo::from_iovec(&mm, pieces.address(), count)?;
    let len = if open.flags().writable() {
        read_write::write(task, &open, &mut Source::User(buffers))?
    } else {
        read_write::read(task, &open, &mut Sink::User(buffers))?
    };
    Ok(len as u64)
}
