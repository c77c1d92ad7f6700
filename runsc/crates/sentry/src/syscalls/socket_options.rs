//! `man 2 getsockopt`: getsockopt, setsockopt; the options of `man 7 socket`.

use abi::Errno;
use abi::raw::net;
use abi::socket::{Linger, SOL_SOCKET};
use abi::time::Timeval;
use mm::user_ptr::UserPtr;
use zerocopy::{FromBytes, IntoBytes};

use super::install;
use super::socket::{of, open_socket};
use crate::error::{Result, SyscallResult};
use crate::fs::pidfd;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::socket::{CommonOptions, Socket};
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::file::OpenFlags;

calls! {
    55 getsockopt(
        fd: Fd,
        level: i32 as OneOf(socket::LEVEL),
        name: u32 as Before(socket::print_option),
        address: UserPtr<u8> as After(socket::option_out),
        len_address: UserPtr<i32> as Out(socket::length),
    )
        => partial("SO_MEMINFO, SO_COOKIE, SO_PEERSEC, IP_PKTINFO and its like, and the options of absent families are ENOPROTOOPT") [
            "unix_control::peer_credentials",
        ];
    54 setsockopt(
        fd: Fd,
        level: i32 as OneOf(socket::LEVEL),
        name: u32 as Before(socket::print_option),
        value: UserPtr<u8> as Before(socket::option_in),
        len: i32 as Unsigned,
    )
        => partial("socket filters, SO_TXTIME, SO_ZEROCOPY, SO_BINDTODEVICE, IP_PKTINFO and its like, and the options of absent families are ENOPROTOOPT") [
            "unix::timeouts",
            "unix::options",
        ];
}

/// Longest value that is taken.
const VALUE_MAX: usize = 4096;

fn getsockopt(
    task: &Task,
    fd: Fd,
    level: i32,
    name: u32,
    address: UserPtr<u8>,
    len_address: UserPtr<i32>,
) -> SyscallResult {
    let (address, len_address) = (address.address(), len_address.address());
    let open = open_socket(task, fd)?;
    let socket = of(&open)?;
    let mm = task.mm();
    let room: i32 = mm.read_value(len_address)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let value = if level == SOL_SOCKET && name == net::SO_PEERPIDFD {
        peer_pidfd(task, socket)?
    } else {
        get(task, socket, level, name)?
    };
    let len = u32::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    if name == net::SO_PEERGROUPS && level == SOL_SOCKET && room < value.len() {
        mm.write_value(len_address, &len)?;
        return Err(Errno::ERANGE.into());
    }
    let stored = room.min(value.len());
    if stored > 0 {
        mm.write_bytes(address, &value[..stored])?;
    }
    mm.write_value(len_address, &u32::try_from(stored).unwrap_or(len))?;
    Ok(0)
}

fn peer_pidfd(task: &Task, socket: &dyn Socket) -> Result<Vec<u8>> {
    let group = socket.peer_process()?;
    let fd = pidfd::open(task, &group, OpenFlags::empty())?;
    Ok(fd.to_ne_bytes().to_vec())
}

fn get(task: &Task, socket: &dyn Socket, level: i32, name: u32) -> Result<Vec<u8>> {
    if level != SOL_SOCKET {
        return socket.get_option(task, level, name);
    }
    let common = *socket.common().lock();
    let number = match name {
        net::SO_TYPE => socket.kind().number(),
        net::SO_DOMAIN => i32::from(socket.family()),
        net::SO_PROTOCOL => socket.protocol(),
        net::SO_ERROR => socket.take_error().map_or(0, Errno::raw),
        net::SO_ACCEPTCONN => i32::from(socket.is_listening()),
        net::SO_LINGER => return Ok(common.linger.as_bytes().to_vec()),
        net::SO_RCVTIMEO_OLD | net::SO_RCVTIMEO_NEW => {
            return Ok(timeval(common.receive_timeout_ns));
        }
        net::SO_SNDTIMEO_OLD | net::SO_SNDTIMEO_NEW => {
            return Ok(timeval(common.send_timeout_ns));
        }
        _ => match get_common(&common, name) {
            Some(number) => number,
            None => return socket.get_option(task, level, name),
        },
    };
    Ok(number.to_ne_bytes().to_vec())
}

fn get_common(common: &CommonOptions, name: u32) -> Option<i32> {
    Some(match name {
        net::SO_SNDBUF => common.send_buffer.cast_signed(),
        net::SO_RCVBUF => common.receive_buffer.cast_signed(),
        net::SO_RCVLOWAT => common.receive_low_water,
        net::SO_SNDLOWAT => 1,
        net::SO_PASSCRED => common.pass_credentials.into(),
        net::SO_PASSPIDFD => common.pass_pidfd.into(),
        net::SO_PASSSEC => common.pass_security.into(),
        net::SO_REUSEADDR => common.reuse_address.into(),
        net::SO_REUSEPORT => common.reuse_port.into(),
        net::SO_KEEPALIVE => common.keep_alive.into(),
        net::SO_BROADCAST => common.broadcast.into(),
        net::SO_OOBINLINE => common.oob_inline.into(),
        net::SO_DONTROUTE => common.dont_route.into(),
        net::SO_DEBUG => common.debug.into(),
        net::SO_TIMESTAMP_OLD => common.timestamp.into(),
        net::SO_TIMESTAMPNS_OLD => common.timestamp_ns.into(),
        net::SO_NO_CHECK => common.no_check.into(),
        net::SO_PRIORITY => common.priority,
        net::SO_MARK => common.mark.cast_signed(),
        net::SO_PEEK_OFF => common.peek_offset,
        _ => return None,
    })
}

