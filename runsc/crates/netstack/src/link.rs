//! Between packets and the frames of a link.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use abi::Errno;
use smoltcp::wire::{ETHERNET_HEADER_LEN, EthernetAddress, EthernetFrame, EthernetProtocol};

use crate::core::Core;
use crate::errors::{Origin, Report};
use crate::hash::Purpose;
use crate::interface::Counts;
use crate::packet::{Cutting, Packet, Transport};
use crate::route::{Path, Way};
use crate::wire::{self, Parsed};
use crate::{Checksums, Frame, Gso, Link};

/// A link to send by.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    link: Arc<dyn Link>,
    counts: Arc<Counts>,
    mtu: usize,
}

impl Core {
    /// The link of an interface that is up.
    fn port(&self, interface: u32) -> Option<Port> {
        let network = self.network.read();
        let device = network.device(interface).filter(|device| device.is_up)?;
        let link = device.link.clone()?;
        let mtu = usize::try_from(device.mtu).unwrap_or(usize::MAX);
        Some(Port {
            link,
            counts: Arc::clone(&device.counts),
            mtu,
        })
    }

    /// Takes a frame of an interface.
    pub(crate) fn receive(&self, interface: u32, frame: &[u8], checksums: Checksums) {
        let Some(port) = self.port(interface) else {
            return;
        };
        port.counts.receive(frame.len());
        let taken = match port.link.hardware() {
            None => self.receive_ip(interface, frame, checksums),
            Some(own) => self.receive_ethernet(interface, own, frame, checksums),
        };
        if taken.is_none() {
            port.counts.drop_received();
        }
    }

