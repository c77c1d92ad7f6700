//! Raw sockets (`man 7 raw`): packets of one protocol, as they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use locks::RwLock;

use super::Socket;
use super::socket::Inner;
use crate::core::Core;
use crate::packet::{Packet, Transport, protocol};
use crate::wire::{self, Parsed};
use crate::{Checksums, Family, Payload};

/// `IPPROTO_RAW`: such a socket only sends.
const RAW: u8 = 255;

/// The raw sockets by protocol.
#[derive(Debug, Default)]
pub(crate) struct RawTable {
    sockets: RwLock<HashMap<u8, Vec<Arc<Socket>>>>,
    /// So that packets pass quickly where there are none.
    count: AtomicUsize,
}

impl RawTable {
    pub(super) fn insert(&self, protocol: u8, socket: Arc<Socket>) {
        self.sockets
            .write()
            .entry(protocol)
            .or_default()
            .push(socket);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, protocol: u8, id: u64) {
        let mut sockets = self.sockets.write();
        let Some(of_protocol) = sockets.get_mut(&protocol) else {
            return;
        };
        let before = of_protocol.len();
        of_protocol.retain(|socket| socket.id != id);
        self.count
            .fetch_sub(before - of_protocol.len(), Ordering::Relaxed);
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Socket>> {
        let sockets = self.sockets.read();
        sockets.values().flatten().map(Arc::clone).collect()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) -> Vec<Arc<Socket>> {
        self.count.store(0, Ordering::Relaxed);
        std::mem::take(&mut *self.sockets.write())
            .into_values()
            .flatten()
            .collect()
    }

    fn of(&self, protocol: u8) -> Vec<Arc<Socket>> {
        if self.count.load(Ordering::Relaxed) == 0 || protocol == RAW {
            return Vec::new();
        }
        self.sockets
            .read()
            .get(&protocol)
            .cloned()
            .unwrap_or_default()
    }
}

impl Core {
    /// Gives a packet to the raw sockets of its protocol. Says whether there are any.
    pub(crate) fn input_raw(&self, interface: u32, packet: &Packet) -> bool {
        let sockets = self.raw.of(packet.transport.protocol());
        if sockets.is_empty() {
            return false;
        }
        // Of IPv4, a program sees the header too.
        let bytes = if packet.source.is_ipv4() {
            wire::packet(packet, 0, 0)
        } else {
            wire::transport(packet)
        };
        let payload = Payload::from(bytes);
        let mut is_taken = false;
        for socket in sockets {
            if socket.wants_raw(packet, interface) {
                is_taken = true;
                socket.take(packet, &payload, (0, 0), interface);
            }
        }
        is_taken
    }
}

impl Socket {
    fn wants_raw(&self, packet: &Packet, interface: u32) -> bool {
        let inner = self.inner.lock();
        let is_family = (self.family == Family::Ipv4) == packet.source.is_ipv4();
        let is_local = inner
            .bound
            .is_none_or(|bound| bound.is_unspecified() || bound == packet.destination);
        let is_peer = inner.peer.is_none_or(|peer| peer.ip() == packet.source);
        let is_device = inner
            .options
            .device
            .is_none_or(|device| device == interface);
        is_family && is_local && is_peer && is_device && !is_filtered(&inner, packet)
    }
}

/// Whether `ICMP_FILTER` or `ICMPV6_FILTER` keeps a message out.
fn is_filtered(inner: &Inner, packet: &Packet) -> bool {
    let Transport::Other(number, payload) = &packet.transport else {
        return false;
    };
    let kind = payload
        .pieces()
        .next()
        .and_then(|piece| piece.first().copied())
        .unwrap_or_default();
    match *number {
        protocol::ICMP => kind < 32 && inner.options.icmp_filter & (1 << kind) != 0,
        protocol::ICMPV6 => {
            let word = inner.options.icmp6_filter[usize::from(kind / 32)];
            word & (1 << (kind % 32)) != 0
        }
        _ => false,
    }
}

/// What a packet that a program wrote without its IP header carries.
pub(super) fn transport(shell: &Packet, number: u8, payload: &Payload) -> Transport {
    let mut bytes = payload.to_vec();
    if number == protocol::ICMPV6 && bytes.len() >= 4 {
        bytes[2..4].fill(0);
        let pseudo = wire::pseudo_header(shell.source, shell.destination, number, bytes.len());
        let sum = wire::checksum(&[&pseudo, &bytes]);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let other = Transport::Other(number, bytes.clone().into());
    wire::parse_transport(shell, number, &bytes, Checksums::Trusted).unwrap_or(other)
}

/// The packet that a program wrote with its IP header (`IP_HDRINCL`): length, checksum and a missing source are filled in.
pub(super) fn with_header(payload: &Payload, source: IpAddr) -> Result<Packet, Errno> {
    let mut bytes = payload.to_vec();
    let len = u16::try_from(bytes.len()).map_err(|_| Errno::EMSGSIZE)?;
    if bytes.len() < 20 || bytes[0] >> 4 != 4 {
        return Err(Errno::EINVAL);
    }
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    if let IpAddr::V4(source) = source
        && bytes[12..16] == [0; 4]
    {
        bytes[12..16].copy_from_slice(&source.octets());
    }
    match wire::ip(&bytes, Checksums::Trusted) {
        Some(Parsed::Whole(packet)) => Ok(packet),
        _ => Err(Errno::EINVAL),
    }
}
