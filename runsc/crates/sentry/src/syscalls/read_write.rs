//! `read(2)`, `write(2)` and their vectored and positioned forms; `lseek(2)`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use super::io::{self, MAX_BYTES};
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::mm::AddressSpace;
use crate::mm::user_io::UserIo;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::file::{OpenFile, OpenFlags, Whence};
use crate::vfs::io::{Sink, Source};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_read, "read", read),
    Call::full(nr::__NR_write, "write", write),
    Call::full(nr::__NR_pread64, "pread64", pread),
    Call::full(nr::__NR_pwrite64, "pwrite64", pwrite),
    Call::full(nr::__NR_readv, "readv", readv),
    Call::full(nr::__NR_writev, "writev", writev),
    Call::full(nr::__NR_preadv, "preadv", preadv),
    Call::full(nr::__NR_pwritev, "pwritev", pwritev),
    Call::partial(
        nr::__NR_preadv2,
        "preadv2",
        preadv2,
        "RWF_ATOMIC and RWF_DONTCACHE are EOPNOTSUPP",
    ),
    Call::partial(
        nr::__NR_pwritev2,
        "pwritev2",
        pwritev2,
        "RWF_NOWAIT, RWF_ATOMIC and RWF_DONTCACHE are EOPNOTSUPP",
    ),
    Call::full(nr::__NR_lseek, "lseek", lseek),
];

/// `RWF_HIPRI`, `RWF_DSYNC`, `RWF_SYNC`
const RWF_KNOWN: u32 = nr::RWF_HIPRI | nr::RWF_DSYNC | nr::RWF_SYNC;

fn buffer<'a>(mm: &'a AddressSpace, args: &SyscallArgs) -> UserIo<'a> {
    UserIo::single(mm, args.usize(1), args.usize(2).min(MAX_BYTES))
}

fn vector<'a>(mm: &'a AddressSpace, args: &SyscallArgs) -> Result<UserIo<'a>> {
    UserIo::from_iovec(mm, args.usize(1), args.usize(2))
}

fn offset(raw: i64) -> Result<u64> {
    u64::try_from(raw).map_err(|_| Errno::EINVAL)
}

fn read(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    let mm = task.mm();
    let mut sink = Sink::User(buffer(&mm, args));
    Ok(io::read(task, &open, &mut sink)? as u64)
}

fn write(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    let mm = task.mm();
    let mut source = Source::User(buffer(&mm, args));
    Ok(io::write(task, &open, &mut source)? as u64)
}

fn pread(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let offset = offset(args.i64(3))?;
    let open = task.files().get(args.i32(0))?;
    let mm = task.mm();
    let mut sink = Sink::User(buffer(&mm, args));
    Ok(io::read_at(task, &open, &mut sink, offset)? as u64)
}

fn pwrite(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let offset = offset(args.i64(3))?;
    let open = task.files().get(args.i32(0))?;
    let mm = task.mm();
    let mut source = Source::User(buffer(&mm, args));
    Ok(io::write_at(task, &open, &mut source, offset)? as u64)
}

fn readv(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    read_vector(task, args, &open, None)
}

fn writev(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    write_vector(task, args, &open, None)
}

fn preadv(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let offset = offset(args.i64(3))?;
    let open = task.files().get(args.i32(0))?;
    read_vector(task, args, &open, Some(offset))
}

fn pwritev(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let offset = offset(args.i64(3))?;
    let open = task.files().get(args.i32(0))?;
    write_vector(task, args, &open, Some(offset))
}

/// The offset of `preadv2` and `pwritev2`: −1 is the file's own.
fn offset_or_current(raw: i64) -> Result<Option<u64>> {
    if raw == -1 {
        return Ok(None);
    }
    offset(raw).map(Some)
}

fn preadv2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let offset = offset_or_current(args.i64(3))?;
    let flags = args.u32(5);
    if flags & !(RWF_KNOWN | nr::RWF_NOWAIT) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let open = task.files().get(args.i32(0))?;
    let waits = flags & nr::RWF_NOWAIT == 0 || open.file().is_seekable();
    if waits || offset.is_some() {
        return read_vector(task, args, &open, offset);
    }
    let mm = task.mm();
    let mut sink = Sink::User(vector(&mm, args)?);
    Ok(io::read_now(task, &open, &mut sink)? as u64)
}

fn pwritev2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let offset = offset_or_current(args.i64(3))?;
    let flags = args.u32(5);
    if flags & !(RWF_KNOWN | nr::RWF_APPEND) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let open = task.files().get(args.i32(0))?;
    let len = if flags & nr::RWF_APPEND != 0 && open.file().is_seekable() {
        let mm = task.mm();
        let mut source = Source::User(vector(&mm, args)?);
        io::append(task, &open, &mut source)? as u64
    } else {
        write_vector(task, args, &open, offset)?
    };
    if len > 0 && flags & (nr::RWF_DSYNC | nr::RWF_SYNC) != 0 {
        open.file().sync()?;
    }
    Ok(len)
}

fn read_vector(
    task: &Task,
    args: &SyscallArgs,
    open: &Arc<OpenFile>,
    offset: Option<u64>,
) -> SyscallResult {
    let mm = task.mm();
    let mut sink = Sink::User(vector(&mm, args)?);
    let len = match offset {
        None => io::read(task, open, &mut sink)?,
        Some(offset) => io::read_at(task, open, &mut sink, offset)?,
    };
    Ok(len as u64)
}

fn write_vector(
    task: &Task,
    args: &SyscallArgs,
    open: &Arc<OpenFile>,
    offset: Option<u64>,
) -> SyscallResult {
    let mm = task.mm();
    let mut source = Source::User(vector(&mm, args)?);
    let len = match offset {
        None => io::write(task, open, &mut source)?,
        Some(offset) => io::write_at(task, open, &mut source, offset)?,
    };
    Ok(len as u64)
}

fn lseek(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    let whence = match args.u32(2) {
        0 => Whence::Set,
        1 => Whence::Current,
        2 => Whence::End,
        3 => Whence::Data,
        4 => Whence::Hole,
        _ => return Err(Errno::EINVAL.into()),
    };
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    Ok(open.seek(whence, args.i64(1))?)
}
