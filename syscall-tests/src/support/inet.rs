//! Sockets of the Internet families on the loopback interface.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::support::fd::Fd;
use crate::sys::{SysError, SysResult};

/// A family, by its loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Both.
pub(crate) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Family {
    fn number(self) -> i32 {
        match self {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        }
    }

    /// A socket of this type.
    pub(crate) fn socket(self, kind: i32) -> Result<Fd, SysError> {
        sys!(SYS_socket, self.number(), kind, 0).map(Fd::own)
    }

    /// The loopback address with a port.
    pub(crate) fn loopback(self, port: u16) -> Vec<u8> {
        match self {
            Family::V4 => v4(Ipv4Addr::LOCALHOST, port),
            Family::V6 => v6(Ipv6Addr::LOCALHOST, port),
        }
    }

    /// The address of nobody in particular with a port.
    pub(crate) fn any(self, port: u16) -> Vec<u8> {
        match self {
            Family::V4 => v4(Ipv4Addr::UNSPECIFIED, port),
            Family::V6 => v6(Ipv6Addr::UNSPECIFIED, port),
        }
    }

    /// A socket of this type that is bound to a port of the loopback address.
    pub(crate) fn bound(self, kind: i32) -> Result<Fd, SysError> {
        let socket = self.socket(kind)?;
        bind(&socket, &self.loopback(0))?;
        Ok(socket)
    }

    /// A socket that listens on a port of the loopback address.
    pub(crate) fn listener(self) -> Result<Fd, SysError> {
        let socket = self.bound(libc::SOCK_STREAM)?;
        sys!(SYS_listen, &socket, 5)?;
        Ok(socket)
    }

    /// Both ends of a connection: who connected, and who accepted.
    pub(crate) fn pair(self) -> Result<(Fd, Fd), SysError> {
        let listener = self.listener()?;
        let client = self.socket(libc::SOCK_STREAM)?;
        connect(&client, &name(&listener)?)?;
        let server = accept(&listener)?;
        Ok((client, server))
    }
}

/// A `struct sockaddr_in`.
pub(crate) fn v4(ip: Ipv4Addr, port: u16) -> Vec<u8> {
    let family = (libc::AF_INET as u16).to_ne_bytes();
    [&family[..], &port.to_be_bytes(), &ip.octets(), &[0; 8]].concat()
}

/// A `struct sockaddr_in6`.
pub(crate) fn v6(ip: Ipv6Addr, port: u16) -> Vec<u8> {
    let family = (libc::AF_INET6 as u16).to_ne_bytes();
    [
        &family[..],
        &port.to_be_bytes(),
        &[0; 4],
        &ip.octets(),
        &[0; 4],
    ]
    .concat()
}

/// The port of an address.
pub(crate) fn port(address: &[u8]) -> u16 {
    let bytes = address.get(2..4).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

pub(crate) fn bind(socket: &Fd, address: &[u8]) -> SysResult {
    sys!(SYS_bind, socket, address, address.len())
}

pub(crate) fn connect(socket: &Fd, address: &[u8]) -> SysResult {
    sys!(SYS_connect, socket, address, address.len())
}

pub(crate) fn accept(socket: &Fd) -> Result<Fd, SysError> {
    sys!(SYS_accept, socket, 0, 0).map(Fd::own)
}

/// `getsockname(2)`
pub(crate) fn name(socket: &Fd) -> Result<Vec<u8>, SysError> {
    let (mut bytes, mut len) = (vec![0_u8; 128], 128_u32);
    sys!(SYS_getsockname, socket, bytes.as_mut_slice(), &mut len)?;
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// `getpeername(2)`
pub(crate) fn peer(socket: &Fd) -> Result<Vec<u8>, SysError> {
    let (mut bytes, mut len) = (vec![0_u8; 128], 128_u32);
    sys!(SYS_getpeername, socket, bytes.as_mut_slice(), &mut len)?;
    bytes.truncate(len as usize);
    Ok(bytes)
}

pub(crate) fn send(socket: &Fd, bytes: &[u8], flags: i32) -> SysResult {
    sys!(SYS_sendto, socket, bytes, bytes.len(), flags, 0, 0)
}

pub(crate) fn send_to(socket: &Fd, bytes: &[u8], address: &[u8]) -> SysResult {
    sys!(
        SYS_sendto,
        socket,
        bytes,
        bytes.len(),
        0,
        address,
        address.len()
    )
}

/// What is received, at most `len` bytes.
pub(crate) fn receive(socket: &Fd, len: usize, flags: i32) -> Result<Vec<u8>, SysError> {
    receive_from(socket, len, flags).map(|(bytes, _)| bytes)
}

/// What is received, and from whom.
pub(crate) fn receive_from(
    socket: &Fd,
    len: usize,
    flags: i32,
) -> Result<(Vec<u8>, Vec<u8>), SysError> {
    let mut bytes = vec![0_u8; len];
    let (mut from, mut from_len) = (vec![0_u8; 128], 128_u32);
    let buffer = bytes.as_mut_slice();
    let from_buffer = from.as_mut_slice();
    let got = sys!(
        SYS_recvfrom,
        socket,
        buffer,
        len,
        flags,
        from_buffer,
        &mut from_len
    )?;
    bytes.truncate(len.min(got as usize));
    from.truncate(from_len as usize);
    Ok((bytes, from))
}

/// The number that an option is.
pub(crate) fn option(socket: &Fd, level: i32, option: i32) -> Result<i32, SysError> {
    let (mut value, mut len) = (0_i32, 4_u32);
    sys!(SYS_getsockopt, socket, level, option, &mut value, &mut len)?;
    Ok(value)
}

pub(crate) fn set_option(socket: &Fd, level: i32, option: i32, value: i32) -> SysResult {
    sys!(SYS_setsockopt, socket, level, option, &value, 4)
}
