//! Sockets.
//!
//! - [`Socket`] is what the socket calls ask of one; as a [`File`] it is read, written and polled.
//! - [`options`] has what every socket remembers for `setsockopt(2)` at `SOL_SOCKET`.
//! - [`unix`], [`netlink`] and [`inet`] are the families.
//!
//! As with files, nothing here blocks: EAGAIN means "wait on the file's queue", for `connect` and
//! `accept` too.

pub mod inet;
pub mod interfaces;
pub mod message;
pub mod netlink;
pub mod options;
pub mod unix;

use std::sync::Arc;

use abi::Errno;
use abi::socket::{SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM};
use bitflags::bitflags;
use locks::Mutex;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::file::File;
use crate::vfs::io::Sink;

pub use message::{Control, Incoming, MessageFlags, Outgoing};
pub use options::CommonOptions;

/// `SOCK_*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketType {
    /// A stream of bytes.
    Stream,
    /// Messages without connection.
    Datagram,
    /// Messages on a connection.
    SeqPacket,
    /// Messages of a protocol as they are.
    Raw,
}

impl SocketType {
    /// The number of `SO_TYPE`.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            SocketType::Stream => SOCK_STREAM,
            SocketType::Datagram => SOCK_DGRAM,
            SocketType::SeqPacket => SOCK_SEQPACKET,
            SocketType::Raw => SOCK_RAW,
        }
    }

    /// Whether what is sent stays in pieces.
    #[must_use]
    pub fn has_messages(self) -> bool {
        self != SocketType::Stream
    }
}

bitflags! {
    /// Directions that `shutdown(2)` has closed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Shutdown: u8 {
        /// SHUT_RD
        const READ = 1;
        /// SHUT_WR
        const WRITE = 2;
    }
}

/// A connection taken from a listener.
#[derive(Debug)]
pub struct Accepted {
    /// The new socket.
    pub file: Arc<dyn File>,
    /// The address of its peer.
    pub peer: Vec<u8>,
}

/// What socket calls ask of a socket. Addresses are the bytes of a `struct sockaddr`.
pub trait Socket: Send + Sync + std::fmt::Debug {
    /// `AF_*`
    fn family(&self) -> u16;

    /// `SOCK_*`
    fn kind(&self) -> SocketType;

    /// `SO_PROTOCOL`
    fn protocol(&self) -> i32 {
        0
    }

    /// Options at `SOL_SOCKET`.
    fn common(&self) -> &Mutex<CommonOptions>;

    /// `bind(2)`
    fn bind(&self, task: &Task, address: &[u8]) -> Result<()>;

    /// `listen(2)`
    fn listen(&self, _task: &Task, _backlog: i32) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `accept(2)`; EAGAIN while nobody connects.
    fn accept(&self, _task: &Task) -> Result<Accepted> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `connect(2)`; EAGAIN while the listener's queue is full, EINPROGRESS and then EALREADY while the peer has not answered.
    fn connect(&self, task: &Task, address: &[u8]) -> Result<()>;

    /// Something of [`Socket::common`] was set.
    fn common_changed(&self) {}

    /// Its number in the list of the network's stack; none: it is of another family.
    fn stack_id(&self) -> Option<u64> {
        None
    }

    /// `getsockname(2)`
    fn local_address(&self) -> Result<Vec<u8>>;

    /// `getpeername(2)`
    fn peer_address(&self) -> Result<Vec<u8>>;

    /// `shutdown(2)`
    fn shutdown(&self, _how: Shutdown) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Sends a message or, on a stream, as much as fits.
    fn send(&self, task: &Task, message: &mut Outgoing<'_>) -> Result<usize>;

    /// Receives.
    fn receive(&self, task: &Task, sink: &mut Sink<'_>, flags: MessageFlags) -> Result<Incoming>;

    /// Takes the pending error (`SO_ERROR`).
    fn take_error(&self) -> Option<Errno> {
        None
    }

    /// Whether it listens (`SO_ACCEPTCONN`).
    fn is_listening(&self) -> bool {
        false
    }

    /// An option that is the family's own matter; ENOPROTOOPT.
    fn get_option(&self, _task: &Task, _level: i32, _name: u32) -> Result<Vec<u8>> {
        Err(Errno::ENOPROTOOPT)
    }

    /// Sets an option that is the family's own matter; ENOPROTOOPT.
    fn set_option(&self, _task: &Task, _level: i32, _name: u32, _value: &[u8]) -> Result<()> {
        Err(Errno::ENOPROTOOPT)
    }

    /// `SO_PEERPIDFD`: the process at the other end; ENODATA.
    fn peer_process(&self) -> Result<Arc<crate::kernel::thread_group::ThreadGroup>> {
        Err(Errno::ENOPROTOOPT)
    }
}

/// Tables that the sockets of one kernel share.
#[derive(Debug, Default)]
pub struct SocketTables {
    /// Abstract names of unix sockets.
    pub(crate) names: unix::AbstractNames,
    /// Files that are in messages nobody has received yet.
    pub(crate) rights: unix::rights::InFlight,
}
