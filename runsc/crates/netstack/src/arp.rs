//! ARP (RFC 826): the neighbors of IPv4.

use std::net::{IpAddr, Ipv4Addr};

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol};

use crate::core::Core;
use crate::neighbor::Learnt;

impl Core {
    /// Takes an ARP packet: answers who asks for us, and notes who answers.
    pub(crate) fn receive_arp(&self, interface: u32, own: [u8; 6], bytes: &[u8]) -> Option<()> {
        let packet = ArpPacket::new_checked(bytes).ok()?;
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = ArpRepr::parse(&packet).ok()?
        else {
            return None;
        };
        let asked = IpAddr::V4(target_protocol_addr);
        let is_for_us = operation == ArpOperation::Request
            && !target_protocol_addr.is_loopback()
            && self.network.read().is_local(asked);
        let kind = if is_for_us {
            Learnt::Asks
        } else {
            Learnt::Answers
        };
        self.learn(
            interface,
            source_protocol_addr.into(),
            source_hardware_addr.0,
            kind,
        );
        if is_for_us {
            let answer = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: EthernetAddress(own),
                source_protocol_addr: target_protocol_addr,
                target_hardware_addr: source_hardware_addr,
                target_protocol_addr: source_protocol_addr,
            };
            self.send_arp(interface, source_hardware_addr, &answer);
        }
        Some(())
    }

    fn send_arp(&self, interface: u32, to: EthernetAddress, repr: &ArpRepr) {
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut ArpPacket::new_unchecked(&mut bytes));
        self.send_ethernet(interface, to, EthernetProtocol::Arp, &bytes);
    }

    /// Asks who has `ip`: everybody, or the one who had it.
    pub(crate) fn ask_arp(&self, interface: u32, ip: Ipv4Addr, to: Option<[u8; 6]>) {
        let found = {
            let network = self.network.read();
            let device = network.device(interface);
            let source = device.and_then(|device| device.source_for(ip.into(), ip.into()));
            device
                .and_then(|device| device.link.as_ref()?.hardware())
                .zip(source)
        };
        let Some((own, IpAddr::V4(source))) = found else {
            return;
        };
        let question = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: EthernetAddress(own),
            source_protocol_addr: source,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: ip,
        };
        let to = to.map_or(EthernetAddress::BROADCAST, EthernetAddress);
        self.send_arp(interface, to, &question);
    }
}
