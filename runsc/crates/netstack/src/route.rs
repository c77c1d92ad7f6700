//! Where packets go: interfaces, addresses and routes of a namespace (`man 8 ip-route`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use abi::Errno;

use crate::interface::{Counts, Device, SCOPE_HOST};
use crate::{Address, Interface, InterfaceChange, Link, address};

/// The index of the loopback interface.
pub(crate) const LOOPBACK: u32 = 1;

/// Most interfaces, addresses of one, and routes: a guest makes them.
const MOST: usize = 4096;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub destination: IpAddr,
    /// Bits that its addresses share.
    pub prefix: u8,
    /// The router; `None` if the network is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface, by its index.
    pub interface: u32,
    /// Of two routes to one network, the one with less is taken.
    pub metric: u32,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// Who made it: `RTPROT_*`.
    pub protocol: u8,
    /// `RTN_UNICAST` (1), `RTN_BLACKHOLE` (6), `RTN_UNREACHABLE` (7) or `RTN_PROHIBIT` (8).
    pub kind: u8,
    /// The MTU that was set for it.
    pub mtu: Option<u32>,
}

/// `RTN_UNICAST`
const UNICAST: u8 = 1;
/// `RTPROT_KERNEL`
const PROTOCOL_KERNEL: u8 = 2;
/// The metric of routes to an IPv6 network that an address brings.
const METRIC_V6: u32 = 256;

/// How a packet gets to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) interface: u32,
    pub(crate) source: IpAddr,
    pub(crate) next_hop: IpAddr,
    pub(crate) mtu: u32,
    pub(crate) way: Way,
}

/// What a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// This host.
    Local,
    Unicast,
    Broadcast,
    Multicast,
}

/// What the caller wants of a path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) source: Option<IpAddr>,
    pub(crate) interface: Option<u32>,
}

/// Interfaces, addresses and routes.
#[derive(Debug)]
pub(crate) struct Network {
    devices: BTreeMap<u32, Device>,
    /// Longest prefix first, then least metric.
    routes: Vec<Route>,
    next_index: u32,
}

impl Network {
    pub(crate) fn new() -> Network {
        Network {
            devices: BTreeMap::from([(LOOPBACK, Device::loopback())]),
            routes: Vec::new(),
            next_index: LOOPBACK + 1,
        }
    }

    pub(crate) fn device(&self, index: u32) -> Option<&Device> {
        self.devices.get(&index)
    }

    fn up(&self) -> impl Iterator<Item = (u32, &Device)> {
        self.devices
            .iter()
            .filter(|(_, device)| device.is_up)
            .map(|(index, device)| (*index, device))
    }

