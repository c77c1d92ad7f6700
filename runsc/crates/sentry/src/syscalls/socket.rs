//! Making and connecting sockets: `man 2 socket`, `man 2 socketpair`, `man 2 bind`, `man 2 listen`,
//! `man 2 accept`, `man 2 connect`, `man 2 getsockname`, `man 2 getpeername`, `man 2 shutdown`.

use std::sync::Arc;

use abi::Errno;
use abi::socket::{
    ADDRESS_MAX, AF_INET, AF_INET6, AF_MAX, AF_NETLINK, AF_UNIX, SOCK_DGRAM, SOCK_MAX, SOCK_RAW,
    SOCK_SEQPACKET, SOCK_STREAM, SOCK_TYPE_MASK,
};
use mm::user_ptr::UserPtr;
use netstack::Family;

use super::install;
use crate::error::{Result, SysError, SyscallResult};
use crate::fs::anon::{self, Anonymous};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::socket::inet;
use crate::socket::netlink::NetlinkSocket;
use crate::socket::unix::UnixSocket;
use crate::socket::{Shutdown, Socket, SocketType};
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::blocking::blocking_within;
use crate::vfs::file::{File, OpenFile, OpenFlags};

calls! {
    41 socket(
        family: i32 as OneOf(socket::FAMILY),
        kind: u32 as Before(socket::print_type),
        protocol: i32 as Before(socket::print_protocol),
    )
        => partial("AF_UNIX, AF_INET and AF_INET6 (TCP and UDP on the loopback interface), and AF_NETLINK (route, uevent) only; others are EAFNOSUPPORT") [
            "unix::socket_errors",
            "tcp::socket_errors",
        ];
    53 socketpair(
        family: i32 as OneOf(socket::FAMILY),
        kind: u32 as Before(socket::print_type),
        protocol: i32 as Before(socket::print_protocol),
        fds: UserPtr<[i32; 2]> as Out(id::pair),
    )
        => full ["unix::socketpair_errors"];
    49 bind(fd: Fd, address: UserPtr<u8> as Before(socket::address_in), len: i32 as Unsigned)
        => full ["unix::autobind", "unix::path_errors"];
    50 listen(fd: Fd, backlog: i32) => full ["unix::listen_connect_accept", "unix::backlog_is_limited", "tcp::the_backlog_is_limited"];
    43 accept(
        fd: Fd,
        address: UserPtr<u8> as After(socket::address_out),
        len: UserPtr<i32> as Out(socket::length),
    )
        => full ["unix::accept_flags_and_errors", "unix::listen_connect_accept"];
    288 accept4(
        fd: Fd,
        address: UserPtr<u8> as After(socket::address_out),
        len: UserPtr<i32> as Out(socket::length),
        flags: OpenFlags as Flags(socket::SOCK_FLAGS),
    )
        => full ["unix::accept_flags_and_errors"];
    42 connect(fd: Fd, address: UserPtr<u8> as Before(socket::address_in), len: i32 as Unsigned)
        => full ["unix::connected_datagram_filters", "unix::path_errors", "tcp::nonblocking_connect"];
    51 getsockname(
        fd: Fd,
        address: UserPtr<u8> as After(socket::address_out),
        len: UserPtr<i32> as Out(socket::length),
    )
        => full ["unix::autobind", "unix::abstract_names"];
    52 getpeername(
        fd: Fd,
        address: UserPtr<u8> as After(socket::address_out),
        len: UserPtr<i32> as Out(socket::length),
    )
        => full ["unix::names_of_both_ends"];
    48 shutdown(fd: Fd, how: i32 as OneOf(socket::SHUTDOWN)) => full ["unix::shutdown_directions", "tcp::shutdown_ends_one_direction"];
}

/// The open file behind a descriptor, which is a socket: EBADF, ENOTSOCK.
pub(super) fn open_socket(task: &Task, fd: Fd) -> Result<Arc<OpenFile>> {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    of(&open)?;
    Ok(open)
}

