//! From packets to bytes.

use std::net::IpAddr;

use smoltcp::wire::{IpAddress, UdpPacket};

use super::{UDP_HEADER, ipv4, ipv6, tcp};
use crate::packet::{Packet, Transport};
use crate::udp::Datagram;

/// Bytes of the IP header of packets to `destination`.
pub(crate) fn header_len(destination: IpAddr) -> usize {
    if destination.is_ipv4() {
        ipv4::HEADER
    } else {
        ipv6::HEADER
    }
}

/// The whole packet. `room` bytes are left free before it.
pub(crate) fn packet(packet: &Packet, identification: u16, room: usize) -> Vec<u8> {
    let header = header_len(packet.destination);
    let mut bytes = vec![0; room + header + packet.transport.len()];
    if let Some(body) = bytes.get_mut(room + header..) {
        write_transport(packet, body);
    }
    let whole = ipv4::Part {
        identification,
        ..ipv4::Part::WHOLE
    };
    write_header(packet, &whole, bytes.get_mut(room..).unwrap_or_default());
    bytes
}

/// The packet in pieces of at most `mtu` bytes each. `room` bytes are left free before each.
pub(crate) fn fragments(
    packet: &Packet,
    mtu: usize,
    identification: u32,
    room: usize,
) -> Vec<Vec<u8>> {
    let body = transport(packet);
    let header = header_len(packet.destination)
        + if packet.destination.is_ipv4() {
            0
        } else {
            ipv6::FRAGMENT_HEADER
        };
    let step = mtu.saturating_sub(header) & !7;
    if step == 0 {
        return Vec::new();
    }
    let mut offset = 0;
    let mut fragments = Vec::new();
    for piece in body.chunks(step) {
        let has_more = offset + piece.len() < body.len();
        let mut bytes = vec![0; room + header + piece.len()];
        if let Some(place) = bytes.get_mut(room + header..) {
            place.copy_from_slice(piece);
        }
        let whole = bytes.get_mut(room..).unwrap_or_default();
        let part = ipv4::Part {
            identification: u16::try_from(identification & 0xffff).unwrap_or_default(),
            offset,
            has_more,
        };
        if packet.destination.is_ipv4() {
            write_header(packet, &part, whole);
        } else {
            ipv6::write_fragment(packet, identification, &part, whole);
        }
        fragments.push(bytes);
        offset += piece.len();
    }
    fragments
}

fn write_header(packet: &Packet, part: &ipv4::Part, bytes: &mut [u8]) {
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ipv4::write(packet, source, destination, part, bytes);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ipv6::write(
                packet,
                source,
                destination,
                packet.transport.protocol(),
                bytes,
            );
        }
        _ => {}
    }
}

/// The transport's header and data, with their checksum.
pub(crate) fn transport(packet: &Packet) -> Vec<u8> {
    let mut bytes = vec![0; packet.transport.len()];
    write_transport(packet, &mut bytes);
    bytes
}

fn write_transport(packet: &Packet, bytes: &mut [u8]) {
    match &packet.transport {
        Transport::Tcp(segment) => tcp::write(packet, segment, bytes),
        Transport::Udp(datagram) => write_udp(packet, datagram, bytes),
        Transport::Other(_, payload) => {
            payload.copy_to(bytes);
        }
    }
}

fn write_udp(packet: &Packet, datagram: &Datagram, bytes: &mut [u8]) {
    let len = u16::try_from(bytes.len()).unwrap_or(0);
    if let Some(data) = bytes.get_mut(UDP_HEADER..) {
        datagram.payload.copy_to(data);
    }
    let mut udp = UdpPacket::new_unchecked(bytes);
    udp.set_src_port(datagram.source_port);
    udp.set_dst_port(datagram.destination_port);
    udp.set_len(len);
    udp.set_checksum(0);
    udp.fill_checksum(
        &IpAddress::from(packet.source),
        &IpAddress::from(packet.destination),
    );
}
