//! Sending and receiving one message on a seqpacket socket, with at most one descriptor.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use abi::Errno;
use host::errno;
use rustix::cmsg_space;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::types::Result;

/// Two connected sockets of the kind the wire uses.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (domain, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    net::socketpair(domain, kind, SocketFlags::CLOEXEC, None).map_err(errno)
}

/// Sends `message`, with `fd` if there is one.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &[u8],
    fd: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = fd.as_slice();
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::EIO);
    }
    loop {
        match net::sendmsg(
            socket,
            &[IoSlice::new(message)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(len) if len == message.len() => return Ok(()),
            Ok(_) => return Err(Errno::EIO),
            Err(error) if errno(error) == Errno::EINTR => {}
            Err(error) => return Err(errno(error)),
        }
    }
}

/// A message received: its length, and the descriptor that came with it.
#[derive(Debug)]
pub(crate) struct Received {
    /// Bytes received, 0 at the end of the connection.
    pub(crate) len: usize,
    /// The first descriptor; others are closed.
    pub(crate) fd: Option<OwnedFd>,
}

/// Receives a message into `buffer`; one that does not fit is `EMSGSIZE`.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [IoSliceMut::new(buffer)];
        match net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => break received,
            Err(error) if errno(error) == Errno::EINTR => {}
            Err(error) => return Err(errno(error)),
        }
    };
    let mut fd = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            for received in fds {
                fd.get_or_insert(received);
            }
        }
    }
    // A descriptor that found no room in this process's table is one that did not come (CTRUNC).
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::EMSGSIZE);
    }
    Ok(Received {
        len: received.bytes,
        fd,
    })
}

/// Ends the connection in both directions: who waits on the other end wakes up.
pub(crate) fn shut_down(socket: &OwnedFd) {
    // It fails only if the connection has ended already.
    let _ = net::shutdown(socket.as_fd(), net::Shutdown::Both);
}
