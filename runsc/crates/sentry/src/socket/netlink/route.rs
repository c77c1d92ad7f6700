//! `NETLINK_ROUTE` (`man 7 rtnetlink`): links, addresses and routes of the loopback interface.

use abi::Errno;

use super::message::{ACK, Builder, DUMP, MULTI, Request, done, error};
use std::net::IpAddr;

use crate::socket::interfaces::Interface;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEIGH: u16 = 30;
const RTM_GETRULE: u16 = 34;
const RTM_GETQDISC: u16 = 38;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;

/// The answer to one request.
pub(super) fn answer(all: &[Interface], request: &Request<'_>, port: u32) -> Vec<Vec<u8>> {
    let dump = request.flags & DUMP == DUMP;
    let family = request.body.first().copied().unwrap_or(AF_UNSPEC);
    let mut answers: Vec<Vec<u8>> = match (request.kind, dump) {
        (RTM_GETLINK, true) => all
            .iter()
            .map(|interface| link(request, port, interface, MULTI))
            .collect(),
        (RTM_GETLINK, false) => return vec![one_link(all, request, port)],
        (RTM_GETADDR, true) => addresses(all, request, port, family),
        (RTM_GETROUTE, true) => routes(all, request, port, family),
        (RTM_GETNEIGH | RTM_GETRULE | RTM_GETQDISC, true) => Vec::new(),
        // NLMSG_NOOP and the like need no answer unless they ask for one.
        (0..16, _) => {
            let acknowledged = request.flags & ACK != 0;
            return acknowledged
                .then(|| error(request, port, 0))
                .into_iter()
                .collect();
        }
        _ => return vec![error(request, port, Errno::EOPNOTSUPP.raw())],
    };
    answers.push(done(request, port));
    answers
}

/// `RTM_GETLINK` for one interface, by index or by name.
fn one_link(all: &[Interface], request: &Request<'_>, port: u32) -> Vec<u8> {
    let index = request
        .body
        .get(4..8)
        .and_then(|bytes| bytes.try_into().ok());
    let index = index.map_or(0, i32::from_ne_bytes);
    let name = request
        .attributes(16)
        .find(|(kind, _)| *kind == IFLA_IFNAME);
    let name = name.map(|(_, value)| value.strip_suffix(&[0]).unwrap_or(value));
    let found = all.iter().find(|interface| {
        interface.index == index || (index == 0 && name == Some(interface.name.as_slice()))
    });
    match found {
        Some(interface) => link(request, port, interface, 0),
        None => error(request, port, Errno::ENODEV.raw()),
    }
}

/// A `struct ifinfomsg` and its attributes.
fn link(request: &Request<'_>, port: u32, interface: &Interface, flags: u16) -> Vec<u8> {
    const IFF_LOWER_UP: u32 = 0x1_0000;
    let is_up = interface.flags & 1 != 0;
    let up = u32::from(interface.flags) | if is_up { IFF_LOWER_UP } else { 0 };
    let mut fixed = vec![AF_UNSPEC, 0];
    fixed.extend_from_slice(&interface.hardware.to_ne_bytes());
    fixed.extend_from_slice(&interface.index.to_ne_bytes());
    fixed.extend_from_slice(&up.to_ne_bytes());
    fixed.extend_from_slice(&[0; 4]);
    let name = [interface.name.as_slice(), &[0]].concat();
    Builder::new(RTM_NEWLINK, flags, request, port)
        .fixed(&fixed)
        .attribute(IFLA_IFNAME, &name)
        .attribute(13, &1000u32.to_ne_bytes()) // IFLA_TXQLEN
        .attribute(16, &[0]) // IFLA_OPERSTATE: unknown, as loopback's is
        .attribute(17, &[0]) // IFLA_LINKMODE
        .attribute(4, &interface.mtu.to_ne_bytes()) // IFLA_MTU
        .attribute(27, &0u32.to_ne_bytes()) // IFLA_GROUP
        .attribute(30, &0u32.to_ne_bytes()) // IFLA_PROMISCUITY
        .attribute(33, &[1]) // IFLA_CARRIER
        .attribute(6, b"noqueue\0") // IFLA_QDISC
        .attribute(1, &[0; 6]) // IFLA_ADDRESS
        .attribute(2, &[0; 6]) // IFLA_BROADCAST
        .finish()
}

