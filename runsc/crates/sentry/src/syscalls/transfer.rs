//! `sendfile(2)`, `copy_file_range(2)`, `splice(2)`, `tee(2)`, `vmsplice(2)`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use super::io::{self, MAX_BYTES};
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::mm::user_io::UserIo;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::attr::FileType;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::io::{Sink, Source};
use crate::vfs::transfer::{self, End, Waiting};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_sendfile, "sendfile", sendfile),
    Call::full(nr::__NR_copy_file_range, "copy_file_range", copy_file_range),
    Call::full(nr::__NR_splice, "splice", splice),
    Call::full(nr::__NR_tee, "tee", tee),
    Call::full(nr::__NR_vmsplice, "vmsplice", vmsplice),
];

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

fn sendfile(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (to, from) = (
        task.files().get(args.i32(0))?,
        task.files().get(args.i32(1))?,
    );
    io::check_readable(&from).map_err(|errno| match errno {
        Errno::EISDIR => Errno::EINVAL,
        other => other,
    })?;
    io::check_writable(&to)?;
    let mut from = End {
        offset: offset(task, args.usize(2))?,
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
    let len = transfer::copy(task, &mut from, &mut to, args.usize(3).min(MAX_BYTES))?;
    store(task, args.usize(2), &from)?;
    Ok(len as u64)
}

fn copy_file_range(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (from, to) = (
        task.files().get(args.i32(0))?,
        task.files().get(args.i32(2))?,
    );
    if args.u32(5) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut source = End {
        offset: offset(task, args.usize(1))?,
        open: &from,
    };
    let mut target = End {
        offset: offset(task, args.usize(3))?,
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
    let len = args.usize(4).min(MAX_BYTES);
    check_overlap(&source, &target, len)?;
    let len = transfer::copy(task, &mut source, &mut target, len)?;
    store(task, args.usize(1), &source)?;
    store(task, args.usize(3), &target)?;
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

fn splice(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let waiting = waiting(args.u32(5))?;
    let len = args.usize(4).min(MAX_BYTES);
    if len == 0 {
        return Ok(0);
    }
    let (from, to) = (
        task.files().get(args.i32(0))?,
        task.files().get(args.i32(2))?,
    );
    if !from.flags().readable() || !to.flags().writable() {
        return Err(Errno::EBADF.into());
    }
    let from_pipe = transfer::pipe_of(&from);
    let to_pipe = transfer::pipe_of(&to);
    let on_pipe =
        (from_pipe.is_some() && args.u64(1) != 0) || (to_pipe.is_some() && args.u64(3) != 0);
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
            offset: offset(task, args.usize(3))?,
            open: &to,
        };
        let len = transfer::from_pipe(task, &from, &mut target, len, waiting)?;
        store(task, args.usize(3), &target)?;
        return Ok(len as u64);
    }
    if to_pipe.is_none() {
        return Err(Errno::EINVAL.into());
    }
    let mut source = End {
        offset: offset(task, args.usize(1))?,
        open: &from,
    };
    let len = transfer::to_pipe(task, &mut source, &to, len, waiting)?;
    store(task, args.usize(1), &source)?;
    Ok(len as u64)
}

fn tee(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let waiting = waiting(args.u32(3))?;
    let (from, to) = (
        task.files().get(args.i32(0))?,
        task.files().get(args.i32(1))?,
    );
    if !from.flags().readable() || !to.flags().writable() {
        return Err(Errno::EBADF.into());
    }
    let len = args.usize(2).min(MAX_BYTES);
    if len == 0 {
        return Ok(0);
    }
    Ok(transfer::tee(task, &from, &to, len, waiting)? as u64)
}

/// Pages are copied rather than given away: a gift is a hint.
fn vmsplice(task: &Task, args: &SyscallArgs) -> SyscallResult {
    waiting(args.u32(3))?;
    let open: Arc<OpenFile> = task.files().get(args.i32(0))?;
    if transfer::pipe_of(&open).is_none() {
        return Err(Errno::EBADF.into());
    }
    let mm = task.mm();
    let buffers = UserIo::from_iovec(&mm, args.usize(1), args.usize(2))?;
    let len = if open.flags().writable() {
        io::write(task, &open, &mut Source::User(buffers))?
    } else {
        io::read(task, &open, &mut Sink::User(buffers))?
    };
    Ok(len as u64)
}
