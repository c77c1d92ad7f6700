//! Packets as bytes: what leaves by a link and what comes in by one, on `smoltcp::wire`.
//!
//! What comes in is hostile: every length is checked before it is used, and what is wrong is no packet.

mod emit;
mod ipv4;
mod ipv6;
mod parse;
mod quote;
mod tcp;

pub(crate) use emit::{fragments, packet, transport};
pub(crate) use parse::{Fragment, FragmentKey, Parsed, ip, transport as parse_transport};
pub(crate) use quote::quoted;

use crate::packet::Packet;
use crate::udp::Datagram;

/// Bytes of a UDP header.
const UDP_HEADER: usize = smoltcp::wire::UDP_HEADER_LEN;

impl Packet {
    /// Bytes of the packet with all headers.
    pub(crate) fn len(&self) -> usize {
        emit::header_len(self.destination) + self.transport.len()
    }
}

impl crate::packet::Transport {
    /// Bytes of the transport's header and of the data.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Tcp(segment) => tcp::header_len(segment) + segment.payload.len(),
            Self::Udp(Datagram { payload, .. }) => UDP_HEADER + payload.len(),
            Self::Other(_, payload) => payload.len(),
        }
    }
}

/// The Internet checksum (RFC 1071) of bytes that begin with a sum.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    let mut odd = None;
    for byte in pieces.iter().flat_map(|piece| piece.iter()) {
        match odd.take() {
            Some(high) => sum += u64::from(u16::from_be_bytes([high, *byte])),
            None => odd = Some(*byte),
        }
    }
    if let Some(high) = odd {
        sum += u64::from(u16::from_be_bytes([high, 0]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The sum over the addresses that transports' checksums cover, as bytes.
pub(crate) fn pseudo_header(
    source: std::net::IpAddr,
    destination: std::net::IpAddr,
    protocol: u8,
    len: usize,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for ip in [source, destination] {
        match ip {
            std::net::IpAddr::V4(v4) => bytes.extend_from_slice(&v4.octets()),
            std::net::IpAddr::V6(v6) => bytes.extend_from_slice(&v6.octets()),
        }
    }
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, protocol]);
    bytes
}
