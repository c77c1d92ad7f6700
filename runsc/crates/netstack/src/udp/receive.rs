//! Receiving datagrams, and hearing that one did not arrive.

use std::net::{IpAddr, SocketAddr};

use abi::Errno;

use super::{Received, Socket};
use crate::core::{Core, Wakeups};
use crate::errors::{Origin, Report};
use crate::input::Refusal;
use crate::packet::{Packet, Transport};
use crate::reach::Flow;
use crate::{Payload, Readiness, Take, address};

impl Core {
    /// Gives a datagram to its socket, or to all of them if it is to many.
    pub(crate) fn input_udp(&self, interface: u32, packet: Packet) {
        let Transport::Udp(datagram) = &packet.transport else {
            return;
        };
        let flow = Flow {
            local: SocketAddr::new(packet.destination, datagram.destination_port),
            peer: SocketAddr::new(packet.source, datagram.source_port),
            interface,
        };
        let ports = (datagram.source_port, datagram.destination_port);
        let is_multicast = packet.destination.is_multicast();
        if is_multicast
            || self
                .network
                .read()
                .is_broadcast(interface, packet.destination)
        {
            for socket in self.udp.find_all(&flow) {
                socket.take(&packet, &datagram.payload, ports, interface);
            }
            return;
        }
        match self.udp.find(&flow) {
            Some(socket) => socket.take(&packet, &datagram.payload, ports, interface),
            None => {
                self.counts.udp_no_ports.one();
                self.refuse(interface, &packet, Refusal::Port);
            }
        }
    }

    /// Tells the socket that sent a datagram what became of it.
    pub(crate) fn report_udp(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        interface: u32,
        payload: &Payload,
        report: &Report,
    ) {
        if let Some(socket) = self.udp.find(&Flow {
            local,
            peer,
            interface,
        }) {
            if report.errno == Errno::EMSGSIZE && report.origin != Origin::Local {
                self.learn_mtu(peer.ip(), report.info);
            }
            socket.hear(peer, payload, report);
        }
    }
}

impl Socket {
    /// The next message. `EAGAIN` if there is none, or an error that the network reported. After `shutdown`, an empty one comes
    /// from nowhere: the caller sees [`Errno::ESHUTDOWN`] and reports the end of the file.
    pub fn receive(&self, take: Take) -> Result<Received, Errno> {
        let mut inner = self.inner.lock();
        inner.errors.check()?;
        if take == Take::Peek {
            if let Some(message) = inner.queue.front() {
                return Ok(message.clone());
            }
        } else if let Some(message) = inner.queue.pop_front() {
            inner.account.give(message.payload.weight());
            return Ok(message);
        }
        Err(if inner.is_read_shut {
            Errno::ESHUTDOWN
        } else {
            Errno::EAGAIN
        })
    }

    /// Queues a message, if there is room. `ports` are its source and destination.
    pub(super) fn take(
        &self,
        packet: &Packet,
        payload: &Payload,
        ports: (u16, u16),
        interface: u32,
    ) {
        let mut wakeups = Wakeups::default();
        {
            let mut inner = self.inner.lock();
            if inner.is_closed || inner.is_read_shut || !self.wants(&inner, packet, interface) {
                return;
            }
            let weight = payload.weight();
            let is_full = inner.account.used() + weight > inner.options.receive_buffer.max(weight);
            if is_full || !inner.account.take(weight) {
                self.core.counts.udp_receive_buffer_errors.one();
                return;
            }
            self.core.counts.udp_received.one();
            inner.queue.push_back(Received {
                payload: payload.clone(),
                from: address::outward(packet.source, ports.0, self.family, interface),
                to: packet.destination,
                port: ports.1,
                interface,
                ttl: packet.ttl,
                tos: packet.tos,
                timestamp: self.core.embedder.wall(),
            });
            wakeups.add(&inner.observer, Readiness::IN);
        }
        wakeups.run();
    }

    /// Whether it is in the group that a packet is to.
    fn wants(&self, inner: &super::socket::Inner, packet: &Packet, interface: u32) -> bool {
        let to = packet.destination;
        if !to.is_multicast() {
            return true;
        }
        let mut groups = inner
            .groups
            .iter()
            .filter(|one| one.group == to && one.interface == Some(interface))
            .peekable();
        if groups.peek().is_none() {
            return inner.options.multicast_for(to).gets_all;
        }
        groups.any(|one| {
            one.source
                .is_none_or(|source: IpAddr| source == packet.source)
        })
    }

    /// Hears that a datagram to `peer` came to nothing.
    pub(super) fn hear(&self, peer: SocketAddr, payload: &Payload, report: &Report) {
        let mut wakeups = Wakeups::default();
        {
            let mut inner = self.inner.lock();
            let has_queue = if peer.is_ipv4() {
                inner.options.receive_errors
            } else {
                inner.options.receive_errors_v6
            };
            if has_queue {
                let shown = address::outward(peer.ip(), peer.port(), self.family, 0);
                inner.errors.push(report.queued(shown, payload.clone()));
            } else if !report.is_fatal || inner.peer.is_none() {
                return;
            }
            inner.errors.set(report.errno);
            wakeups.add(&inner.observer, Readiness::ERROR);
        }
        wakeups.run();
    }
}
