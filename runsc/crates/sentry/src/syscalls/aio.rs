//! Asynchronous I/O: `io_setup(2)` and its kin.

use std::sync::Arc;

use abi::Errno;
use abi::time::Timespec;
use mm::address_space::{Backing, MapAt, MapRequest};
use mm::user_io::{MAX_BYTES, UserIo};
use mm::user_ptr::UserPtr;
use platform::Access;
use zerocopy::FromBytes;

use super::{mmap, timeout};
use crate::error::{Result, SysError, SyscallResult};
use crate::fs::eventfd::EventFd;
use crate::kernel::aio::{Completion, Context};
use crate::kernel::blocking::Unslept;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::syscalls::declare::calls;
use crate::vfs::file::OpenFile;
use crate::vfs::io::{Sink, Source};
use crate::vfs::read_write;

calls! {
    206 io_setup(nr_events: u32, context: UserPtr<u8>) => full ["aio::errors_of_submission"];
    207 io_destroy(context: u64) => full ["aio::errors_of_submission"];
    209 io_submit(context: u64, count: i64 as Int, control_blocks: UserPtr<u8>)
        => partial("IOCB_CMD_POLL; operations on what is no file may wait in the call") [
            "aio::errors_of_submission",
        ];
    208 io_getevents(
        context: u64,
        least: i64 as Int,
        most: i64 as Int,
        events: UserPtr<u8>,
        timeout: UserPtr<Timespec>,
    )
        => full ["aio::waiting_ends_with_the_time"];
    210 io_cancel(context: u64, control_block: UserPtr<u8>, result: UserPtr<u8>) => full [
            "aio::what_is_done_can_not_be_cancelled",
        ];
}

/// `struct iocb`
#[derive(Clone, Copy, FromBytes)]
#[repr(C)]
struct Request {
    data: u64,
    key: u32,
    rw_flags: u32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buffer: u64,
    len: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    event_fd: u32,
}

const PREAD: u16 = 0;
const PWRITE: u16 = 1;
const FSYNC: u16 = 2;
const FDSYNC: u16 = 3;
const PREADV: u16 = 7;
const PWRITEV: u16 = 8;

/// `IOCB_FLAG_RESFD`, `IOCB_FLAG_IOPRIO`
const FLAG_EVENT_FD: u32 = 1;
const FLAGS_KNOWN: u32 = 3;

fn io_setup(task: &Task, nr_events: u32, context: UserPtr<u8>) -> SyscallResult {
    let mm = task.mm();
    let before: u64 = mm.read_value(context.address())?;
    let room = usize::try_from(nr_events).map_err(|_| Errno::EINVAL)?;
    if before != 0 || room == 0 {
        return Err(Errno::EINVAL.into());
    }
    let contexts = &task.group().aio;
    contexts.check_room(room)?;
    // A context is known by an address of its own: libaio looks there for a ring of events, and finds none.
    let request = MapRequest {
        at: MapAt::Hint(0),
        len: abi::PAGE_SIZE,
        access: Access::READ,
        max_access: Access::READ,
        private: true,
        backing: Backing::Anonymous,
        grows_down: false,
        locked: false,
        no_reserve: false,
        populate: false,
        stack: false,
    };
    let address = mm.map(&request, &mmap::limits(task))?;
    if let Err(errno) = mm.write_value(context.address(), &(address as u64)) {
        mm.unmap(address, abi::PAGE_SIZE)?;
        return Err(errno.into());
    }
    contexts.add(address as u64, room);
    Ok(0)
}

fn io_destroy(task: &Task, context: u64) -> SyscallResult {
    task.group().aio.remove(context)?;
    let address = usize::try_from(context).map_err(|_| Errno::EINVAL)?;
    // The application may have unmapped it: then there is nothing to undo.
    let _ = task.mm().unmap(address, abi::PAGE_SIZE);
    Ok(0)
}

