//! POSIX message queues: `mq_open(2)` and its kin.

use abi::Errno;
use abi::raw::general as nr;
use abi::time::Timespec;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::mqueue;
use crate::kernel::ipc::mq::{self, OpenRequest, PRIORITIES, QueueFile, Size};
use crate::kernel::ipc::permission;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::{Call, SyscallArgs};
use crate::time::Deadline;
use crate::vfs::file::{OpenFile, OpenFlags};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_mq_open, "mq_open", mq_open),
    Call::full(nr::__NR_mq_unlink, "mq_unlink", mq_unlink),
    Call::full(nr::__NR_mq_timedsend, "mq_timedsend", mq_timedsend),
    Call::full(nr::__NR_mq_timedreceive, "mq_timedreceive", mq_timedreceive),
    Call::partial(
        nr::__NR_mq_notify,
        "mq_notify",
        mq_notify,
        "SIGEV_THREAD, which needs netlink sockets",
    ),
    Call::full(nr::__NR_mq_getsetattr, "mq_getsetattr", mq_getsetattr),
];

/// `struct mq_attr`
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Attributes {
    flags: i64,
    max_messages: i64,
    message_len: i64,
    messages: i64,
    reserved: [i64; 4],
}

fn mq_open(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let name = task.mm().read_string(args.usize(0), abi::PAGE_SIZE)?;
    let flags = args.open_flags(1);
    let wanted = match flags.bits() & nr::O_ACCMODE {
        nr::O_RDONLY => permission::READ,
        nr::O_WRONLY => permission::WRITE,
        nr::O_RDWR => permission::READ | permission::WRITE,
        _ => return Err(Errno::EINVAL.into()),
    };
    let create = if flags.bits() & nr::O_CREAT == 0 {
        None
    } else {
        let mode = args.u32(2) & 0o777 & !task.fs().umask();
        Some((mode, size(task, args.usize(3))?))
    };
    install::check_room(task)?;
    let request = OpenRequest {
        wanted,
        create,
        exclusive: flags.bits() & nr::O_EXCL != 0,
    };
    let queue = mq::open(task, &name, &request)?;
    let kept = OpenFlags::from_bits_retain(
        flags.bits() & (nr::O_ACCMODE | nr::O_NONBLOCK) | nr::O_CLOEXEC,
    );
    let open = mqueue::open(task, &name, queue, kept);
    let fd = install::descriptor(task, open, kept)?;
    Ok(u64::from(fd.unsigned_abs()))
}

fn size(task: &Task, address: usize) -> Result<Option<Size>> {
    if address == 0 {
        return Ok(None);
    }
    let attributes: Attributes = task.mm().read_value(address)?;
    let positive = |value: i64| usize::try_from(value).map_err(|_| Errno::EINVAL);
    Ok(Some(Size {
        messages: positive(attributes.max_messages)?,
        message_len: positive(attributes.message_len)?,
    }))
}

fn mq_unlink(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let name = task.mm().read_string(args.usize(0), abi::PAGE_SIZE)?;
    mq::unlink(task, &name)?;
    Ok(0)
}

fn queue_of(open: &OpenFile) -> Result<&QueueFile> {
    open.file_as::<QueueFile>().ok_or(Errno::EBADF)
}

/// The absolute time-out of `CLOCK_REALTIME` behind a pointer.
fn deadline(task: &Task, pointer: UserPtr<Timespec>) -> Result<Option<Deadline>> {
    if pointer.is_null() {
        return Ok(None);
    }
    let nanos = pointer.read(&task.mm())?.to_nanos().ok_or(Errno::EINVAL)?;
    Ok(Some(Deadline::Realtime(nanos)))
}

fn mq_timedsend(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let priority = args.u32(3);
    let deadline = deadline(task, args.ptr(4))?;
    if priority >= PRIORITIES {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(args.i32(0))?;
    let queue = queue_of(&open)?.queue();
    if !open.flags().writable() {
        return Err(Errno::EBADF.into());
    }
    let len = args.usize(2);
    if len > queue.size().message_len {
        return Err(Errno::EMSGSIZE.into());
    }
    let mut message = vec![0; len];
    task.mm().read_bytes(args.usize(1), &mut message)?;
    queue.send(task, message, priority, !open.is_nonblocking(), deadline)?;
    Ok(0)
}

fn mq_timedreceive(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let deadline = deadline(task, args.ptr(4))?;
    let open = task.files().get(args.i32(0))?;
    let queue = queue_of(&open)?.queue();
    if !open.flags().readable() {
        return Err(Errno::EBADF.into());
    }
    if args.usize(2) < queue.size().message_len {
        return Err(Errno::EMSGSIZE.into());
    }
    let (message, priority) = queue.receive(task, !open.is_nonblocking(), deadline)?;
    let mm = task.mm();
    if args.usize(3) != 0 {
        mm.write_value(args.usize(3), &priority)?;
    }
    mm.write_bytes(args.usize(1), &message)?;
    Ok(message.len() as u64)
}

/// The start of `struct sigevent`.
#[derive(Clone, Copy, FromBytes, Immutable)]
#[repr(C)]
struct Event {
    value: u64,
    signal: i32,
    notify: i32,
}

const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;

fn mq_notify(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let address = args.usize(1);
    let event = if address == 0 {
        None
    } else {
        Some(task.mm().read_value::<Event>(address)?)
    };
    let signal = match &event {
        Some(event) if event.notify == SIGEV_SIGNAL => {
            let number = u64::try_from(event.signal).map_err(|_| Errno::EINVAL)?;
            Some(Signal::new(number).ok_or(Errno::EINVAL)?)
        }
        Some(event) if event.notify != SIGEV_NONE => return Err(Errno::EINVAL.into()),
        _ => None,
    };
    let open = task.files().get(args.i32(0))?;
    let queue = queue_of(&open)?.queue();
    match event {
        None => queue.unregister(task.group()),
        Some(event) => queue.register(task, signal, event.value)?,
    }
    Ok(0)
}

fn mq_getsetattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let mm = task.mm();
    let new = if args.usize(1) == 0 {
        None
    } else {
        Some(mm.read_value::<Attributes>(args.usize(1))?)
    };
    let nonblocking = i64::from(nr::O_NONBLOCK);
    if new.is_some_and(|new| new.flags & !nonblocking != 0) {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(args.i32(0))?;
    let queue = queue_of(&open)?.queue();
    let signed = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let old = Attributes {
        flags: if open.is_nonblocking() {
            nonblocking
        } else {
            0
        },
        max_messages: signed(queue.size().messages),
        message_len: signed(queue.size().message_len),
        messages: signed(queue.len()),
        reserved: [0; 4],
    };
    if let Some(new) = new {
        let mut flags = open.flags();
        flags.set(OpenFlags::NONBLOCK, new.flags & nonblocking != 0);
        open.set_flags(flags);
    }
    if args.usize(2) != 0 {
        mm.write_value(args.usize(2), &old)?;
    }
    Ok(0)
}
