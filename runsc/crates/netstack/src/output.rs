//! The queue of packets that sockets send.
//!
//! A packet is queued below the lock of its socket, and delivered later by whoever calls [`Core::flush`] with no lock held: one
//! thread at a time, which also takes what others queue meanwhile. So a packet that a socket of this host answers does not
//! recurse, and packets of one socket keep their order.

use std::collections::VecDeque;

use locks::Mutex;

use crate::core::Core;
use crate::packet::{Packet, Transport, protocol};
use crate::route::{Path, Way};
use crate::tcp::Flags;

/// Datagrams are dropped when so many packets wait (`net.core.netdev_max_backlog`).
const MOST: usize = 4096;

/// A packet with its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) packet: Packet,
    pub(crate) path: Path,
    /// It waited for its neighbor, and was counted before.
    waited: bool,
}

/// Packets that wait.
#[derive(Debug, Default)]
pub(crate) struct Output {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    is_draining: bool,
}

impl Output {
    /// Queues a packet that its sender would repeat.
    pub(crate) fn push(&self, packet: Packet, path: Path) {
        let waited = false;
        let outgoing = Outgoing {
            packet,
            path,
            waited,
        };
        self.state.lock().queue.push_back(outgoing);
    }

    /// Queues a packet again whose neighbor was found.
    pub(crate) fn resume(&self, packet: Packet, path: Path) {
        let waited = true;
        let outgoing = Outgoing {
            packet,
            path,
            waited,
        };
        self.state.lock().queue.push_back(outgoing);
    }

    /// Queues a packet if there is room.
    pub(crate) fn offer(&self, packet: Packet, path: Path) {
        let mut state = self.state.lock();
        if state.queue.len() < MOST {
            state.queue.push_back(Outgoing {
                packet,
                path,
                waited: false,
            });
        }
    }

    /// Takes all that waits, or says that another thread does that or that there is nothing.
    fn begin(&self) -> Option<VecDeque<Outgoing>> {
        let mut state = self.state.lock();
        if state.is_draining || state.queue.is_empty() {
            return None;
        }
        state.is_draining = true;
        Some(std::mem::take(&mut state.queue))
    }

    /// Takes all that came meanwhile, in exchange for an empty queue.
    fn go_on(&self, empty: VecDeque<Outgoing>) -> Option<VecDeque<Outgoing>> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            state.queue = empty;
            state.is_draining = false;
            return None;
        }
        Some(std::mem::replace(&mut state.queue, empty))
    }
}

impl Core {
    /// Delivers what waits. No lock of the stack is held.
    pub(crate) fn flush(&self) {
        let mut next = self.output.begin();
        while let Some(mut queue) = next {
            for outgoing in queue.drain(..) {
                self.deliver(outgoing);
            }
            next = self.output.go_on(queue);
        }
    }

    fn deliver(&self, outgoing: Outgoing) {
        let Outgoing {
            packet,
            path,
            waited,
        } = outgoing;
        if !waited {
            self.count_sent(&packet);
        }
        if path.way == Way::Local {
            let counts = self
                .network
                .read()
                .device(path.interface)
                .map(|device| device.counts.clone());
            if let Some(counts) = counts {
                let len = packet.len();
                counts.send(len);
                counts.receive(len);
            }
            self.input(path.interface, packet);
        } else {
            self.transmit(packet, &path);
        }
    }

    fn count_sent(&self, packet: &Packet) {
        let counts = &self.counts;
        counts.ip_sent.one();
        match &packet.transport {
            Transport::Tcp(segment) => {
                counts.tcp_sent.one();
                if segment.has(Flags::RST) {
                    counts.tcp_resets_sent.one();
                }
            }
            Transport::Udp(_) => counts.udp_sent.one(),
            Transport::Other(protocol::ICMP | protocol::ICMPV6, _) => counts.icmp_sent.one(),
            Transport::Other(..) => {}
        }
    }
}
