//! Sending and receiving: `man 2 send`, `man 2 sendmmsg`, `man 2 recv`, `man 2 recvmmsg`.

use std::sync::Arc;

use abi::Errno;
use abi::socket::{ADDRESS_MAX, Mmsghdr, Msghdr};
use abi::time::Timespec;
use mm::AddressSpace;
use mm::user_io::{MAX_BYTES, UserIo};
use mm::user_ptr::UserPtr;

use super::socket::{of, open_socket, write_address};
use super::{control_message, timeout};
use crate::error::{Result, SysError, SyscallResult};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::socket::{Control, Incoming, MessageFlags, Outgoing, SocketType};
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::blocking::blocking_within;
use crate::vfs::file::OpenFile;
use crate::vfs::io::{Sink, Source};

calls! {
    44 sendto(
        fd: Fd,
        buffer: UserPtr<u8> as Buffer(2),
        size: usize,
        flags: u32 as Flags(socket::MSG),
        address: UserPtr<u8> as Before(socket::address_in),
        name_len: u32,
    )
        => full ["unix::datagram_by_name", "unix::connected_datagram_filters"];
    46 sendmsg(fd: Fd, header: UserPtr<Msghdr> as In(socket::message_in), flags: u32 as Flags(socket::MSG))
        => full [
            "unix_control::descriptors_stop_at_message_boundaries",
            "unix_control::cloexec_of_received_descriptors",
        ];
    307 sendmmsg(
        fd: Fd,
        messages: UserPtr<u8> as Before(socket::messages_in),
        count: u32,
        flags: u32 as Flags(socket::MSG),
    )
        => full ["unix_control::sendmmsg_and_recvmmsg"];
    45 recvfrom(
        fd: Fd,
        buffer: UserPtr<u8> as Filled,
        size: usize,
        flags: u32 as Flags(socket::MSG),
        name: UserPtr<u8> as After(socket::address_out),
        name_len: UserPtr<i32> as Out(socket::length),
    )
        => full ["unix::truncated_datagram_loses_its_rest", "unix::datagram_by_name"];
    47 recvmsg(fd: Fd, header: UserPtr<Msghdr> as Out(socket::message_out), flags: u32 as Flags(socket::MSG))
        => full ["unix_control::truncation_is_flagged", "unix_control::descriptors_stop_at_message_boundaries"];
    299 recvmmsg(
        fd: Fd,
        messages: UserPtr<u8> as After(socket::messages_out),
        count: u32,
        flags: u32 as Flags(socket::MSG),
        time: UserPtr<Timespec> as In(time::timespec),
    )
        => full ["unix_control::sendmmsg_and_recvmmsg"];
}

/// Most pieces of a vector, and messages of one call.
const MAX_PIECES: u64 = 1024;

type Outcome<T> = core::result::Result<T, SysError>;

fn message_flags(raw: u32) -> MessageFlags {
    MessageFlags::from_bits_truncate(raw)
}

fn address(raw: u64) -> Result<usize> {
    usize::try_from(raw).map_err(|_| Errno::EFAULT)
}

/// A name that is sent to: none if there is none, cut off at the longest there are.
fn read_name(task: &Task, at: usize, len: u32) -> Result<Option<Vec<u8>>> {
    let len = len.cast_signed();
    if at == 0 || len == 0 {
        return Ok(None);
    }
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let mut bytes = vec![0; len.min(ADDRESS_MAX)];
    task.mm().read_bytes(at, &mut bytes)?;
    Ok(Some(bytes))
}

/// The pieces of a message; EMSGSIZE for too many.
fn vector<'a>(mm: &'a AddressSpace, header: &Msghdr) -> Result<UserIo<'a>> {
    if header.iov_len > MAX_PIECES {
        return Err(Errno::EMSGSIZE);
    }
    let count = usize::try_from(header.iov_len).map_err(|_| Errno::EMSGSIZE)?;
    UserIo::from_iovec(mm, address(header.iov)?, count)
}

fn sendto(
    task: &Task,
    fd: Fd,
    buffer: UserPtr<u8>,
    size: usize,
    flags: u32,
    address: UserPtr<u8>,
    name_len: u32,
) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let flags = message_flags(flags);
    if !address.is_null() && usize::try_from(name_len).is_ok_and(|len| len > ADDRESS_MAX) {
        return Err(Errno::EINVAL.into());
    }
    let name = read_name(task, address.address(), name_len)?;
    let mm = task.mm();
    let message = Outgoing {
        source: Source::User(UserIo::single(&mm, buffer.address(), size.min(MAX_BYTES))),
        address: name,
        control: Control::default(),
        flags,
    };
    Ok(send(task, &open, message)? as u64)
}

