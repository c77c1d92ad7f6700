//! Errors that the network reports to a socket, and the queue in which they wait (`IP_RECVERR`, `man 7 ip`).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use abi::Errno;

use crate::Payload;

/// Messages that an error queue keeps.
const MOST: usize = 64;

/// One message of an error queue (`struct sock_extended_err`).
#[derive(Clone, Debug)]
pub struct QueuedError {
    /// The error.
    pub errno: Errno,
    /// Who reported it.
    pub origin: Origin,
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The MTU of the path, with `EMSGSIZE`.
    pub info: u32,
    /// The host that reported it.
    pub offender: IpAddr,
    /// Where the message that caused it was sent to.
    pub destination: SocketAddr,
    /// What is known of that message.
    pub payload: Payload,
}

/// Where an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `SO_EE_ORIGIN_LOCAL`
    Local,
    /// `SO_EE_ORIGIN_ICMP`
    Icmp,
    /// `SO_EE_ORIGIN_ICMP6`
    Icmp6,
}

/// What an ICMP error says about a message that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) errno: Errno,
    /// A socket without a queue hears of it too, if it is connected.
    pub(crate) is_fatal: bool,
    pub(crate) origin: Origin,
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) info: u32,
    pub(crate) offender: IpAddr,
}

impl Report {
    pub(crate) fn queued(&self, destination: SocketAddr, payload: Payload) -> QueuedError {
        QueuedError {
            errno: self.errno,
            origin: self.origin,
            kind: self.kind,
            code: self.code,
            info: self.info,
            offender: self.offender,
            destination,
            payload,
        }
    }
}

/// The error of a socket that the next call reports, and its queue.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    pending: Option<Errno>,
    queue: VecDeque<QueuedError>,
}

impl Errors {
    pub(crate) fn set(&mut self, errno: Errno) {
        self.pending = Some(errno);
    }

    pub(crate) fn take(&mut self) -> Option<Errno> {
        self.pending.take()
    }

    pub(crate) fn check(&mut self) -> Result<(), Errno> {
        self.take().map_or(Ok(()), Err)
    }

    pub(crate) fn push(&mut self, error: QueuedError) {
        if self.queue.len() < MOST {
            self.queue.push_back(error);
        }
    }

    pub(crate) fn pop(&mut self) -> Result<QueuedError, Errno> {
        self.queue.pop_front().ok_or(Errno::EAGAIN)
    }

    /// Whether poll(2) shows an error.
    pub(crate) fn any(&self) -> bool {
        self.pending.is_some() || !self.queue.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Errors::default();
    }
}
