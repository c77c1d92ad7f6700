//! One end of a seqpacket socket: a message is a JSON value and the descriptors that go with it.
//!
//! A packet is one byte of kind and a body. Kind `j`: the body is the JSON text. Kind `m`: the body
//! is empty, and the JSON text is in a sealed memfd, the first descriptor passed. Receiving never
//! trusts the other end: lengths, seals and numbers of descriptors are checked.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host::errno;
use rustix::fs::{self, MemfdFlags, SealFlags};
use rustix::io;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest body that travels inside the packet.
const MAX_INLINE_BYTES: usize = 64 << 10;
/// Longest body at all.
pub const MAX_BODY_BYTES: u64 = 64 << 20;
/// Most descriptors with one message.
pub const MAX_DESCRIPTORS: usize = 64;

const KIND_INLINE: u8 = b'j';
const KIND_MEMFD: u8 = b'm';

/// One end.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

/// A message as it came.
#[derive(Debug)]
pub struct Received<T> {
    /// The decoded value.
    pub message: T,
    /// The descriptors that came with it, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A host call failed.
    #[error("cannot {step} a control message: {errno}")]
    Host {
        /// What was being done.
        step: &'static str,
        /// How it failed.
        errno: host::Errno,
    },
    /// The other end sent bytes that are no message.
    #[error("malformed control message: {0}")]
    Malformed(&'static str),
    /// The body is not the JSON that was expected.
    #[error("cannot decode control message: {0}")]
    Decode(#[from] serde_json::Error),
    /// The other end is gone.
    #[error("the other end of the control connection has closed it")]
    Closed,
}

fn failed(step: &'static str) -> impl FnOnce(io::Errno) -> ConnectionError {
    move |error| ConnectionError::Host {
        step,
        errno: errno(error),
    }
}

impl Connection {
    /// Speaks over a connected seqpacket socket.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Connection {
        Connection { socket }
    }

    /// Two connected ends.
    ///
    /// # Errors
    /// Those of socketpair.
    pub fn pair() -> Result<(Connection, OwnedFd), ConnectionError> {
        let (ours, theirs) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed("make a socket for"))?;
        Ok((Connection::new(ours), theirs))
    }