fn sendmsg(task: &Task, fd: Fd, header: UserPtr<Msghdr>, flags: u32) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let header: Msghdr = header.read(&task.mm())?;
    Ok(send_header(task, &open, &header, message_flags(flags))? as u64)
}

fn send_header(
    task: &Task,
    open: &Arc<OpenFile>,
    header: &Msghdr,
    flags: MessageFlags,
) -> Outcome<usize> {
    let name = read_name(task, address(header.name)?, header.name_len)?;
    let len = usize::try_from(header.control_len).map_err(|_| Errno::ENOBUFS)?;
    let control = control_message::read(task, address(header.control)?, len)?;
    let mm = task.mm();
    let message = Outgoing {
        source: Source::User(vector(&mm, header)?),
        address: name,
        control,
        flags,
    };
    send(task, open, message)
}

/// Sends a message; on a stream, all of it unless the call may not wait.
fn send(task: &Task, open: &Arc<OpenFile>, mut message: Outgoing<'_>) -> Outcome<usize> {
    let socket = of(open)?;
    let timeout_ns = socket.common().lock().send_timeout_ns;
    let waits = !message.flags.contains(MessageFlags::DONTWAIT) && !open.is_nonblocking();
    let name = message.address.clone();
    let mut done = 0;
    loop {
        let mut attempt = || {
            message.address.clone_from(&name);
            socket.send(task, &mut message)
        };
        let outcome = if waits {
            blocking_within(task, open, Events::WRITABLE, timeout_ns, attempt)
        } else {
            attempt().map_err(SysError::from)
        };
        match outcome {
            Ok(len) => done += len,
            Err(_) if done > 0 => return Ok(done),
            Err(error) => return Err(error),
        }
        let all = socket.kind() != SocketType::Stream || message.source.remaining() == 0;
        if all || !waits {
            return Ok(done);
        }
    }
}

fn sendmmsg(task: &Task, fd: Fd, messages: UserPtr<u8>, count: u32, flags: u32) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let flags = message_flags(flags);
    let count = u64::from(count).min(MAX_PIECES);
    let mm = task.mm();
    let mut sent = 0;
    while sent < count {
        let at = entry(messages.address(), sent)?;
        let outcome = at.read(&mm).map_err(SysError::from).and_then(|mut entry| {
            let len = send_header(task, &open, &entry.header, flags)?;
            entry.len = u32::try_from(len).unwrap_or(u32::MAX);
            Ok(at.write(&mm, &entry)?)
        });
        match outcome {
            Ok(()) => sent += 1,
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn entry(vector: usize, index: u64) -> Result<UserPtr<Mmsghdr>> {
    let offset = usize::try_from(index).map_err(|_| Errno::EFAULT)? * size_of::<Mmsghdr>();
    let at = vector.checked_add(offset).ok_or(Errno::EFAULT)?;
    Ok(UserPtr::new(at))
}

fn recvfrom(
    task: &Task,
    fd: Fd,
    buffer: UserPtr<u8>,
    size: usize,
    flags: u32,
    name: UserPtr<u8>,
    name_len: UserPtr<i32>,
) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let flags = message_flags(flags);
    let (name, name_len) = (name.address(), name_len.address());
    let mm = task.mm();
    let len = size.min(MAX_BYTES);
    let mut sink = Sink::User(UserIo::single(&mm, buffer.address(), len));
    let incoming = receive(task, &open, &mut sink, flags)?;
    if name != 0 {
        let bytes = incoming.address.as_deref().unwrap_or_default();
        write_address(task, name, name_len, bytes)?;
    }
    Ok(reported_len(&incoming, flags) as u64)
}

/// With `MSG_TRUNC`, the length that the message had.
fn reported_len(incoming: &Incoming, asked: MessageFlags) -> usize {
    if asked.contains(MessageFlags::TRUNC) {
        incoming.len
    } else {
        incoming.stored
    }
}

fn recvmsg(task: &Task, fd: Fd, header: UserPtr<Msghdr>, flags: u32) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let flags = message_flags(flags);
    let mut message = header.read(&task.mm())?;
    let len = receive_header(task, &open, &mut message, flags)?;
    header.write(&task.mm(), &message)?;
    Ok(len as u64)
}

