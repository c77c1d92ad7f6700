//! `read(2)`, `write(2)` and their vectored and positioned forms; `lseek(2)`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use mm::AddressSpace;
use mm::user_io::{MAX_BYTES, UserIo};
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::{Fd, Iovec};
use crate::syscalls::declare::calls;
use crate::vfs::file::{OpenFile, OpenFlags, Whence};
use crate::vfs::io::{Sink, Source};
use crate::vfs::read_write;

calls! {
    0 read(fd: Fd, buffer: UserPtr<u8> as Filled, count: usize)
        => full ["read::zero_length_read_of_bad_address_succeeds", "eintr::read_of_a_pipe_restarts"];
    1 write(fd: Fd, buffer: UserPtr<u8> as Buffer(2), count: usize)
        => full ["read::write_stops_at_the_first_bad_page", "eintr::write_to_a_full_pipe_is_eintr"];
    17 pread64(fd: Fd, buffer: UserPtr<u8> as Filled, count: usize, position: i64)
        => full by pread ["mmap::read_into_a_private_file_mapping", "mmap::kernel_writes_through_mappings"];
    18 pwrite64(fd: Fd, buffer: UserPtr<u8> as Buffer(2), count: usize, position: i64)
        => full by pwrite ["read::pwrite_with_o_append_appends", "read::pipe_refuses_pread"];
    19 readv(fd: Fd, vector: UserPtr<Iovec> as After(file::vector_out), count: usize)
        => full ["read::readv_of_too_many_pieces_is_einval", "read::readv_fills_the_pieces_in_order"];
    20 writev(fd: Fd, vector: UserPtr<Iovec> as Before(file::vector_in), count: usize)
        => full ["read::writev_appends_with_o_append"];
    295 preadv(fd: Fd, vector: UserPtr<Iovec> as After(file::vector_out), count: usize, position: i64) => full [
            "forms::positioned_vectors_leave_the_offset",
        ];
    296 pwritev(fd: Fd, vector: UserPtr<Iovec> as Before(file::vector_in), count: usize, position: i64) => full [
            "forms::positioned_vectors_leave_the_offset",
        ];
    327 preadv2(
        fd: Fd,
        vector: UserPtr<Iovec> as After(file::vector_out),
        count: usize,
        position: i64,
        high: UserPtr<u8> as Before(fcntl::high_half),
        flags: u32 as Flags(file::RWF),
    )
        => partial("RWF_ATOMIC and RWF_DONTCACHE are EOPNOTSUPP") [
            "read::preadv2_rejects_unknown_flags",
            "read::preadv2_at_minus_one_uses_the_offset",
        ];
    328 pwritev2(
        fd: Fd,
        vector: UserPtr<Iovec> as Before(file::vector_in),
        count: usize,
        position: i64,
        high: UserPtr<u8> as Before(fcntl::high_half),
        flags: u32 as Flags(file::RWF),
    )
        => partial("RWF_NOWAIT, RWF_ATOMIC and RWF_DONTCACHE are EOPNOTSUPP") [
            "read::preadv2_at_minus_one_uses_the_offset",
        ];
    8 lseek(fd: Fd, position: i64, origin: u32 as OneOf(file::WHENCE))
        => full ["procfs::fdinfo_tells_of_the_descriptor_it_is_read_through", "read::lseek_errors"];
}

/// `RWF_HIPRI`, `RWF_DSYNC`, `RWF_SYNC`
const RWF_KNOWN: u32 = nr::RWF_HIPRI | nr::RWF_DSYNC | nr::RWF_SYNC;

/// An iovec: its address and the number of its pieces.
type Vector = (UserPtr<Iovec>, usize);

fn single(mm: &AddressSpace, buffer: UserPtr<u8>, count: usize) -> UserIo<'_> {
    UserIo::single(mm, buffer.address(), count.min(MAX_BYTES))
}

fn pieces(mm: &AddressSpace, (address, count): Vector) -> Result<UserIo<'_>> {
    UserIo::from_iovec(mm, address.address(), count)
}

fn offset(raw: i64) -> Result<u64> {
    u64::try_from(raw).map_err(|_| Errno::EINVAL)
}

fn read(task: &Task, fd: Fd, buffer: UserPtr<u8>, count: usize) -> SyscallResult {
    let open = task.files().get(fd)?;
    let mm = task.mm();
    let mut sink = Sink::User(single(&mm, buffer, count));
    Ok(read_write::read(task, &open, &mut sink)? as u64)
}

fn write(task: &Task, fd: Fd, buffer: UserPtr<u8>, count: usize) -> SyscallResult {
    let open = task.files().get(fd)?;
    let mm = task.mm();
    let mut source = Source::User(single(&mm, buffer, count));
    Ok(read_write::write(task, &open, &mut source)? as u64)
}

