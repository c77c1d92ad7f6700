//! POSIX message queues: `mq_open(2)` and its kin.

use abi::Errno;
use abi::raw::general as nr;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::mqueue;
use crate::kernel::ipc::mq::{self, OpenRequest, PRIORITIES, QueueFile, Size};
use crate::kernel::ipc::permission;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::syscalls::args::{Fd, UserText};
use crate::syscalls::declare::calls;
use crate::time::Deadline;
use crate::vfs::file::{OpenFile, OpenFlags};

calls! {
    240 mq_open(name: UserText, flags: OpenFlags as Hex, mode: u32 as Hex, attributes: UserPtr<Attributes>)
        => full ["mqueue::opening_rules", "mqueue::time_outs"];
    241 mq_unlink(name: UserText) => full ["mqueue::opening_rules", "mqueue::descriptors_are_files"];
    242 mq_timedsend(
        queue: Fd,
        message: UserPtr<u8> as Buffer(2),
        len: usize,
        priority: u32,
        timeout: UserPtr<Timespec>,
    )
        => full ["mqueue::limits_of_messages"];
    243 mq_timedreceive(
        queue: Fd,
        message: UserPtr<u8> as Filled,
        len: usize,
        priority: UserPtr<u32>,
        timeout: UserPtr<Timespec>,
    )
        => full ["mqueue::time_outs", "mqueue::limits_of_messages"];
    244 mq_notify(queue: Fd, event: UserPtr<Event>)
        => partial("SIGEV_THREAD, which needs netlink sockets") ["mqueue::notification_comes_once"];
    245 mq_getsetattr(queue: Fd, new: UserPtr<Attributes>, old: UserPtr<Attributes>)
        => full ["mqueue::attributes_are_shown_and_set", "mqueue::queues_are_files_of_a_file_system"];
}

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

fn mq_open(
    task: &Task,
    name: UserText,
    flags: OpenFlags,
    mode: u32,
    attributes: UserPtr<Attributes>,
) -> SyscallResult {
    let name = name.read(task, abi::PAGE_SIZE)?;
    let wanted = match flags.bits() & nr::O_ACCMODE {
        nr::O_RDONLY => permission::READ,
        nr::O_WRONLY => permission::WRITE,
        nr::O_RDWR => permission::READ | permission::WRITE,
        _ => return Err(Errno::EINVAL.into()),
    };
    let create = if flags.bits() & nr::O_CREAT == 0 {
        None
    } else {
        let mode = mode & 0o777 & !task.fs().umask();
        Some((mode, size(task, attributes)?))
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

fn size(task: &Task, attributes: UserPtr<Attributes>) -> Result<Option<Size>> {
    if attributes.is_null() {
        return Ok(None);
    }
    let attributes = attributes.read(&task.mm())?;
    let positive = |value: i64| usize::try_from(value).map_err(|_| Errno::EINVAL);
    Ok(Some(Size {
        messages: positive(attributes.max_messages)?,
        message_len: positive(attributes.message_len)?,
    }))
}

fn mq_unlink(task: &Task, name: UserText) -> SyscallResult {
    let name = name.read(task, abi::PAGE_SIZE)?;
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

fn mq_timedsend(
    task: &Task,
    queue: Fd,
    message: UserPtr<u8>,
    len: usize,
    priority: u32,
    timeout: UserPtr<Timespec>,
) -> SyscallResult {
    let deadline = deadline(task, timeout)?;
    if priority >= PRIORITIES {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(queue)?;
    let queue = queue_of(&open)?.queue();
    if !open.flags().writable() {
        return Err(Errno::EBADF.into());
    }
    if len > queue.size().message_len {
        return Err(Errno::EMSGSIZE.into());
    }
    let mut bytes = vec![0; len];
    message.read_bytes(&task.mm(), &mut bytes)?;
    queue.send(task, bytes, priority, !open.is_nonblocking(), deadline)?;
    Ok(0)
}

fn mq_timedreceive(
    task: &Task,
    queue: Fd,
    message: UserPtr<u8>,
    len: usize,
    priority: UserPtr<u32>,
    timeout: UserPtr<Timespec>,
) -> SyscallResult {
    let deadline = deadline(task, timeout)?;
    let open = task.files().get(queue)?;
    let queue = queue_of(&open)?.queue();
    if !open.flags().readable() {
        return Err(Errno::EBADF.into());
    }
    if len < queue.size().message_len {
        return Err(Errno::EMSGSIZE.into());
    }
    let (bytes, taken_priority) = queue.receive(task, !open.is_nonblocking(), deadline)?;
    let mm = task.mm();
    if !priority.is_null() {
        priority.write(&mm, &taken_priority)?;
    }
    message.write_array(&mm, &bytes)?;
    Ok(bytes.len() as u64)
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

fn mq_notify(task: &Task, queue: Fd, event: UserPtr<Event>) -> SyscallResult {
    let event = if event.is_null() {
        None
    } else {
        Some(event.read(&task.mm())?)
    };
    let signal = match &event {
        Some(event) if event.notify == SIGEV_SIGNAL => {
            let number = u64::try_from(event.signal).map_err(|_| Errno::EINVAL)?;
            Some(Signal::new(number).ok_or(Errno::EINVAL)?)
        }
        Some(event) if event.notify != SIGEV_NONE => return Err(Errno::EINVAL.into()),
        _ => None,
    };
    let open = task.files().get(queue)?;
    let queue = queue_of(&open)?.queue();
    match event {
        None => queue.unregister(task.group()),
        Some(event) => queue.register(task, signal, event.value)?,
    }
    Ok(0)
}

fn mq_getsetattr(
    task: &Task,
    queue: Fd,
    new: UserPtr<Attributes>,
    old: UserPtr<Attributes>,
) -> SyscallResult {
    let mm = task.mm();
    let new = if new.is_null() {
        None
    } else {
        Some(new.read(&mm)?)
    };
    let nonblocking = i64::from(nr::O_NONBLOCK);
    if new.is_some_and(|new| new.flags & !nonblocking != 0) {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(queue)?;
    let queue = queue_of(&open)?.queue();
    let signed = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let present = Attributes {
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
    if !old.is_null() {
        old.write(&mm, &present)?;
    }
    Ok(0)
}
