//! Ping sockets (`man 7 icmp`): programs without privilege send echo requests, and get the answers to theirs.

use std::net::{IpAddr, SocketAddr};

use abi::Errno;

use crate::Payload;
use crate::core::Core;
use crate::errors::Report;
use crate::packet::{Packet, Transport, protocol};
use crate::reach::Flow;
use crate::wire;

/// Echo requests of both versions.
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;

/// The request that a program wrote, with the socket's identifier and the checksum. `EINVAL` if it is none.
pub(super) fn request(
    payload: &Payload,
    identifier: u16,
    source: IpAddr,
    to: IpAddr,
) -> Result<Transport, Errno> {
    let (wanted, number) = if to.is_ipv4() {
        (ECHO, protocol::ICMP)
    } else {
        (ECHO_V6, protocol::ICMPV6)
    };
    let mut bytes = payload.to_vec();
    let [kind, 0, sum_high, sum_low, id_high, id_low, _, _, ..] = bytes.as_mut_slice() else {
        return Err(Errno::EINVAL);
    };
    if *kind != wanted {
        return Err(Errno::EINVAL);
    }
    (*sum_high, *sum_low) = (0, 0);
    [*id_high, *id_low] = identifier.to_be_bytes();
    let pseudo = wire::pseudo_header(source, to, number, bytes.len());
    let pseudo = if to.is_ipv4() {
        &[][..]
    } else {
        pseudo.as_slice()
    };
    let sum = wire::checksum(&[pseudo, &bytes]);
    if let Some(place) = bytes.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    Ok(Transport::Other(number, bytes.into()))
}

impl Core {
    /// Gives an echo reply to the socket that asked.
    pub(crate) fn input_pong(
        &self,
        interface: u32,
        packet: &Packet,
        identifier: u16,
        message: &Payload,
    ) {
        let flow = flow(packet.destination, identifier, packet.source, interface);
        if let Some(socket) = self.ping.find(&flow) {
            socket.take(packet, message, (0, 0), interface);
        }
    }

    /// Tells a socket what became of its request.
    pub(crate) fn report_ping(
        &self,
        local: IpAddr,
        identifier: u16,
        peer: IpAddr,
        interface: u32,
        payload: &Payload,
        report: &Report,
    ) {
        if let Some(socket) = self.ping.find(&flow(local, identifier, peer, interface)) {
            socket.hear(SocketAddr::new(peer, 0), payload, report);
        }
    }
}

fn flow(local: IpAddr, identifier: u16, peer: IpAddr, interface: u32) -> Flow {
    Flow {
        local: SocketAddr::new(local, identifier),
        peer: SocketAddr::new(peer, 0),
        interface,
    }
}