    fn receive_ethernet(
        &self,
        interface: u32,
        own: [u8; 6],
        frame: &[u8],
        checksums: Checksums,
    ) -> Option<()> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        let to = frame.dst_addr();
        if to.0 != own && !to.is_broadcast() && !to.is_multicast() {
            return None;
        }
        match frame.ethertype() {
            EthernetProtocol::Arp => self.receive_arp(interface, own, frame.payload()),
            EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6 => {
                self.receive_ip(interface, frame.payload(), checksums)
            }
            EthernetProtocol::Unknown(_) => None,
        }
    }

    fn receive_ip(&self, interface: u32, bytes: &[u8], checksums: Checksums) -> Option<()> {
        let Some(parsed) = wire::ip(bytes, checksums) else {
            self.counts.ip_header_errors.one();
            return None;
        };
        let packet = match parsed {
            Parsed::Whole(packet) => packet,
            Parsed::Fragment(fragment) => {
                if !self.accepts(interface, &fragment.shell) {
                    return None;
                }
                self.counts.ip_fragments.one();
                match self.reassemble(fragment, checksums) {
                    Some(packet) => {
                        self.counts.ip_reassembled.one();
                        packet
                    }
                    None => return Some(()),
                }
            }
        };
        if !self.accepts(interface, &packet) {
            self.counts.ip_address_errors.one();
            return None;
        }
        self.input(interface, packet);
        Some(())
    }

    /// Whether a packet from a link is for this host and from another one.
    fn accepts(&self, interface: u32, packet: &Packet) -> bool {
        let network = self.network.read();
        let is_ours = network.is_local(packet.destination)
            || network.is_broadcast(interface, packet.destination)
            || packet.destination.is_multicast();
        let is_inside = match packet.destination {
            IpAddr::V4(v4) => v4.is_loopback(),
            IpAddr::V6(v6) => v6.is_loopback(),
        };
        is_ours && !is_inside && !network.is_martian(packet.source)
    }

    /// Sends a packet by a link. No lock is held.
    pub(crate) fn transmit(&self, packet: Packet, path: &Path) {
        let Some(port) = self.port(path.interface) else {
            return;
        };
        let Some(own) = port.link.hardware() else {
            self.send_frames(&port, &packet, path, None);
            return;
        };
        let to = match path.way {
            Way::Broadcast => Some(EthernetAddress::BROADCAST),
            Way::Multicast => Some(group_address(packet.destination)),
            Way::Local | Way::Unicast => self.resolve(path, &packet).map(EthernetAddress),
        };
        if let Some(to) = to {
            self.send_frames(&port, &packet, path, Some((to, EthernetAddress(own))));
        }
    }

    fn send_frames(
        &self,
        port: &Port,
        packet: &Packet,
        path: &Path,
        ethernet: Option<(EthernetAddress, EthernetAddress)>,
    ) {
        let mtu = port
            .mtu
            .min(usize::try_from(path.mtu).unwrap_or(usize::MAX));
        let room = if ethernet.is_some() {
            ETHERNET_HEADER_LEN
        } else {
            0
        };
        let identification = self.secret.hash(
            Purpose::Identification,
            (packet.source, packet.destination, self.new_id()),
        );
        let short = u16::try_from(identification & 0xffff).unwrap_or_default();
        let long = u32::try_from(identification >> 32).unwrap_or_default();
        let gso = gso_of(packet, mtu, port.link.gso_max(), room);
        let packets = if packet.len() <= mtu || gso.is_some() {
            vec![wire::packet(packet, short, room)]
        } else if packet.cutting == Cutting::Allowed {
            let fragments = wire::fragments(packet, mtu, long, room);
            let count = u64::try_from(fragments.len()).unwrap_or_default();
            self.counts.ip_fragments_made.add(count);
            fragments
        } else {
            self.tell_too_long(packet, path.interface, mtu);
            return;
        };
        let frames = packets.into_iter().map(|mut bytes| {
            if let Some((to, from)) = ethernet {
                write_header(&mut bytes, to, from, protocol_of(packet));
            }
            port.counts.send(bytes.len());
            Frame { bytes, gso }
        });
        port.link.transmit(frames.collect());
    }

    /// Sends a frame that is no IP packet.
    pub(crate) fn send_ethernet(
        &self,
        interface: u32,
        to: EthernetAddress,
        protocol: EthernetProtocol,
        body: &[u8],
    ) {
        let Some((port, own)) = self
            .port(interface)
            .and_then(|port| port.link.hardware().map(|own| (port, own)))
        else {
            return;
        };
        let mut bytes = vec![0; ETHERNET_HEADER_LEN];
        bytes.extend_from_slice(body);
        write_header(&mut bytes, to, EthernetAddress(own), protocol);
        port.counts.send(bytes.len());
        port.link.transmit(vec![Frame { bytes, gso: None }]);
    }

    /// A packet of ours does not fit into its link.
    fn tell_too_long(&self, packet: &Packet, interface: u32, mtu: usize) {
        self.tell(
            packet,
            interface,
            Errno::EMSGSIZE,
            u32::try_from(mtu).unwrap_or(u32::MAX),
        );
    }

    /// Tells the socket that sent a packet that it did not leave.
    pub(crate) fn tell(&self, packet: &Packet, interface: u32, errno: Errno, info: u32) {
        let report = Report {
            errno,
            is_fatal: errno != Errno::EMSGSIZE,
            origin: Origin::Local,
            kind: 0,
            code: 0,
            info,
            offender: packet.source,
        };
        let place = |ip, port| SocketAddr::new(ip, port);
        match &packet.transport {
            Transport::Tcp(segment) => self.report_tcp(
                place(packet.source, segment.source_port),
                place(packet.destination, segment.destination_port),
                segment.seq.0,
                &report,
            ),
            Transport::Udp(datagram) => self.report_udp(
                place(packet.source, datagram.source_port),
                place(packet.destination, datagram.destination_port),
                interface,
                &datagram.payload,
                &report,
            ),
            Transport::Other(..) => {}
        }
    }
}

/// How the link cuts up a segment that is longer than its MTU.
fn gso_of(packet: &Packet, mtu: usize, most: u32, room: usize) -> Option<Gso> {
    let Transport::Tcp(segment) = &packet.transport else {
        return None;
    };
    let len = packet.len();
    let is_long = len > mtu && len <= usize::try_from(most).unwrap_or(usize::MAX);
    let headers = room + len - segment.payload.len();
    is_long.then(|| Gso {
        segment: u16::try_from(segment.segment_size).unwrap_or(u16::MAX),
        headers: u16::try_from(headers).unwrap_or(u16::MAX),
    })
}

fn protocol_of(packet: &Packet) -> EthernetProtocol {
    if packet.source.is_ipv4() {
        EthernetProtocol::Ipv4
    } else {
        EthernetProtocol::Ipv6
    }
}

fn write_header(
    bytes: &mut [u8],
    to: EthernetAddress,
    from: EthernetAddress,
    protocol: EthernetProtocol,
) {
    let mut header = EthernetFrame::new_unchecked(bytes);
    header.set_dst_addr(to);
    header.set_src_addr(from);
    header.set_ethertype(protocol);
}

/// The address of a group on an Ethernet (RFC 1112, 6.4; RFC 2464, 7).
pub(crate) fn group_address(group: IpAddr) -> EthernetAddress {
    EthernetAddress(match group {
        IpAddr::V4(v4) => {
            let [_, b, c, d] = v4.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [0x33, 0x33, a, b, c, d]
        }
    })
}