fn timeval(nanos: u64) -> Vec<u8> {
    Timeval::from_nanos(nanos).as_bytes().to_vec()
}

fn setsockopt(
    task: &Task,
    fd: Fd,
    level: i32,
    name: u32,
    value: UserPtr<u8>,
    len: i32,
) -> SyscallResult {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let open = open_socket(task, fd)?;
    let mut bytes = vec![0; len.min(VALUE_MAX)];
    if !bytes.is_empty() {
        value.read_bytes(&task.mm(), &mut bytes)?;
    }
    let socket = of(&open)?;
    if level == SOL_SOCKET {
        set(task, socket, name, &bytes)?;
        socket.common_changed();
    } else {
        socket.set_option(task, level, name, &bytes)?;
    }
    Ok(0)
}

fn set(task: &Task, socket: &dyn Socket, name: u32, value: &[u8]) -> Result<()> {
    let number = value.first_chunk().ok_or(Errno::EINVAL)?;
    let number = i32::from_ne_bytes(*number);
    match name {
        net::SO_TYPE
        | net::SO_DOMAIN
        | net::SO_PROTOCOL
        | net::SO_ERROR
        | net::SO_ACCEPTCONN
        | net::SO_SNDLOWAT => return Err(Errno::ENOPROTOOPT),
        net::SO_SNDBUFFORCE | net::SO_RCVBUFFORCE => {
            check_net_admin(task)?;
        }
        net::SO_DEBUG if number != 0 => check_net_admin(task)?,
        net::SO_MARK => check_net_admin(task)?,
        net::SO_PRIORITY if !(0..=6).contains(&number) => check_net_admin(task)?,
        _ => {}
    }
    let mut common = socket.common().lock();
    match name {
        net::SO_LINGER => {
            let (linger, _) = Linger::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
            common.linger = Linger {
                on: i32::from(linger.on != 0),
                ..linger
            };
            Ok(())
        }
        net::SO_RCVTIMEO_OLD | net::SO_RCVTIMEO_NEW => {
            common.receive_timeout_ns = timeout_ns(value)?;
            Ok(())
        }
        net::SO_SNDTIMEO_OLD | net::SO_SNDTIMEO_NEW => {
            common.send_timeout_ns = timeout_ns(value)?;
            Ok(())
        }
        _ if set_common(task, &mut common, name, number) => Ok(()),
        _ => {
            drop(common);
            socket.set_option(task, SOL_SOCKET, name, value)
        }
    }
}

fn check_net_admin(task: &Task) -> Result<()> {
    if task.has_capability(Capability::NetAdmin) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Whether it is an option that all sockets have; set then.
fn set_common(task: &Task, common: &mut CommonOptions, name: u32, number: i32) -> bool {
    let most = |path| Some(task.kernel().sysctl.number(path));
    let on = number != 0;
    match name {
        net::SO_SNDBUF => common.set_send_buffer(number, most("net/core/wmem_max")),
        net::SO_SNDBUFFORCE => common.set_send_buffer(number, None),
        net::SO_RCVBUF => common.set_receive_buffer(number, most("net/core/rmem_max")),
        net::SO_RCVBUFFORCE => common.set_receive_buffer(number, None),
        net::SO_RCVLOWAT => {
            common.receive_low_water = match number {
                0 => 1,
                negative if negative < 0 => i32::MAX,
                number => number,
            };
        }
        net::SO_PASSCRED => common.pass_credentials = on,
        net::SO_PASSPIDFD => common.pass_pidfd = on,
        net::SO_PASSSEC => common.pass_security = on,
        net::SO_REUSEADDR => common.reuse_address = on,
        net::SO_REUSEPORT => common.reuse_port = on,
        net::SO_KEEPALIVE => common.keep_alive = on,
        net::SO_BROADCAST => common.broadcast = on,
        net::SO_OOBINLINE => common.oob_inline = on,
        net::SO_DONTROUTE => common.dont_route = on,
        net::SO_DEBUG => common.debug = on,
        net::SO_TIMESTAMP_OLD => common.timestamp = on,
        net::SO_TIMESTAMPNS_OLD => common.timestamp_ns = on,
        net::SO_NO_CHECK => common.no_check = on,
        net::SO_PRIORITY => common.priority = number,
        net::SO_MARK => common.mark = number.cast_unsigned(),
        net::SO_PEEK_OFF => common.peek_offset = number.max(-1),
        _ => return false,
    }
    true
}

/// A time-out: microseconds out of range are EDOM, a negative time none at all (0 stands for "for ever").
fn timeout_ns(value: &[u8]) -> Result<u64> {
    let (time, _) = Timeval::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
    if !(0..1_000_000).contains(&time.usec) {
        return Err(Errno::EDOM);
    }
    if time.sec < 0 {
        return Ok(1);
    }
    time.to_nanos().ok_or(Errno::EDOM)
}

/// For `SCM_PIDFD`: a descriptor of the sender.
pub(super) fn sender_pidfd(task: &Task, sender: &crate::socket::message::Sender) -> Result<i32> {
    let group = sender.process().ok_or(Errno::ESRCH)?;
    let file = pidfd::new_file(task, &group, OpenFlags::empty());
    install::descriptor(task, file, OpenFlags::CLOEXEC)
}
