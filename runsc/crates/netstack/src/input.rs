//! Packets that came in, from a link or from a socket of this host: who are they for?

use std::time::Duration;

use crate::core::Core;
use crate::groups;
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
            Transport::Other(protocol::IGMP, _) => self.input_igmp(interface, &packet),
            Transport::Other(..) if is_raw => {}
            Transport::Other(..) => self.refuse(interface, &packet, Refusal::Protocol),
        }
    }
}

impl Core {
    /// A question for groups; other messages are those of other hosts.
    fn input_igmp(&self, interface: u32, packet: &Packet) {
        let Transport::Other(_, payload) = &packet.transport else {
            return;
        };
        let message = payload.slice(0, 8).to_vec();
        if let [groups::QUERY, within, ..] = *message.as_slice()
            && message.len() == 8
        {
            self.input_query(interface, Duration::from_millis(u64::from(within) * 100));
        }
    }
}

/// Why nobody here wants a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Protocol,
    Port,
}