/// The socket of an open file; ENOTSOCK.
pub(super) fn of(open: &OpenFile) -> Result<&dyn Socket> {
    open.file().socket().ok_or(Errno::ENOTSOCK)
}

/// Type and flags of the second argument: EINVAL.
fn decode_type(raw: u32) -> Result<(i32, OpenFlags)> {
    let flags = OpenFlags::from_bits_retain(raw & !SOCK_TYPE_MASK);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let kind = (raw & SOCK_TYPE_MASK).cast_signed();
    if kind >= SOCK_MAX {
        return Err(Errno::EINVAL);
    }
    Ok((kind, flags))
}

fn socket_type(raw: i32) -> Result<SocketType> {
    Ok(match raw {
        SOCK_STREAM => SocketType::Stream,
        SOCK_DGRAM => SocketType::Datagram,
        SOCK_SEQPACKET => SocketType::SeqPacket,
        SOCK_RAW => SocketType::Raw,
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    })
}

/// A raw unix socket is a datagram socket, by an old accident.
fn unix_type(raw: i32, protocol: i32) -> Result<SocketType> {
    if protocol != 0 && protocol != i32::from(AF_UNIX) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    Ok(match socket_type(raw)? {
        SocketType::Raw => SocketType::Datagram,
        kind => kind,
    })
}

fn decode_family(raw: i32) -> Result<u16> {
    if !(0..AF_MAX).contains(&raw) {
        return Err(Errno::EAFNOSUPPORT);
    }
    u16::try_from(raw).map_err(|_| Errno::EAFNOSUPPORT)
}

fn open(task: &Task, file: Arc<dyn File>, flags: OpenFlags) -> SyscallResult {
    install::anonymous(task, Anonymous::Socket, file, flags | OpenFlags::RDWR)
}

fn socket(task: &Task, family: i32, kind: u32, protocol: i32) -> SyscallResult {
    let (kind, flags) = decode_type(kind)?;
    let file: Arc<dyn File> = match decode_family(family)? {
        AF_UNIX => UnixSocket::new(task, unix_type(kind, protocol)?),
        AF_NETLINK => NetlinkSocket::new(socket_type(kind)?, protocol)?,
        AF_INET => inet::new(task, Family::Ipv4, socket_type(kind)?, protocol)?,
        AF_INET6 => inet::new(task, Family::Ipv6, socket_type(kind)?, protocol)?,
        _ => return Err(Errno::EAFNOSUPPORT.into()),
    };
    open(task, file, flags)
}

fn socketpair(
    task: &Task,
    family: i32,
    kind: u32,
    protocol: i32,
    fds: UserPtr<[i32; 2]>,
) -> SyscallResult {
    let (kind, flags) = decode_type(kind)?;
    match decode_family(family)? {
        AF_UNIX => {}
        AF_INET | AF_INET6 | AF_NETLINK => return Err(Errno::EOPNOTSUPP.into()),
        _ => return Err(Errno::EAFNOSUPPORT.into()),
    }
    let (one, two) = UnixSocket::pair(task, unix_type(kind, protocol)?);
    let flags = flags | OpenFlags::RDWR;
    let first = anon::open(task, Anonymous::Socket, one, flags);
    let second = anon::open(task, Anonymous::Socket, two, flags);
    install::pair(task, [first, second], flags, fds.address())
}

/// The bytes of an address: EINVAL for impossible lengths.
fn read_address(task: &Task, address: usize, len: i32) -> Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if len > ADDRESS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; len];
    if len > 0 {
        task.mm().read_bytes(address, &mut bytes)?;
    }
    Ok(bytes)
}

