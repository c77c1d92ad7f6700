//! Packets that came in, from a link or from a socket of this host: who are they for?

use crate::core::Core;
use crate::packet::{Packet, Transport, protocol};

impl Core {
    /// Gives a packet that is for this host to its sockets. No lock is held.
    pub(crate) fn input(&self, interface: u32, packet: Packet) {
        self.counts.ip_received.one();
        self.counts.ip_delivered.one();
        let is_raw = self.input_raw(interface, &packet);
        match packet.transport {
            Transport::Tcp(_) => self.input_tcp(interface, packet),
            Transport::Udp(_) => self.input_udp(interface, packet),
            Transport::Other(protocol::ICMP | protocol::ICMPV6, _) => {
                self.input_icmp(interface, &packet);
            }
            Transport::Other(..) if is_raw => {}
            Transport::Other(..) => self.refuse(&packet, Refusal::Protocol),
        }
    }
}

/// Why nobody here wants a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Protocol,
    Port,
}