    /// Sends a value and descriptors; safe from several threads at once.
    ///
    /// # Errors
    /// [`ConnectionError::Closed`] when the other end is gone.
    pub fn send<T: Serialize>(
        &self,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ConnectionError> {
        let body = serde_json::to_vec(message)?;
        if body.len() <= MAX_INLINE_BYTES {
            return self.send_packet(KIND_INLINE, &body, fds);
        }
        let memfd = sealed_memfd(&body)?;
        let mut all = vec![memfd.as_fd()];
        all.extend_from_slice(fds);
        self.send_packet(KIND_MEMFD, &[], &all)
    }

    fn send_packet(
        &self,
        kind: u8,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ConnectionError> {
        if fds.len() > MAX_DESCRIPTORS {
            return Err(ConnectionError::Malformed("too many descriptors"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(ConnectionError::Malformed("too many descriptors"));
        }
        let kind = [kind];
        let pieces = [IoSlice::new(&kind), IoSlice::new(body)];
        loop {
            match net::sendmsg(&self.socket, &pieces, &mut ancillary, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(io::Errno::INTR) => {}
                Err(io::Errno::PIPE | io::Errno::CONNRESET) => return Err(ConnectionError::Closed),
                Err(error) => return Err(failed("send")(error)),
            }
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`ConnectionError::Closed`] at the end of the stream.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, ConnectionError> {
        let mut buffer = vec![0u8; MAX_INLINE_BYTES + 1];
        let (length, mut fds) = self.receive_packet(&mut buffer)?;
        let packet = buffer.get(..length).unwrap_or_default();
        let message = match packet.split_first() {
            None => return Err(ConnectionError::Closed),
            Some((&KIND_INLINE, body)) => serde_json::from_slice(body)?,
            Some((&KIND_MEMFD, [])) if !fds.is_empty() => {
                let body = read_memfd(&fds.remove(0))?;
                serde_json::from_slice(&body)?
            }
            Some(_) => return Err(ConnectionError::Malformed("unknown kind of packet")),
        };
        Ok(Received { message, fds })
    }

    fn receive_packet(&self, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), ConnectionError> {
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS + 1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut pieces = [IoSliceMut::new(buffer)];
            match net::recvmsg(
                &self.socket,
                &mut pieces,
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                Ok(received) => break received,
                Err(io::Errno::INTR) => {}
                Err(io::Errno::CONNRESET) => return Err(ConnectionError::Closed),
                Err(error) => return Err(failed("receive")(error)),
            }
        };
        let fds: Vec<OwnedFd> = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(ConnectionError::Malformed("truncated packet"));
        }
        Ok((received.bytes, fds))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Connection> for OwnedFd {
    fn from(connection: Connection) -> OwnedFd {
        connection.socket
    }
}

const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

fn sealed_memfd(body: &[u8]) -> Result<OwnedFd, ConnectionError> {
    let memfd = fs::memfd_create(
        "runsc-message",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )
    .map_err(failed("make a memfd for"))?;
    let mut rest = body;
    while !rest.is_empty() {
        let written = io::write(&memfd, rest).map_err(failed("write"))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    fs::fcntl_add_seals(&memfd, SEALS).map_err(failed("seal"))?;
    Ok(memfd)
}

fn read_memfd(memfd: &OwnedFd) -> Result<Vec<u8>, ConnectionError> {
    let seals = fs::fcntl_get_seals(memfd).map_err(failed("check the seals of"))?;
    if !seals.contains(SEALS) {
        return Err(ConnectionError::Malformed("body is not sealed"));
    }
    let size = fs::fstat(memfd).map_err(failed("measure"))?.st_size;
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    if size > MAX_BODY_BYTES {
        return Err(ConnectionError::Malformed("body is too long"));
    }
    let mut body = vec![0u8; usize::try_from(size).unwrap_or(0)];
    let mut done = 0;
    while let Some(rest) = body.get_mut(done..)
        && !rest.is_empty()
    {
        let read = io::pread(memfd, rest, done as u64).map_err(failed("read"))?;
        if read == 0 {
            return Err(ConnectionError::Malformed("body is shorter than it says"));
        }
        done += read;
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use proptest::prelude::{any, proptest};
    use rustix::net::{SendFlags, send};

    use super::{Connection, ConnectionError};
    use crate::{Reply, Request};

    #[test]
    fn a_long_message_travels_with_its_descriptors() {
        let (ours, theirs) = Connection::pair().unwrap();
        let theirs = Connection::new(theirs);
        let text = "x".repeat(300_000);
        ours.send(&text, &[ours.as_fd()]).unwrap();
        let received = theirs.receive::<String>().unwrap();
        assert_eq!(received.message, text);
        assert_eq!(received.fds.len(), 1);
    }

    #[test]
    fn end_of_stream_is_closed() {
        let (ours, theirs) = Connection::pair().unwrap();
        drop(theirs);
        assert!(matches!(
            ours.receive::<Reply>(),
            Err(ConnectionError::Closed)
        ));
        assert!(matches!(ours.send(&1, &[]), Err(ConnectionError::Closed)));
    }

    #[test]
    fn a_memfd_packet_without_descriptor_is_malformed() {
        let (ours, theirs) = Connection::pair().unwrap();
        send(&theirs, b"m", SendFlags::empty()).unwrap();
        assert!(matches!(
            ours.receive::<Request>(),
            Err(ConnectionError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn random_packets_never_panic(bytes in any::<Vec<u8>>()) {
            let (ours, theirs) = Connection::pair().unwrap();
            let mut packet = vec![b'j'];
            packet.extend_from_slice(&bytes);
            send(&theirs, &packet, SendFlags::empty()).unwrap();
            let _ = ours.receive::<Request>();
            send(&theirs, &bytes, SendFlags::empty()).unwrap();
            if !bytes.is_empty() {
                let _ = ours.receive::<Request>();
            }
        }
    }
}