/// Stores as much of an address as fits, and how long it is.
pub(super) fn write_address(
    task: &Task,
    address: usize,
    len_address: usize,
    bytes: &[u8],
) -> Result<()> {
    let mm = task.mm();
    let room: i32 = mm.read_value(len_address)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let stored = &bytes[..bytes.len().min(room)];
    if !stored.is_empty() {
        mm.write_bytes(address, stored)?;
    }
    mm.write_value(len_address, &u32::try_from(bytes.len()).unwrap_or(0))
}

fn bind(task: &Task, fd: Fd, address: UserPtr<u8>, len: i32) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let address = read_address(task, address.address(), len)?;
    of(&open)?.bind(task, &address)?;
    Ok(0)
}

fn listen(task: &Task, fd: Fd, backlog: i32) -> SyscallResult {
    let open = open_socket(task, fd)?;
    of(&open)?.listen(task, backlog)?;
    Ok(0)
}

fn accept(task: &Task, fd: Fd, address: UserPtr<u8>, len: UserPtr<i32>) -> SyscallResult {
    accept_with(task, fd, (address, len), OpenFlags::empty())
}

fn accept4(
    task: &Task,
    fd: Fd,
    address: UserPtr<u8>,
    len: UserPtr<i32>,
    flags: OpenFlags,
) -> SyscallResult {
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    accept_with(task, fd, (address, len), flags)
}

fn accept_with(
    task: &Task,
    fd: Fd,
    (address, len): (UserPtr<u8>, UserPtr<i32>),
    flags: OpenFlags,
) -> SyscallResult {
    let listener = open_socket(task, fd)?;
    install::check_room(task)?;
    let socket = of(&listener)?;
    let timeout_ns = socket.common().lock().receive_timeout_ns;
    let accepted = blocking_within(task, &listener, Events::READABLE, timeout_ns, || {
        socket.accept(task)
    })?;
    let flags = flags | OpenFlags::RDWR;
    let file = anon::open(task, Anonymous::Socket, accepted.file, flags);
    if !address.is_null() {
        write_address(task, address.address(), len.address(), &accepted.peer)?;
    }
    let fd = install::descriptor(task, file, flags)?;
    Ok(u64::from(fd.unsigned_abs()))
}

fn connect(task: &Task, fd: Fd, address: UserPtr<u8>, len: i32) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let address = read_address(task, address.address(), len)?;
    let socket = of(&open)?;
    let timeout_ns = socket.common().lock().send_timeout_ns;
    let mut pending = None;
    let outcome = blocking_within(task, &open, Events::WRITABLE, timeout_ns, || {
        match socket.connect(task, &address) {
            Err(errno @ (Errno::EINPROGRESS | Errno::EALREADY)) if !open.is_nonblocking() => {
                pending.get_or_insert(errno);
                Err(Errno::EAGAIN)
            }
            other => other,
        }
    });
    match (outcome, pending) {
        // The time that SO_SNDTIMEO allows has passed, and the attempt goes on.
        (Err(SysError::Errno(Errno::EAGAIN)), Some(errno)) => Err(errno.into()),
        (outcome, _) => outcome.map(|()| 0),
    }
}

fn getsockname(task: &Task, fd: Fd, address: UserPtr<u8>, len: UserPtr<i32>) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let name = of(&open)?.local_address()?;
    write_address(task, address.address(), len.address(), &name)?;
    Ok(0)
}

fn getpeername(task: &Task, fd: Fd, address: UserPtr<u8>, len: UserPtr<i32>) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let name = of(&open)?.peer_address()?;
    write_address(task, address.address(), len.address(), &name)?;
    Ok(0)
}

fn shutdown(task: &Task, fd: Fd, how: i32) -> SyscallResult {
    let open = open_socket(task, fd)?;
    let how = match how {
        0 => Shutdown::READ,
        1 => Shutdown::WRITE,
        2 => Shutdown::all(),
        _ => return Err(Errno::EINVAL.into()),
    };
    of(&open)?.shutdown(how)?;
    Ok(0)
}
