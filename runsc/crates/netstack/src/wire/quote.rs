//! The beginning of a packet of ours that an ICMP error carries.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

/// What is known of the packet that an error is about.
#[derive(Clone, Debug)]
pub(crate) struct Quoted {
    pub(crate) protocol: u8,
    /// We, with the port if the protocol has any.
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// Bytes 4 to 7 of the transport's header: of TCP, the sequence number.
    pub(crate) word: u32,
    /// What followed eight bytes of the transport's header.
    pub(crate) data: Vec<u8>,
}

/// Reads a packet of which only the beginning is there.
pub(crate) fn quoted(bytes: &[u8]) -> Option<Quoted> {
    let (source, destination, protocol, body): (IpAddr, IpAddr, u8, &[u8]) =
        match bytes.first()? >> 4 {
            4 => {
                bytes.get(..20)?;
                let header = Ipv4Packet::new_unchecked(bytes);
                let len = usize::from(header.header_len());
                let body = bytes.get(len.max(20)..)?;
                (
                    header.src_addr().into(),
                    header.dst_addr().into(),
                    header.next_header().into(),
                    body,
                )
            }
            6 => {
                let body = bytes.get(40..)?;
                let header = Ipv6Packet::new_unchecked(bytes);
                (
                    header.src_addr().into(),
                    header.dst_addr().into(),
                    header.next_header().into(),
                    body,
                )
            }
            _ => return None,
        };
    let [a, b, c, d, e, f, g, h, data @ ..] = body else {
        return None;
    };
    Some(Quoted {
        protocol,
        local: SocketAddr::new(source, u16::from_be_bytes([*a, *b])),
        peer: SocketAddr::new(destination, u16::from_be_bytes([*c, *d])),
        word: u32::from_be_bytes([*e, *f, *g, *h]),
        data: data.to_vec(),
    })
}