/// A `struct ifaddrmsg` each, and attributes.
fn addresses(all: &[Interface], request: &Request<'_>, port: u32, family: u8) -> Vec<Vec<u8>> {
    /// `IFA_F_PERMANENT`
    const PERMANENT: u8 = 0x80;
    const RT_SCOPE_UNIVERSE: u8 = 0;
    const RT_SCOPE_HOST: u8 = 254;
    let mut answers = Vec::new();
    for interface in all {
        let label = [interface.name.as_slice(), &[0]].concat();
        for (ip, prefix) in &interface.addresses {
            let scope = if ip.is_loopback() {
                RT_SCOPE_HOST
            } else {
                RT_SCOPE_UNIVERSE
            };
            let (own, octets) = octets(*ip);
            if family != AF_UNSPEC && family != own {
                continue;
            }
            let about = [own, *prefix, PERMANENT, scope];
            let mut answer =
                address_header(interface, request, port, about).attribute(IFA_ADDRESS, &octets);
            if own == AF_INET {
                answer = answer
                    .attribute(2, &octets) // IFA_LOCAL
                    .attribute(3, &label); // IFA_LABEL
            }
            answers.push(
                answer
                    .attribute(8, &u32::from(PERMANENT).to_ne_bytes()) // IFA_FLAGS
                    .finish(),
            );
        }
    }
    answers
}

/// The family of an address and its bytes.
fn octets(ip: IpAddr) -> (u8, Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => (AF_INET, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AF_INET6, ip.octets().to_vec()),
    }
}

/// Family, prefix length, flags and scope.
fn address_header(
    interface: &Interface,
    request: &Request<'_>,
    port: u32,
    about: [u8; 4],
) -> Builder {
    let mut fixed = about.to_vec();
    fixed.extend_from_slice(&interface.index.to_ne_bytes());
    Builder::new(RTM_NEWADDR, MULTI, request, port).fixed(&fixed)
}

/// The routes of the local table: a `struct rtmsg` each, and attributes.
fn routes(all: &[Interface], request: &Request<'_>, port: u32, family: u8) -> Vec<Vec<u8>> {
    const RT_TABLE_LOCAL: u8 = 255;
    const RTPROT_KERNEL: u8 = 2;
    const RT_SCOPE_HOST: u8 = 254;
    const RTN_LOCAL: u8 = 2;
    if family == AF_INET6 {
        return Vec::new();
    }
    let locals = all.iter().flat_map(|interface| {
        let own = interface.addresses.iter();
        own.filter_map(|(ip, prefix)| match ip {
            IpAddr::V4(ip) if ip.is_loopback() => Some((interface.index, ip.octets(), *prefix)),
            _ => None,
        })
    });
    locals
        .flat_map(|(index, ipv4, prefix)| {
            [
                (index, ipv4, [127, 0, 0, 0], prefix),
                (index, ipv4, ipv4, 32),
            ]
        })
        .map(|(index, ipv4, destination, len)| {
            let fixed = [
                AF_INET,
                len,
                0,
                0,
                RT_TABLE_LOCAL,
                RTPROT_KERNEL,
                RT_SCOPE_HOST,
                RTN_LOCAL,
                0,
                0,
                0,
                0,
            ];
            Builder::new(RTM_NEWROUTE, MULTI, request, port)
                .fixed(&fixed)
                .attribute(15, &u32::from(RT_TABLE_LOCAL).to_ne_bytes()) // RTA_TABLE
                .attribute(1, &destination) // RTA_DST
                .attribute(7, &ipv4) // RTA_PREFSRC
                .attribute(4, &index.to_ne_bytes()) // RTA_OIF
                .finish()
        })
        .collect()
}
