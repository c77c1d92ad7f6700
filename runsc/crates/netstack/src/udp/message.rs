//! What is sent and what is received.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::Payload;

/// What a socket's messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UDP.
    Udp,
    /// `SOCK_DGRAM` of `IPPROTO_ICMP` or `IPPROTO_ICMPV6`: echo requests and what answers them.
    Ping,
    /// `SOCK_RAW` of a protocol.
    Raw(u8),
}

/// A UDP header and its data.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) payload: Payload,
}

/// Bytes of a UDP header.
pub(crate) const HEADER: usize = 8;

/// Where a message goes to, and what its ancillary data say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendTo {
    /// The destination; without one, the peer.
    pub address: Option<SocketAddr>,
    /// `IP_PKTINFO`, `IPV6_PKTINFO`: the source address.
    pub source: Option<IpAddr>,
    /// `IP_PKTINFO`, `IPV6_PKTINFO`: the interface.
    pub interface: Option<u32>,
    /// `IP_TTL`, `IPV6_HOPLIMIT`
    pub ttl: Option<u8>,
    /// `IP_TOS`, `IPV6_TCLASS`
    pub tos: Option<u8>,
    /// `UDP_SEGMENT`: the message is a number of datagrams of so many bytes, and a last one.
    pub segment: Option<u16>,
}

/// A message that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its data.
    pub payload: Payload,
    /// Who sent it, as the socket's family writes it.
    pub from: SocketAddr,
    /// The address that it was sent to.
    pub to: IpAddr,
    /// The port that it was sent to; 0 if it is not UDP.
    pub port: u16,
    /// The interface that it came in by.
    pub interface: u32,
    /// The hops that it had left.
    pub ttl: u8,
    /// Its type of service or traffic class.
    pub tos: u8,
    /// When it came, since 1970.
    pub timestamp: Duration,
}