fn pread(task: &Task, fd: Fd, buffer: UserPtr<u8>, count: usize, position: i64) -> SyscallResult {
    let offset = offset(position)?;
    let open = task.files().get(fd)?;
    let mm = task.mm();
    let mut sink = Sink::User(single(&mm, buffer, count));
    Ok(read_write::read_at(task, &open, &mut sink, offset)? as u64)
}

fn pwrite(task: &Task, fd: Fd, buffer: UserPtr<u8>, count: usize, position: i64) -> SyscallResult {
    let offset = offset(position)?;
    let open = task.files().get(fd)?;
    let mm = task.mm();
    let mut source = Source::User(single(&mm, buffer, count));
    Ok(read_write::write_at(task, &open, &mut source, offset)? as u64)
}

fn readv(task: &Task, fd: Fd, vector: UserPtr<Iovec>, count: usize) -> SyscallResult {
    let open = task.files().get(fd)?;
    read_vector(task, &open, (vector, count), None)
}

fn writev(task: &Task, fd: Fd, vector: UserPtr<Iovec>, count: usize) -> SyscallResult {
    let open = task.files().get(fd)?;
    write_vector(task, &open, (vector, count), None)
}

fn preadv(
    task: &Task,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    position: i64,
) -> SyscallResult {
    let offset = offset(position)?;
    let open = task.files().get(fd)?;
    read_vector(task, &open, (vector, count), Some(offset))
}

fn pwritev(
    task: &Task,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    position: i64,
) -> SyscallResult {
    let offset = offset(position)?;
    let open = task.files().get(fd)?;
    write_vector(task, &open, (vector, count), Some(offset))
}

/// The offset of `preadv2` and `pwritev2`: −1 is the file's own.
fn offset_or_current(raw: i64) -> Result<Option<u64>> {
    if raw == -1 {
        return Ok(None);
    }
    offset(raw).map(Some)
}

fn preadv2(
    task: &Task,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    position: i64,
    _high: UserPtr<u8>,
    flags: u32,
) -> SyscallResult {
    let offset = offset_or_current(position)?;
    if flags & !(RWF_KNOWN | nr::RWF_NOWAIT) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let open = task.files().get(fd)?;
    let waits = flags & nr::RWF_NOWAIT == 0 || open.file().is_seekable();
    if waits || offset.is_some() {
        return read_vector(task, &open, (vector, count), offset);
    }
    let mm = task.mm();
    let mut sink = Sink::User(pieces(&mm, (vector, count))?);
    Ok(read_write::read_now(task, &open, &mut sink)? as u64)
}

fn pwritev2(
    task: &Task,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    position: i64,
    _high: UserPtr<u8>,
    flags: u32,
) -> SyscallResult {
    let offset = offset_or_current(position)?;
    if flags & !(RWF_KNOWN | nr::RWF_APPEND) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let open = task.files().get(fd)?;
    let len = if flags & nr::RWF_APPEND != 0 && open.file().is_seekable() {
        let mm = task.mm();
        let mut source = Source::User(pieces(&mm, (vector, count))?);
        read_write::append(task, &open, &mut source)? as u64
    } else {
        write_vector(task, &open, (vector, count), offset)?
    };
    if len > 0 && flags & (nr::RWF_DSYNC | nr::RWF_SYNC) != 0 {
        open.file().sync()?;
    }
    Ok(len)
}

fn read_vector(
    task: &Task,
    open: &Arc<OpenFile>,
    vector: Vector,
    offset: Option<u64>,
) -> SyscallResult {
    let mm = task.mm();
    let mut sink = Sink::User(pieces(&mm, vector)?);
    let len = match offset {
        None => read_write::read(task, open, &mut sink)?,
        Some(offset) => read_write::read_at(task, open, &mut sink, offset)?,
    };
    Ok(len as u64)
}

fn write_vector(
    task: &Task,
    open: &Arc<OpenFile>,
    vector: Vector,
    offset: Option<u64>,
) -> SyscallResult {
    let mm = task.mm();
    let mut source = Source::User(pieces(&mm, vector)?);
    let len = match offset {
        None => read_write::write(task, open, &mut source)?,
        Some(offset) => read_write::write_at(task, open, &mut source, offset)?,
    };
    Ok(len as u64)
}

fn lseek(task: &Task, fd: Fd, position: i64, origin: u32) -> SyscallResult {
    let open = task.files().get(fd)?;
    let whence = match origin {
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
    Ok(open.seek(whence, position)?)
}
