//! Socket addresses, messages and options.

use abi::socket::{Cmsghdr, Mmsghdr, Msghdr, Ucred};

use crate::strace::decode::{file, time};
use crate::strace::names::socket as names;
use crate::strace::printer::{Printer, put, size};

/// The type of a socket with the flags that are passed along.
pub(crate) fn print_type(p: &mut Printer<'_>, n: usize) {
    let value = u64::from(p.arg32(n));
    p.one_of(&names::TYPE, value & 0xf);
    if value & !0xf != 0 {
        p.text("|");
        p.flags(&names::SOCK_FLAGS, value & !0xf);
    }
}

/// The protocol of a socket, whose family is the first argument.
pub(crate) fn print_protocol(p: &mut Printer<'_>, n: usize) {
    let protocol = u64::from(p.arg32(n));
    match p.arg32(0) {
        2 | 10 => p.one_of(&names::IP_PROTOCOL, protocol),
        16 => p.one_of(&names::NETLINK_PROTOCOL, protocol),
        _ => put!(p, "{protocol}"),
    }
}

/// The name of an option, whose level is the argument before it.
pub(crate) fn print_option(p: &mut Printer<'_>, n: usize) {
    let option = u64::from(p.arg32(n));
    match p.arg32(n - 1) {
        0 => p.one_of(&names::IP_OPTION, option),
        1 => p.one_of(&names::SOCKET_OPTION, option),
        6 => p.one_of(&names::TCP_OPTION, option),
        41 => p.one_of(&names::IPV6_OPTION, option),
        270 => p.one_of(&names::NETLINK_OPTION, option),
        _ => put!(p, "{option:#x}"),
    }
}

/// An address of `len` bytes.
pub(crate) fn print_address(p: &mut Printer<'_>, address: usize, len: usize) {
    if address == 0 {
        return p.text("NULL");
    }
    let bytes = p.bytes(address, len.min(128));
    let Some((family, rest)) = bytes.split_first_chunk::<2>() else {
        return p.pointer(address as u64);
    };
    let family = u16::from_le_bytes(*family);
    p.text("{sa_family=");
    p.one_of(&names::FAMILY, u64::from(family));
    match (family, rest) {
        (1, path) => unix(p, path),
        (2, [p0, p1, a, b, c, d, ..]) => {
            let port = u16::from_be_bytes([*p0, *p1]);
            put!(
                p,
                ", sin_port=htons({port}), sin_addr=inet_addr(\"{a}.{b}.{c}.{d}\")"
            );
        }
        (10, [p0, p1, f0, f1, f2, f3, tail @ ..]) => {
            let port = u16::from_be_bytes([*p0, *p1]);
            let flow = u32::from_be_bytes([*f0, *f1, *f2, *f3]);
            put!(p, ", sin6_port=htons({port}), sin6_flowinfo=htonl({flow})");
            if let Some(ip) = tail.first_chunk::<16>() {
                let ip = std::net::Ipv6Addr::from(*ip);
                put!(p, ", inet_pton(AF_INET6, \"{ip}\", &sin6_addr)");
            }
            if let Some(scope) = tail.get(16..20).and_then(|scope| scope.first_chunk::<4>()) {
                put!(p, ", sin6_scope_id={}", u32::from_le_bytes(*scope));
            }
        }
        (16, [_, _, a, b, c, d, g0, g1, g2, g3, ..]) => {
            let pid = u32::from_le_bytes([*a, *b, *c, *d]);
            let groups = u32::from_le_bytes([*g0, *g1, *g2, *g3]);
            put!(p, ", nl_pid={pid}, nl_groups={groups:08x}");
        }
        (_, []) => {}
        (_, rest) => {
            p.text(", sa_data=");
            p.quoted(rest);
        }
    }
    p.text("}");
}

fn unix(p: &mut Printer<'_>, path: &[u8]) {
    match path.split_first() {
        None => {}
        Some((0, name)) => {
            p.text(", sun_path=@");
            p.quoted(name);
        }
        Some(_) => {
            let end = path
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(path.len());
            p.text(", sun_path=");
            p.quoted(&path[..end]);
        }
    }
}

/// An address that is given: argument n, its length behind it.
pub(crate) fn address_in(p: &mut Printer<'_>, n: usize) {
    let len = size(u64::from(p.arg32(n + 1)));
    print_address(p, p.address(n), len);
}

/// An address that is stored: argument n, a pointer to its length behind it.
pub(crate) fn address_out(p: &mut Printer<'_>, n: usize) {
    let len = p.peek::<u32>(p.address(n + 1));
    match (p.result(), len) {
        (Some(_), Some(len)) => print_address(p, p.address(n), size(u64::from(len))),
        _ => p.pointer(p.arg(n)),
    }
}

/// A length that is stored: argument n.
pub(crate) fn length(p: &mut Printer<'_>, address: usize) {
    super::id::int(p, address);
}

fn print_header(p: &mut Printer<'_>, header: &Msghdr, filled: Option<usize>) {
    p.text("{msg_name=");
    print_address(p, size(header.name), size(u64::from(header.name_len)));
    put!(p, ", msg_namelen={}, msg_iov=", header.name_len);
    file::print_vector(p, size(header.iov), size(header.iov_len), filled);
    put!(p, ", msg_iovlen={}", header.iov_len);
    if header.control_len > 0 {
        p.text(", msg_control=");
        print_control(p, size(header.control), size(header.control_len));
    }
    put!(p, ", msg_controllen={}, msg_flags=", header.control_len);
    p.flags(&names::MSG, u64::from(header.flags));
    p.text("}");
}

