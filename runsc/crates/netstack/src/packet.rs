//! Packets inside the stack.

use std::net::IpAddr;

use crate::Payload;
use crate::tcp::Segment;
use crate::udp::Datagram;

/// An IP packet.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    /// The type of service, or the traffic class.
    pub(crate) tos: u8,
    pub(crate) cutting: Cutting,
    pub(crate) transport: Transport,
}

/// Whether a packet may be sent in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cutting {
    Allowed,
    Forbidden,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Tcp(Segment),
    Udp(Datagram),
    /// Any other protocol: its number, and its header with what follows.
    Other(u8, Payload),
}

/// Numbers of protocols (RFC 5237's registry).
pub(crate) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IGMP: u8 = 2;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMPV6: u8 = 58;
}

impl Transport {
    pub(crate) fn protocol(&self) -> u8 {
        match self {
            Transport::Tcp(_) => protocol::TCP,
            Transport::Udp(_) => protocol::UDP,
            Transport::Other(number, _) => *number,
        }
    }
}