fn io_submit(task: &Task, context: u64, count: i64, control_blocks: UserPtr<u8>) -> SyscallResult {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let context = task.group().aio.get(context)?;
    for n in 0..count {
        let submitted = n
            .checked_mul(size_of::<u64>())
            .and_then(|at| control_blocks.address().checked_add(at))
            .ok_or(Errno::EFAULT)
            .and_then(|slot| task.mm().read_value::<u64>(slot))
            .and_then(|address| submit(task, &context, address));
        match submitted {
            Ok(()) => {}
            // Those before are under way: the caller learns how many.
            Err(_) if n > 0 => return Ok(n as u64),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(count as u64)
}

fn submit(task: &Task, context: &Context, address: u64) -> Result<()> {
    let at = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
    let mm = task.mm();
    let request: Request = mm.read_value(at)?;
    if request.reserved != 0 || request.flags & !FLAGS_KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    context.check_room()?;
    let fd = |fd: u32| task.files().get(fd.cast_signed());
    let open = fd(request.fd)?;
    let event_fd = if request.flags & FLAG_EVENT_FD == 0 {
        None
    } else {
        let event_fd = fd(request.event_fd)?;
        if event_fd.file_as::<EventFd>().is_none() {
            return Err(Errno::EINVAL);
        }
        Some(event_fd)
    };
    // The key that tells a request which the kernel has: always this.
    mm.write_value(at.wrapping_add(8), &0_u32)?;
    let result = match operate(task, &open, &request) {
        Ok(count) => i64::try_from(count).unwrap_or(i64::MAX),
        Err(Failure::Refused(errno)) => return Err(errno),
        Err(Failure::Done(errno)) => -i64::from(errno.raw()),
    };
    context.complete(Completion {
        data: request.data,
        request: address,
        result,
        second_result: 0,
    });
    if let Some(event_fd) = event_fd.as_ref().and_then(|open| open.file_as::<EventFd>()) {
        event_fd.signal();
    }
    Ok(())
}

/// Why an operation has no result.
enum Failure {
    /// It was not begun.
    Refused(Errno),
    /// It failed.
    Done(Errno),
}

fn operate(
    task: &Task,
    open: &Arc<OpenFile>,
    request: &Request,
) -> core::result::Result<usize, Failure> {
    let reads = matches!(request.opcode, PREAD | PREADV);
    match request.opcode {
        FSYNC | FDSYNC => return open.file().sync().map(|()| 0).map_err(Failure::Done),
        PREAD | PWRITE | PREADV | PWRITEV => {}
        _ => return Err(Failure::Refused(Errno::EINVAL)),
    }
    let allowed = if reads {
        open.flags().readable()
    } else {
        open.flags().writable()
    };
    if !allowed {
        return Err(Failure::Refused(Errno::EBADF));
    }
    let mm = task.mm();
    let address = usize::try_from(request.buffer).map_err(|_| Failure::Refused(Errno::EFAULT))?;
    let len = usize::try_from(request.len).map_err(|_| Failure::Refused(Errno::EINVAL))?;
    let buffer = if matches!(request.opcode, PREAD | PWRITE) {
        UserIo::single(&mm, address, len.min(MAX_BYTES))
    } else {
        UserIo::from_iovec(&mm, address, len).map_err(Failure::Refused)?
    };
    let offset = u64::try_from(request.offset).map_err(|_| Failure::Refused(Errno::EINVAL))?;
    let seekable = open.file().is_seekable();
    let outcome = if reads {
        let mut sink = Sink::User(buffer);
        if seekable {
            read_write::read_at(task, open, &mut sink, offset).map_err(SysError::from)
        } else {
            read_write::read(task, open, &mut sink)
        }
    } else {
        let mut source = Source::User(buffer);
        if seekable {
            read_write::write_at(task, open, &mut source, offset).map_err(SysError::from)
        } else {
            read_write::write(task, open, &mut source)
        }
    };
    outcome.map_err(|error| {
        Failure::Done(match error {
            SysError::Errno(errno) => errno,
            // As Linux: what a signal has interrupted is not restarted here.
            SysError::Restart(_) | SysError::NoReturn => Errno::EINTR,
        })
    })
}

fn io_getevents(
    task: &Task,
    context: u64,
    least: i64,
    most: i64,
    events: UserPtr<u8>,
    timeout: UserPtr<Timespec>,
) -> SyscallResult {
    let context = task.group().aio.get(context)?;
    let least = usize::try_from(least).map_err(|_| Errno::EINVAL)?;
    let most = usize::try_from(most).map_err(|_| Errno::EINVAL)?;
    if least > most {
        return Err(Errno::EINVAL.into());
    }
    let deadline = timeout::read(task, timeout)?;
    let queues = [(&context.changed, Events::all())];
    let taken = match task.wait_for(&queues, deadline, || context.take(least, most)) {
        Ok(taken) => taken,
        Err(Unslept::TimedOut) => context.take(0, most).unwrap_or_default(),
        Err(Unslept::Interrupted) => match context.take(1, most) {
            Some(taken) => taken,
            None => return Err(Errno::EINTR.into()),
        },
    };
    let mm = task.mm();
    let mut at = events.address();
    for completion in &taken {
        mm.write_value(at, completion)?;
        at = at
            .checked_add(size_of::<Completion>())
            .ok_or(Errno::EFAULT)?;
    }
    Ok(taken.len() as u64)
}

/// Nothing can be cancelled: all is done once it is submitted.
fn io_cancel(
    task: &Task,
    context: u64,
    control_block: UserPtr<u8>,
    _result: UserPtr<u8>,
) -> SyscallResult {
    let key: u32 = task
        .mm()
        .read_value(control_block.address().wrapping_add(8))?;
    task.group().aio.get(context)?;
    let _ = key;
    Err(Errno::EINVAL.into())
}
