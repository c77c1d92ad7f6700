//! The header of IPv4 (RFC 791).

use std::net::Ipv4Addr;

use smoltcp::wire::{IpProtocol, Ipv4Packet};

use crate::packet::{Cutting, Packet};

/// Bytes of a header without options.
pub(super) const HEADER: usize = smoltcp::wire::IPV4_HEADER_LEN;

/// Which part of a packet a fragment is.
pub(super) struct Part {
    pub(super) identification: u16,
    /// In bytes, a multiple of 8.
    pub(super) offset: usize,
    pub(super) has_more: bool,
}

impl Part {
    pub(super) const WHOLE: Part = Part {
        identification: 0,
        offset: 0,
        has_more: false,
    };
}

/// Writes the header of a packet whose other bytes are there.
pub(super) fn write(
    packet: &Packet,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    part: &Part,
    bytes: &mut [u8],
) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut header = Ipv4Packet::new_unchecked(bytes);
    header.set_version(4);
    header.set_header_len(20);
    header.set_dscp(packet.tos >> 2);
    header.set_ecn(packet.tos & 3);
    header.set_total_len(len);
    header.set_ident(part.identification);
    header.clear_flags();
    header.set_more_frags(part.has_more);
    header.set_dont_frag(packet.cutting == Cutting::Forbidden);
    header.set_frag_offset(u16::try_from(part.offset).unwrap_or_default());
    header.set_hop_limit(packet.ttl);
    header.set_next_header(IpProtocol::from(packet.transport.protocol()));
    header.set_src_addr(source);
    header.set_dst_addr(destination);
    header.fill_checksum();
}