    /// Whether packets to `ip` end in this host.
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        self.up().any(|(_, device)| device.has(ip))
    }

    /// Whether a packet from `ip` on this interface can't be true: from here, from nobody, or from many (RFC 1812, 5.3.7).
    pub(crate) fn is_martian(&self, ip: IpAddr) -> bool {
        let is_loopback = match ip {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_loopback(),
        };
        is_loopback || ip.is_multicast() || self.is_local(ip)
    }

    /// Whether a packet to `ip` on an interface is for everybody there.
    pub(crate) fn is_broadcast(&self, interface: u32, ip: IpAddr) -> bool {
        self.device(interface)
            .is_some_and(|device| device.is_broadcast(ip))
    }

    /// The way to `destination`.
    ///
    /// `ENETUNREACH` without a route, `EHOSTUNREACH`, `EACCES` or `EINVAL` as the route says, `EINVAL` for an address of a link
    /// without an interface.
    pub(crate) fn route(&self, destination: IpAddr, wish: Wish) -> Result<Path, Errno> {
        if wish.interface.is_none() && is_scoped(destination) {
            return Err(Errno::EINVAL);
        }
        if let Some(path) = self.to_here(destination, wish) {
            return Ok(path);
        }
        let (device, index, route) = self.leaving(destination, wish)?;
        let next_hop = route.and_then(|route| route.gateway).unwrap_or(destination);
        let preferred = route.and_then(|route| route.source);
        let source = wish
            .source
            .or(preferred)
            .or_else(|| device.source_for(destination, next_hop));
        let source = source
            .or_else(|| self.any_source(destination))
            .unwrap_or(address::any_like(destination));
        let way = if destination.is_multicast() {
            Way::Multicast
        } else if device.is_broadcast(destination) {
            Way::Broadcast
        } else {
            Way::Unicast
        };
        let mtu = route
            .and_then(|route| route.mtu)
            .unwrap_or(device.mtu)
            .min(device.mtu);
        Ok(Path {
            interface: index,
            source,
            next_hop,
            mtu,
            way,
        })
    }

    /// The way to an address of this host, which is by the loopback whatever interface has it.
    fn to_here(&self, destination: IpAddr, wish: Wish) -> Option<Path> {
        let loopback = self.device(LOOPBACK)?;
        let is_here = |(index, device): (u32, &Device)| {
            device.has(destination)
                && wish
                    .interface
                    .is_none_or(|wished| wished == index || wished == LOOPBACK)
        };
        self.up().any(is_here).then(|| Path {
            interface: LOOPBACK,
            source: wish.source.unwrap_or(destination),
            next_hop: destination,
            mtu: loopback.mtu,
            way: Way::Local,
        })
    }

    /// The interface by which a packet leaves, and its route if it needs one.
    fn leaving(
        &self,
        destination: IpAddr,
        wish: Wish,
    ) -> Result<(&Device, u32, Option<&Route>), Errno> {
        let fits = |route: &&Route| {
            wish.interface.is_none_or(|index| index == route.interface)
                && address::is_same_net(route.destination, destination, route.prefix)
                && self
                    .device(route.interface)
                    .is_some_and(|device| device.is_up)
        };
        let found = self.routes.iter().find(fits);
        let is_direct = destination.is_ipv4()
            || address::is_link_local(destination)
            || destination.is_multicast();
        let (index, route) = match (found, wish.interface) {
            (Some(route), _) => (route.interface, Some(route)),
            // An interface that is named needs no route (`man 7 socket`, SO_BINDTODEVICE).
            (None, Some(index)) if is_direct => (index, None),
            (None, Some(_)) => return Err(Errno::ENETUNREACH),
            (None, None) => return Err(Errno::ENETUNREACH),
        };
        match route.map_or(UNICAST, |route| route.kind) {
            UNICAST => {}
            6 => return Err(Errno::EINVAL),
            8 => return Err(Errno::EACCES),
            _ => return Err(Errno::EHOSTUNREACH),
        }
        let device = self.device(index).ok_or(Errno::ENODEV)?;
        if device.is_up {
            Ok((device, index, route))
        } else {
            Err(Errno::ENETUNREACH)
        }
    }

    /// An address of another interface, for one that has none.
    fn any_source(&self, destination: IpAddr) -> Option<IpAddr> {
        let mut others = self.up().filter(|(index, _)| *index != LOOPBACK);
        others.find_map(|(_, device)| device.source_for(destination, destination))
    }

    pub(crate) fn interfaces(&self) -> Vec<Interface> {
        self.devices
            .iter()
            .map(|(index, device)| device.show(*index))
            .collect()
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub(crate) fn add_interface(&mut self, name: &str, link: Arc<dyn Link>) -> Result<u32, Errno> {
        if self.devices.values().any(|device| device.name == name) {
            return Err(Errno::EEXIST);
        }
        if self.devices.len() >= MOST {
            return Err(Errno::ENOMEM);
        }
        let index = self.next_index;
        self.next_index = index.checked_add(1).ok_or(Errno::ENOSPC)?;
        let device = Device {
            name: name.to_owned(),
            is_up: false,
            mtu: link.mtu(),
            link: Some(link),
            addresses: Vec::new(),
            counts: Arc::<Counts>::default(),
        };
        self.devices.insert(index, device);
        Ok(index)
    }

    pub(crate) fn remove_interface(&mut self, index: u32) -> Result<(), Errno> {
        if index == LOOPBACK {
            return Err(Errno::EOPNOTSUPP);
        }
        self.devices.remove(&index).ok_or(Errno::ENODEV)?;
        self.routes.retain(|route| route.interface != index);
        Ok(())
    }

    pub(crate) fn change(&mut self, index: u32, change: InterfaceChange) -> Result<(), Errno> {
        let is_taken = |name: &String| self.devices.values().any(|device| device.name == *name);
        if matches!(&change, InterfaceChange::Name(name) if is_taken(name)) {
            return Err(Errno::EEXIST);
        }
        let device = self.devices.get_mut(&index).ok_or(Errno::ENODEV)?;
        match change {
            InterfaceChange::Up if !device.is_up => {
                device.is_up = true;
                for address in device.addresses.clone() {
                    self.connect(index, address);
                }
            }
            InterfaceChange::Down => {
                device.is_up = false;
                self.routes.retain(|route| route.interface != index);
            }
            InterfaceChange::Up => {}
            InterfaceChange::Mtu(mtu) if mtu < 68 => return Err(Errno::EINVAL),
            InterfaceChange::Mtu(mtu) => device.mtu = mtu,
            InterfaceChange::Name(name) => device.name = name,
        }
        Ok(())
    }

    pub(crate) fn add_address(&mut self, index: u32, address: Address) -> Result<(), Errno> {
        let device = self.devices.get_mut(&index).ok_or(Errno::ENODEV)?;
        if device
            .addresses
            .iter()
            .any(|one| one.ip == address.ip && one.prefix == address.prefix)
        {
            return Err(Errno::EEXIST);
        }
        if address.prefix > bits(address.ip) {
            return Err(Errno::EINVAL);
        }
        if device.addresses.len() >= MOST {
            return Err(Errno::ENOMEM);
        }
        device.addresses.push(address);
        if device.is_up {
            self.connect(index, address);
        }
        Ok(())
    }

    pub(crate) fn remove_address(
        &mut self,
        index: u32,
        ip: IpAddr,
        prefix: u8,
    ) -> Result<(), Errno> {
        let device = self.devices.get_mut(&index).ok_or(Errno::ENODEV)?;
        let is_it = |one: &Address| one.ip == ip && one.prefix == prefix;
        let at = device
            .addresses
            .iter()
            .position(is_it)
            .ok_or(Errno::EADDRNOTAVAIL)?;
        device.addresses.remove(at);
        let net = address::network(ip, prefix);
        let is_needed = device
            .addresses
            .iter()
            .any(|one| one.prefix == prefix && address::network(one.ip, prefix) == net);
        self.routes.retain(|route| {
            let is_its = route.interface == index && route.protocol == PROTOCOL_KERNEL;
            let is_net = route.destination == net && route.prefix == prefix;
            !(is_its && is_net && !is_needed) && route.source != Some(ip)
        });
        Ok(())
    }

    /// The route to the network that an address is in.
    fn connect(&mut self, index: u32, address: Address) {
        if address.scope == SCOPE_HOST || address.prefix == bits(address.ip) {
            return;
        }
        let is_v4 = address.ip.is_ipv4();
        let route = Route {
            destination: address::network(address.ip, address.prefix),
            prefix: address.prefix,
            gateway: None,
            interface: index,
            metric: if is_v4 { 0 } else { METRIC_V6 },
            source: is_v4.then_some(address.ip),
            protocol: PROTOCOL_KERNEL,
            kind: UNICAST,
            mtu: None,
        };
        // It is there already if another address is in the network.
        let _is_there = self.add_route(route);
    }

    pub(crate) fn add_route(&mut self, route: Route) -> Result<(), Errno> {
        if route.prefix > bits(route.destination)
            || address::network(route.destination, route.prefix) != route.destination
        {
            return Err(Errno::EINVAL);
        }
        if route.kind == UNICAST {
            let device = self.device(route.interface).ok_or(Errno::ENODEV)?;
            if !device.is_up {
                return Err(Errno::ENETDOWN);
            }
        }
        let is_same = |one: &Route| {
            one.destination == route.destination
                && one.prefix == route.prefix
                && one.metric == route.metric
        };
        if self
            .routes
            .iter()
            .any(|one| is_same(one) && (route.destination.is_ipv4() || *one == route))
        {
            return Err(Errno::EEXIST);
        }
        if self.routes.len() >= MOST {
            return Err(Errno::ENOMEM);
        }
        let rank = |route: &Route| (u8::MAX - route.prefix, route.metric);
        let at = self.routes.partition_point(|one| rank(one) <= rank(&route));
        self.routes.insert(at, route);
        Ok(())
    }

    pub(crate) fn remove_route(&mut self, route: &Route) -> Result<(), Errno> {
        let at = self
            .routes
            .iter()
            .position(|one| one == route)
            .ok_or(Errno::ESRCH)?;
        self.routes.remove(at);
        Ok(())
    }
}

/// Whether only an interface makes sense of an address: one of a link (`man 7 ipv6`).
fn is_scoped(ip: IpAddr) -> bool {
    ip.is_ipv6() && !ip.is_multicast() && address::is_link_local(ip)
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}
