//! From bytes to packets.

use std::net::IpAddr;

use smoltcp::wire::{IpAddress, Ipv4Packet, Ipv6Packet, UdpPacket};

use super::{checksum, ipv6, pseudo_header};
use crate::packet::{Cutting, Packet, Transport, protocol};
use crate::udp::Datagram;
use crate::{Checksums, Payload};

/// Headers between that of IPv6 and the transport's that are looked at.
const HEADERS: usize = 8;

/// What came in.
#[derive(Debug)]
pub(crate) enum Parsed {
    Whole(Packet),
    Fragment(Fragment),
}

/// A part of a packet.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub(crate) key: FragmentKey,
    /// In bytes.
    pub(crate) offset: usize,
    pub(crate) has_more: bool,
    pub(crate) data: Vec<u8>,
    /// The packet without its data.
    pub(crate) shell: Packet,
}

/// What fragments of one packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FragmentKey {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) identification: u32,
    pub(crate) protocol: u8,
}

/// Reads an IP packet.
pub(crate) fn ip(bytes: &[u8], checksums: Checksums) -> Option<Parsed> {
    match bytes.first()? >> 4 {
        4 => v4(bytes, checksums),
        6 => v6(bytes, checksums),
        _ => None,
    }
}

fn v4(bytes: &[u8], checksums: Checksums) -> Option<Parsed> {
    let header = Ipv4Packet::new_checked(bytes).ok()?;
    if header.header_len() < 20 || (checksums == Checksums::Verify && !header.verify_checksum()) {
        return None;
    }
    let mut shell = Packet {
        source: header.src_addr().into(),
        destination: header.dst_addr().into(),
        ttl: header.hop_limit(),
        tos: header.dscp() << 2 | header.ecn(),
        cutting: if header.dont_frag() {
            Cutting::Forbidden
        } else {
            Cutting::Allowed
        },
        transport: Transport::Other(header.next_header().into(), Payload::default()),
    };
    let body = header.payload();
    let offset = usize::from(header.frag_offset());
    if header.more_frags() || offset != 0 {
        let key = key_of(&shell, header.ident().into());
        return Some(Parsed::Fragment(Fragment {
            key,
            offset,
            has_more: header.more_frags(),
            data: body.to_vec(),
            shell,
        }));
    }
    shell.transport = transport(&shell, header.next_header().into(), body, checksums)?;
    Some(Parsed::Whole(shell))
}

fn v6(bytes: &[u8], checksums: Checksums) -> Option<Parsed> {
    let header = Ipv6Packet::new_checked(bytes).ok()?;
    let mut shell = Packet {
        source: header.src_addr().into(),
        destination: header.dst_addr().into(),
        ttl: header.hop_limit(),
        tos: header.traffic_class(),
        cutting: Cutting::Forbidden,
        transport: Transport::Other(0, Payload::default()),
    };
    let (mut next, mut body) = (u8::from(header.next_header()), header.payload());
    for _ in 0..HEADERS {
        match next {
            ipv6::HOP_BY_HOP | ipv6::DESTINATION | ipv6::ROUTING => {
                let [following, len, ..] = *body else {
                    return None;
                };
                if next == ipv6::ROUTING && *body.get(3)? != 0 {
                    return None;
                }
                body = body.get(8 + 8 * usize::from(len)..)?;
                next = following;
            }
            ipv6::FRAGMENT => {
                let [following, _, high, low, a, b, c, d, data @ ..] = body else {
                    return None;
                };
                let field = u16::from_be_bytes([*high, *low]);
                let (offset, has_more) = (usize::from(field & !7), field & 1 != 0);
                if offset == 0 && !has_more {
                    (next, body) = (*following, data);
                    continue;
                }
                shell.transport = Transport::Other(*following, Payload::default());
                let key = key_of(&shell, u32::from_be_bytes([*a, *b, *c, *d]));
                return Some(Parsed::Fragment(Fragment {
                    key,
                    offset,
                    has_more,
                    data: data.to_vec(),
                    shell,
                }));
            }
            ipv6::NO_NEXT => return None,
            _ => {
                shell.transport = transport(&shell, next, body, checksums)?;
                return Some(Parsed::Whole(shell));
            }
        }
    }
    None
}

fn key_of(shell: &Packet, identification: u32) -> FragmentKey {
    FragmentKey {
        source: shell.source,
        destination: shell.destination,
        identification,
        protocol: shell.transport.protocol(),
    }
}

/// Reads what an IP packet carries.
pub(crate) fn transport(
    shell: &Packet,
    number: u8,
    body: &[u8],
    checksums: Checksums,
) -> Option<Transport> {
    match number {
        protocol::TCP => super::tcp::read(shell, body, checksums).map(Transport::Tcp),
        protocol::UDP => udp(shell, body, checksums),
        protocol::ICMP if shell.source.is_ipv4() => {
            let is_right = checksums == Checksums::Trusted || checksum(&[body]) == 0;
            is_right.then(|| Transport::Other(number, body.to_vec().into()))
        }
        protocol::ICMPV6 if shell.source.is_ipv6() => {
            let pseudo = pseudo_header(shell.source, shell.destination, number, body.len());
            let is_right = checksums == Checksums::Trusted || checksum(&[&pseudo, body]) == 0;
            is_right.then(|| Transport::Other(number, body.to_vec().into()))
        }
        _ => Some(Transport::Other(number, body.to_vec().into())),
    }
}

fn udp(shell: &Packet, body: &[u8], checksums: Checksums) -> Option<Transport> {
    let udp = UdpPacket::new_checked(body).ok()?;
    let (source, destination) = (
        IpAddress::from(shell.source),
        IpAddress::from(shell.destination),
    );
    // IPv6 has no datagrams without a checksum (RFC 8200, 8.1).
    let is_missing = udp.checksum() == 0 && shell.source.is_ipv6();
    if udp.dst_port() == 0
        || (checksums == Checksums::Verify
            && (is_missing || !udp.verify_checksum(&source, &destination)))
    {
        return None;
    }
    Some(Transport::Udp(Datagram {
        source_port: udp.src_port(),
        destination_port: udp.dst_port(),
        payload: udp.payload().to_vec().into(),
    }))
}