fn print_control(p: &mut Printer<'_>, address: usize, len: usize) {
    const HEADER: usize = size_of::<Cmsghdr>();
    let len = len.min(4096);
    let mut at = 0;
    let mut first = true;
    p.text("[");
    while at + HEADER <= len {
        let Some(header) = p.peek::<Cmsghdr>(address.wrapping_add(at)) else {
            break;
        };
        let whole = size(header.len);
        if whole < HEADER || whole > len - at {
            break;
        }
        p.text(if first { "" } else { ", " });
        first = false;
        print_control_message(
            p,
            &header,
            address.wrapping_add(at + HEADER),
            whole - HEADER,
        );
        at += whole.next_multiple_of(8);
    }
    p.text("]");
}

fn print_control_message(p: &mut Printer<'_>, header: &Cmsghdr, data: usize, len: usize) {
    put!(p, "{{cmsg_len={}, cmsg_level=", header.len);
    p.one_of(&names::LEVEL, u64::from(header.level.cast_unsigned()));
    p.text(", cmsg_type=");
    if header.level == abi::socket::SOL_SOCKET {
        p.one_of(&names::CONTROL, u64::from(header.kind.cast_unsigned()));
    } else {
        put!(p, "{:#x}", header.kind);
    }
    match (header.level, header.kind) {
        (1, abi::socket::SCM_RIGHTS) => {
            p.text(", cmsg_data=");
            p.array(data, len / 4, |p, fd: i32| put!(p, "{fd}"));
        }
        (1, abi::socket::SCM_CREDENTIALS) => {
            p.text(", cmsg_data=");
            credentials(p, data);
        }
        _ if len > 0 => {
            p.text(", cmsg_data=");
            p.buffer(data, len);
        }
        _ => {}
    }
    p.text("}");
}

fn credentials(p: &mut Printer<'_>, address: usize) {
    if let Some(Ucred { pid, uid, gid }) = p.value(address) {
        put!(p, "{{pid={pid}, uid={uid}, gid={gid}}}");
    }
}

/// The message of `sendmsg(2)`.
pub(crate) fn message_in(p: &mut Printer<'_>, address: usize) {
    if let Some(header) = p.value(address) {
        print_header(p, &header, None);
    }
}

/// The message of `recvmsg(2)`.
pub(crate) fn message_out(p: &mut Printer<'_>, address: usize) {
    let filled = p.result().map(size);
    if let Some(header) = p.value(address) {
        print_header(p, &header, filled);
    }
}

/// The messages of `sendmmsg(2)`: argument n, their number behind it.
pub(crate) fn messages_in(p: &mut Printer<'_>, n: usize) {
    let count = size(u64::from(p.arg32(n + 1))).min(1024);
    p.array(p.address(n), count, |p, message: Mmsghdr| {
        p.text("{msg_hdr=");
        print_header(p, &message.header, None);
        p.text("}");
    });
}

/// The messages of `recvmmsg(2)`.
pub(crate) fn messages_out(p: &mut Printer<'_>, n: usize) {
    let Some(count) = p.result() else {
        return p.pointer(p.arg(n));
    };
    p.array(
        p.address(n),
        size(count).min(1024),
        |p, message: Mmsghdr| {
            p.text("{msg_hdr=");
            print_header(p, &message.header, Some(size(u64::from(message.len))));
            put!(p, ", msg_len={}}}", message.len);
        },
    );
}

fn print_value(p: &mut Printer<'_>, n: usize, len: usize) {
    const SO_LINGER: u32 = 13;
    const SO_PEERCRED: u32 = 17;
    const SO_RCVTIMEO: u32 = 20;
    const SO_SNDTIMEO: u32 = 21;
    let at = p.address(n);
    match (p.arg32(n - 2), p.arg32(n - 1), len) {
        (1, SO_PEERCRED, 12) => credentials(p, at),
        (1, SO_RCVTIMEO | SO_SNDTIMEO, 16) => time::timeval(p, at),
        (1, SO_LINGER, 8) => {
            if let Some([on, seconds]) = p.value::<[i32; 2]>(at) {
                put!(p, "{{l_onoff={on}, l_linger={seconds}}}");
            }
        }
        (_, _, 4) => super::id::int(p, at),
        _ => p.buffer(at, len),
    }
}

/// The value of `setsockopt(2)`: argument n, its length behind it.
pub(crate) fn option_in(p: &mut Printer<'_>, n: usize) {
    if p.arg(n) == 0 {
        return p.text("NULL");
    }
    print_value(p, n, size(u64::from(p.arg32(n + 1))));
}

/// The value of `getsockopt(2)`: argument n, a pointer to its length behind it.
pub(crate) fn option_out(p: &mut Printer<'_>, n: usize) {
    let len = p.peek::<u32>(p.address(n + 1));
    match (p.result(), len) {
        (Some(_), Some(len)) if p.arg(n) != 0 => print_value(p, n, size(u64::from(len))),
        _ => p.pointer(p.arg(n)),
    }
}
