//! What the stack asks of the program that it lives in, and what it tells its sockets' owners.

use std::fmt::Debug;
use std::time::Duration;

use bitflags::bitflags;

/// The program around a stack: clocks, chance, one timer, and a count of memory.
pub trait Embedder: Send + Sync + Debug {
    /// The monotonic clock.
    fn now(&self) -> Duration;

    /// The time since 1970, with which received datagrams are stamped.
    fn wall(&self) -> Duration;

    /// A number that nobody can foretell.
    fn random_u64(&self) -> u64;

    /// Says when [`Stack::advance`](crate::Stack::advance) has to be called next; `None`: not at all. A lock of the stack may
    /// be held, so that it must not call the stack.
    fn deadline(&self, earliest: Option<Duration>);

    /// Counts memory; false refuses it. A lock of the stack may be held.
    fn charge(&self, bytes: usize) -> bool;

    /// Gives back what [`Embedder::charge`] counted.
    fn release(&self, bytes: usize);
}

/// Who waits for a socket.
pub trait Observer: Send + Sync + Debug {
    /// Something happened for which Linux would wake those who wait. No lock of the stack is held.
    fn changed(&self, readiness: Readiness);
}

bitflags! {
    /// What a socket is ready for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Readiness: u16 {
        /// Something can be received, or accepted, or the end of the stream was.
        const IN = 1;
        /// There is room for sending, or a connection attempt ended.
        const OUT = 1 << 1;
        /// An error is pending, or a message is in the error queue.
        const ERROR = 1 << 2;
        /// Both directions are shut.
        const HANGUP = 1 << 3;
        /// The peer sends no more.
        const READ_HANGUP = 1 << 4;
        /// Urgent data.
        const PRIORITY = 1 << 5;
    }
}

/// The family that a socket was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `AF_INET`
    Ipv4,
    /// `AF_INET6`, which carries IPv4 as mapped addresses.
    Ipv6,
}

/// Whether a message stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is gone afterwards.
    Remove,
    /// `MSG_PEEK`
    Peek,
}

/// Which directions are shut (`man 2 shutdown`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// `SHUT_RD`
    Read,
    /// `SHUT_WR`
    Write,
    /// `SHUT_RDWR`
    Both,
}

impl Shutdown {
    pub(crate) fn reads(self) -> bool {
        self != Shutdown::Write
    }

    pub(crate) fn writes(self) -> bool {
        self != Shutdown::Read
    }
}

/// What lies in a socket's queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Bytes that can be received; of a datagram socket, those of the next one (`FIONREAD`).
    pub receive: usize,
    /// Bytes that were not acknowledged yet (`SIOCOUTQ`).
    pub send: usize,
    /// Of these, bytes that were not sent yet (`SIOCOUTQNSD`).
    pub unsent: usize,
}
