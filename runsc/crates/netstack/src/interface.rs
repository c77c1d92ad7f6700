//! Interfaces: where packets leave and come from, with their addresses (`man 7 netdevice`).

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::address;

/// What carries frames.
pub trait Link: Send + Sync + Debug {
    /// Sends frames, or drops them. No lock of the stack is held.
    fn transmit(&self, frames: Vec<Frame>);

    /// Bytes of the longest packet, without the link's header.
    fn mtu(&self) -> u32;

    /// The address of the link's layer, if it is an Ethernet; without one, frames are IP packets.
    fn hardware(&self) -> Option<[u8; 6]>;

    /// Bytes of the longest TCP packet that the link itself cuts up ([`Gso`]); 0 if it does not.
    fn gso_max(&self) -> u32;
}

/// Bytes on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// They begin with the link's header.
    pub bytes: Vec<u8>,
    /// The frame is longer than the MTU, and the link cuts it up.
    pub gso: Option<Gso>,
}

/// How a long frame is cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// Bytes of payload in each packet.
    pub segment: u16,
    /// Bytes of the headers of link, IP and TCP.
    pub headers: u16,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits that the addresses of its network share.
    pub prefix: u8,
    /// The address of everybody in the network.
    pub broadcast: Option<Ipv4Addr>,
    /// `RT_SCOPE_UNIVERSE` (0), `RT_SCOPE_LINK` (253), `RT_SCOPE_HOST` (254)
    pub scope: u8,
}

/// An interface as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number, from 1.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether an administrator switched it on (`IFF_UP`).
    pub is_up: bool,
    /// Whether packets on it never leave the host (`IFF_LOOPBACK`).
    pub is_loopback: bool,
    /// Bytes of its longest packet.
    pub mtu: u32,
    /// The address of its link's layer.
    pub hardware: Option<[u8; 6]>,
    /// Its addresses, the primary ones first.
    pub addresses: Vec<Address>,
    /// What went through it.
    pub counters: Counters,
}

/// What went through an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets in.
    pub received: u64,
    /// Bytes in.
    pub received_bytes: u64,
    /// Packets in that were dropped.
    pub receive_dropped: u64,
    /// Packets out.
    pub sent: u64,
    /// Bytes out.
    pub sent_bytes: u64,
}

/// A change of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceChange {
    /// It is switched on.
    Up,
    /// It is switched off: its routes are gone.
    Down,
    /// Its MTU, in bytes.
    Mtu(u32),
    /// Its name.
    Name(String),
}

/// Packets and bytes, counted by many at once.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    received: AtomicU64,
    received_bytes: AtomicU64,
    receive_dropped: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
}

impl Counts {
    pub(crate) fn receive(&self, bytes: usize) {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.received_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, bytes: usize) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn drop_received(&self) {
        self.receive_dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Counters {
        Counters {
            received: self.received.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            receive_dropped: self.receive_dropped.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
        }
    }
}

/// An interface inside the stack.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) is_up: bool,
    pub(crate) mtu: u32,
    /// None is the loopback.
    pub(crate) link: Option<Arc<dyn Link>>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) counts: Arc<Counts>,
}

/// The MTU of the loopback.
const LOOPBACK_MTU: u32 = 65_536;

impl Device {
    pub(crate) fn loopback() -> Device {
        let host = |ip, prefix| Address {
            ip,
            prefix,
            broadcast: None,
            scope: SCOPE_HOST,
        };
        Device {
            name: "lo".to_owned(),
            is_up: true,
            mtu: LOOPBACK_MTU,
            link: None,
            addresses: vec![
                host(Ipv4Addr::LOCALHOST.into(), 8),
                host(Ipv6Addr::LOCALHOST.into(), 128),
            ],
            counts: Arc::default(),
        }
    }

    /// Whether packets to `ip` end here.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        let is_whole = self.link.is_none() && ip.is_ipv4();
        self.addresses.iter().any(|address| {
            address.ip == ip || (is_whole && address::is_same_net(address.ip, ip, address.prefix))
        })
    }

    /// Whether `ip` means everybody in one of its networks.
    pub(crate) fn is_broadcast(&self, ip: IpAddr) -> bool {
        let is_its = |address: &Address| address.broadcast.is_some_and(|broadcast| ip == broadcast);
        ip == Ipv4Addr::BROADCAST || self.addresses.iter().any(is_its)
    }

    /// The address that packets to `destination`, by way of `next_hop`, come from (RFC 6724 for IPv6).
    pub(crate) fn source_for(&self, destination: IpAddr, next_hop: IpAddr) -> Option<IpAddr> {
        let of_family = self
            .addresses
            .iter()
            .filter(|one| one.ip.is_ipv4() == destination.is_ipv4());
        match destination {
            IpAddr::V4(_) => {
                let mut all = of_family.clone();
                let in_net = all.find(|one| address::is_same_net(one.ip, next_hop, one.prefix));
                let mut wide = of_family.filter(|one| one.scope <= SCOPE_LINK);
                in_net.or_else(|| wide.next()).map(|one| one.ip)
            }
            IpAddr::V6(to) => of_family
                .filter_map(|one| match one.ip {
                    IpAddr::V6(from) => {
                        let same_scope =
                            address::is_link_local(one.ip) == address::is_link_local(destination);
                        Some((
                            same_scope,
                            address::common_prefix(from, to).min(u32::from(one.prefix)),
                            from,
                        ))
                    }
                    IpAddr::V4(_) => None,
                })
                .max_by_key(|(same_scope, common, _)| (*same_scope, *common))
                .map(|(_, _, from)| from.into()),
        }
    }

    pub(crate) fn show(&self, index: u32) -> Interface {
        Interface {
            index,
            name: self.name.clone(),
            is_up: self.is_up,
            is_loopback: self.link.is_none(),
            mtu: self.mtu,
            hardware: self.link.as_ref().and_then(|link| link.hardware()),
            addresses: self.addresses.clone(),
            counters: self.counts.read(),
        }
    }
}

/// `RT_SCOPE_LINK`
pub(crate) const SCOPE_LINK: u8 = 253;
/// `RT_SCOPE_HOST`
pub(crate) const SCOPE_HOST: u8 = 254;
