//! Neighbor discovery (RFC 4861): the neighbors of IPv6.

use std::net::{IpAddr, Ipv6Addr};

use crate::core::Core;
use crate::neighbor::Learnt;
use crate::packet::{Cutting, Packet, Transport, protocol};
use crate::route::{Path, Way};
use crate::wire;

/// Messages.
pub(crate) const SOLICITATION: u8 = 135;
pub(crate) const ADVERTISEMENT: u8 = 136;
/// Options.
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;
/// Flags of an advertisement: it answers, and it overrides what is known.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
/// Messages come with this hop limit, which no router leaves.
const HOPS: u8 = 255;
/// The least MTU of a link.
const MTU: u32 = 1280;

/// The group in which everybody with such an address is (RFC 4291, 2.7.1).
fn solicited_group(ip: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = ip.octets();
    Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    )
}

/// The hardware address in an option of a message.
fn hardware_of(mut options: &[u8], wanted: u8) -> Option<[u8; 6]> {
    while let [kind, len, rest @ ..] = options {
        let len = usize::from(*len) * 8;
        if len == 0 {
            return None;
        }
        if *kind == wanted {
            return rest.get(..6)?.try_into().ok();
        }
        options = options.get(len..)?;
    }
    None
}

impl Core {
    /// Takes a message: `message` is the ICMP message from its type on.
    pub(crate) fn input_ndp(&self, interface: u32, packet: &Packet, message: &[u8]) {
        let (Some(kind), Some(flags)) = (message.first(), message.get(4)) else {
            return;
        };
        let target = message
            .get(8..24)
            .and_then(|target| <[u8; 16]>::try_from(target).ok());
        let (Some(target), Some(options)) = (target.map(Ipv6Addr::from), message.get(24..)) else {
            return;
        };
        if packet.ttl != HOPS || target.is_multicast() {
            return;
        }
        if *kind == SOLICITATION {
            self.answer_solicitation(
                interface,
                packet,
                target,
                hardware_of(options, SOURCE_ADDRESS),
            );
        } else if let Some(hardware) = hardware_of(options, TARGET_ADDRESS)
            && (flags & OVERRIDE != 0 || !self.knows(interface, target.into()))
        {
            self.learn(interface, target.into(), hardware, Learnt::Answers);
        }
    }

    fn answer_solicitation(
        &self,
        interface: u32,
        packet: &Packet,
        target: Ipv6Addr,
        hardware: Option<[u8; 6]>,
    ) {
        if target.is_loopback() || !self.network.read().is_local(target.into()) {
            return;
        }
        let is_asking = !packet.source.is_unspecified();
        if let Some(hardware) = hardware.filter(|_| is_asking) {
            self.learn(interface, packet.source, hardware, Learnt::Asks);
        }
        // Somebody without an address looks whether this one is free: everybody hears that it is not.
        let everybody = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let (to, flags) = match packet.source {
            IpAddr::V6(source) if is_asking => (source, SOLICITED | OVERRIDE),
            _ => (everybody, OVERRIDE),
        };
        self.send_ndp(
            interface,
            target,
            to,
            (ADVERTISEMENT, flags),
            target,
            TARGET_ADDRESS,
        );
    }

    /// Asks who has `ip`: its group, or the one who had it.
    pub(crate) fn ask_ndp(&self, interface: u32, ip: Ipv6Addr, to: Option<[u8; 6]>) {
        let source = self
            .network
            .read()
            .device(interface)
            .and_then(|device| device.source_for(ip.into(), ip.into()));
        let Some(IpAddr::V6(source)) = source else {
            return;
        };
        let to = if to.is_some() {
            ip
        } else {
            solicited_group(ip)
        };
        self.send_ndp(interface, source, to, (SOLICITATION, 0), ip, SOURCE_ADDRESS);
    }

    fn send_ndp(
        &self,
        interface: u32,
        source: Ipv6Addr,
        to: Ipv6Addr,
        (kind, flags): (u8, u8),
        target: Ipv6Addr,
        option: u8,
    ) {
        let own = self
            .network
            .read()
            .device(interface)
            .and_then(|device| device.link.as_ref()?.hardware());
        let Some(own) = own else {
            return;
        };
        let mut body = vec![flags, 0, 0, 0];
        body.extend_from_slice(&target.octets());
        body.extend_from_slice(&[option, 1]);
        body.extend_from_slice(&own);
        let pseudo =
            wire::pseudo_header(source.into(), to.into(), protocol::ICMPV6, body.len() + 4);
        let sum = wire::checksum(&[&pseudo, &[kind, 0], &body]);
        let mut message = vec![kind, 0];
        message.extend_from_slice(&sum.to_be_bytes());
        message.append(&mut body);
        let packet = Packet {
            source: source.into(),
            destination: to.into(),
            ttl: HOPS,
            tos: 0,
            cutting: Cutting::Forbidden,
            transport: Transport::Other(protocol::ICMPV6, message.into()),
        };
        let way = if to.is_multicast() {
            Way::Multicast
        } else {
            Way::Unicast
        };
        let path = Path {
            interface,
            source: source.into(),
            next_hop: to.into(),
            mtu: MTU,
            way,
        };
        self.output.push(packet, path);
    }
}