/// Receives into the buffers of a header, whose lengths and flags become those of the message.
fn receive_header(
    task: &Task,
    open: &Arc<OpenFile>,
    header: &mut Msghdr,
    flags: MessageFlags,
) -> Outcome<usize> {
    let mm = task.mm();
    if header.name_len.cast_signed() < 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut sink = Sink::User(vector(&mm, header)?);
    let incoming = receive(task, open, &mut sink, flags)?;
    if header.name != 0 {
        let name = incoming.address.as_deref().unwrap_or_default();
        let room = usize::try_from(header.name_len).unwrap_or(0);
        let stored = &name[..name.len().min(room)];
        if !stored.is_empty() {
            mm.write_bytes(address(header.name)?, stored)?;
        }
        header.name_len = u32::try_from(name.len()).unwrap_or(0);
    }
    let room = usize::try_from(header.control_len).map_err(|_| Errno::EINVAL)?;
    let (used, truncated) =
        control_message::write(task, address(header.control)?, room, &incoming, flags)?;
    header.control_len = used as u64;
    let kept = flags & MessageFlags::CMSG_CLOEXEC;
    header.flags = (incoming.flags | truncated | kept).bits();
    Ok(reported_len(&incoming, flags))
}

/// Receives a message or, on a stream, what there is; with `MSG_WAITALL` until the buffer is full.
fn receive(
    task: &Task,
    open: &Arc<OpenFile>,
    sink: &mut Sink<'_>,
    flags: MessageFlags,
) -> Outcome<Incoming> {
    if flags.contains(MessageFlags::ERRQUEUE) {
        return Err(Errno::EAGAIN.into());
    }
    let socket = of(open)?;
    let timeout_ns = socket.common().lock().receive_timeout_ns;
    let waits = !flags.contains(MessageFlags::DONTWAIT) && !open.is_nonblocking();
    let fills = flags.contains(MessageFlags::WAITALL)
        && !flags.contains(MessageFlags::PEEK)
        && socket.kind() == SocketType::Stream;
    let mut all: Option<Incoming> = None;
    loop {
        let mut attempt = || socket.receive(task, sink, flags);
        let outcome = if waits {
            blocking_within(task, open, Events::READABLE, timeout_ns, attempt)
        } else {
            attempt().map_err(SysError::from)
        };
        let next = match (outcome, &all) {
            (Ok(next), _) => next,
            (Err(error), None) => return Err(error),
            (Err(_), Some(_)) => Incoming::default(),
        };
        let ended = next.stored == 0 || !next.control.files.is_empty();
        match &mut all {
            None => all = Some(next),
            Some(all) => {
                all.stored += next.stored;
                all.len += next.len;
                all.control.files.extend(next.control.files);
            }
        }
        if !fills || ended || sink.remaining() == 0 {
            return Ok(all.unwrap_or_default());
        }
    }
}

fn recvmmsg(
    task: &Task,
    fd: Fd,
    messages: UserPtr<u8>,
    count: u32,
    flags: u32,
    time: UserPtr<Timespec>,
) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let deadline = timeout::read(task, time)?;
    let count = u64::from(count).min(MAX_PIECES);
    let mut flags = message_flags(flags);
    let mm = task.mm();
    let mut received = 0;
    while received < count {
        let at = entry(messages.address(), received)?;
        let asked = flags - MessageFlags::WAITFORONE;
        let outcome = at.read(&mm).map_err(SysError::from).and_then(|mut entry| {
            let len = receive_header(task, &open, &mut entry.header, asked)?;
            entry.len = u32::try_from(len).unwrap_or(u32::MAX);
            Ok(at.write(&mm, &entry)?)
        });
        match outcome {
            Ok(()) => received += 1,
            Err(_) if received > 0 => break,
            Err(error) => return Err(error),
        }
        if flags.contains(MessageFlags::WAITFORONE) {
            flags |= MessageFlags::DONTWAIT;
        }
        // The time-out is looked at after each message only (`man 2 recvmmsg`, *BUGS*).
        if deadline.is_some_and(|deadline| timeout::left(task, deadline) == 0) {
            break;
        }
    }
    if let Some(deadline) = deadline {
        let left = Timespec::from_nanos(timeout::left(task, deadline));
        time.write(&mm, &left)?;
    }
    Ok(received)
}
