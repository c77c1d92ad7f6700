//! The headers of IPv6 (RFC 8200).

use std::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::{IpProtocol, Ipv6Packet};

use crate::packet::Packet;

/// Bytes of a header.
pub(super) const HEADER: usize = smoltcp::wire::IPV6_HEADER_LEN;
/// Bytes of a fragment header.
pub(super) const FRAGMENT_HEADER: usize = 8;

/// Numbers of the headers that can follow.
pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const NO_NEXT: u8 = 59;
pub(super) const DESTINATION: u8 = 60;

/// Writes the header of a packet whose other bytes are there.
pub(super) fn write(
    packet: &Packet,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    next: u8,
    bytes: &mut [u8],
) {
    let len = u16::try_from(bytes.len().saturating_sub(HEADER)).unwrap_or(0);
    let mut header = Ipv6Packet::new_unchecked(bytes);
    header.set_version(6);
    header.set_traffic_class(packet.tos);
    header.set_flow_label(0);
    header.set_payload_len(len);
    header.set_next_header(IpProtocol::from(next));
    header.set_hop_limit(packet.ttl);
    header.set_src_addr(source);
    header.set_dst_addr(destination);
}

/// Writes the headers of a fragment whose data are there.
pub(super) fn write_fragment(
    packet: &Packet,
    identification: u32,
    part: &super::ipv4::Part,
    bytes: &mut [u8],
) {
    if let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination) {
        write(packet, source, destination, FRAGMENT, bytes);
    }
    let field = u16::try_from(part.offset).unwrap_or_default() | u16::from(part.has_more);
    let place = bytes
        .get_mut(HEADER..HEADER + FRAGMENT_HEADER)
        .unwrap_or_default();
    if let [next, reserved, rest @ ..] = place {
        (*next, *reserved) = (packet.transport.protocol(), 0);
        let (high, low) = rest.split_at_mut(2);
        high.copy_from_slice(&field.to_be_bytes());
        low.copy_from_slice(&identification.to_be_bytes());
    }
}
