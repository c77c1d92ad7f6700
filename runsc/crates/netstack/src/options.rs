//! Options that sockets of every kind have (`man 7 socket`, `man 7 ip`, `man 7 ipv6`).

use std::net::IpAddr;
use std::time::Duration;

use crate::Config;

/// The options of a socket. Each field is an option's value; the caller checks bounds and privilege.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// `SO_REUSEADDR`
    pub reuse_address: bool,
    /// `SO_REUSEPORT`
    pub reuse_port: bool,
    /// `SO_BROADCAST`
    pub broadcast: bool,
    /// `SO_KEEPALIVE`
    pub keep_alive: bool,
    /// `SO_LINGER`
    pub linger: Option<Duration>,
    /// `SO_OOBINLINE`
    pub urgent_inline: bool,
    /// `SO_BINDTODEVICE`, an interface.
    pub device: Option<u32>,
    /// `SO_MARK`
    pub mark: u32,
    /// `SO_SNDBUF`: the doubled value.
    pub send_buffer: usize,
    /// `SO_SNDBUF` was set: the buffer grows no more by itself.
    pub send_buffer_locked: bool,
    /// `SO_RCVBUF`: the doubled value.
    pub receive_buffer: usize,
    /// `SO_RCVBUF` was set: the buffer grows no more by itself.
    pub receive_buffer_locked: bool,
    /// `SO_RCVLOWAT`
    pub receive_low_water: usize,
    /// The user that the socket is of: sockets of one user share a port with `SO_REUSEPORT`.
    pub owner: u32,
    /// `IP_TTL` and `IPV6_UNICAST_HOPS`; `None` is the stack's default.
    pub ttl: Option<u8>,
    /// `IPV6_UNICAST_HOPS`; `None` is the stack's default.
    pub hop_limit: Option<u8>,
    /// `IP_TOS`
    pub tos: u8,
    /// `IPV6_TCLASS`
    pub traffic_class: u8,
    /// `IPV6_V6ONLY`
    pub v6_only: bool,
    /// `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`.
    pub path_mtu: PathMtu,
    /// `IP_RECVERR`
    pub receive_errors: bool,
    /// `IPV6_RECVERR`
    pub receive_errors_v6: bool,
    /// `IP_FREEBIND`, `IP_TRANSPARENT`: addresses of others can be bound to.
    pub free_bind: bool,
    /// `IP_HDRINCL`: what a raw socket sends begins with the IP header.
    pub header_included: bool,
    /// `ICMP_FILTER`: types with their bit set are kept out.
    pub icmp_filter: u32,
    /// `ICMPV6_FILTER`: the same, 32 types in each word.
    pub icmp6_filter: [u32; 8],
    /// `IP_MULTICAST_*`
    pub multicast: Multicast,
    /// `IPV6_MULTICAST_*`
    pub multicast_v6: Multicast,
}

/// How a socket sends to groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multicast {
    /// `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`
    pub ttl: u8,
    /// `IP_MULTICAST_LOOP`: sockets of this host get it too.
    pub is_looped: bool,
    /// `IP_MULTICAST_IF`: the interface.
    pub interface: Option<u32>,
    /// `IP_MULTICAST_IF`: the source address.
    pub source: Option<IpAddr>,
    /// `IP_MULTICAST_ALL`: messages to groups that only others joined come too.
    pub gets_all: bool,
}

/// What a socket does about packets that are too long for their path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathMtu {
    /// `IP_PMTUDISC_DONT`: they are cut up, here and by routers.
    Dont,
    /// `IP_PMTUDISC_WANT`: they are cut up here when the path is known.
    Want,
    /// `IP_PMTUDISC_DO`: `EMSGSIZE`.
    Do,
    /// `IP_PMTUDISC_PROBE`: they are sent, whatever is known of the path.
    Probe,
    /// `IP_PMTUDISC_INTERFACE`: only the interface's MTU counts, and nothing is learnt.
    Interface,
    /// `IP_PMTUDISC_OMIT`: the same, and they are cut up.
    Omit,
}

/// A group to join or to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// Its address.
    pub group: IpAddr,
    /// The interface; `None` takes the one that the group is routed to.
    pub interface: Option<u32>,
    /// Only what this host sends to it.
    pub source: Option<IpAddr>,
}

impl SocketOptions {
    pub(crate) fn new(config: &Config) -> SocketOptions {
        let multicast = Multicast {
            ttl: 1,
            is_looped: true,
            interface: None,
            source: None,
            gets_all: true,
        };
        SocketOptions {
            reuse_address: false,
            reuse_port: false,
            broadcast: false,
            keep_alive: false,
            linger: None,
            urgent_inline: false,
            device: None,
            mark: 0,
            send_buffer: config.send_buffer,
            send_buffer_locked: false,
            receive_buffer: config.receive_buffer,
            receive_buffer_locked: false,
            receive_low_water: 1,
            owner: 0,
            ttl: None,
            hop_limit: None,
            tos: 0,
            traffic_class: 0,
            v6_only: false,
            path_mtu: PathMtu::Want,
            receive_errors: false,
            receive_errors_v6: false,
            free_bind: false,
            header_included: false,
            icmp_filter: 0,
            icmp6_filter: [0; 8],
            multicast_v6: multicast.clone(),
            multicast,
        }
    }

    /// The hop limit and the class of a packet to `destination`.
    pub(crate) fn hops_and_class(&self, destination: IpAddr, config: &Config) -> (u8, u8) {
        match destination {
            IpAddr::V4(v4) if v4.is_multicast() => (self.multicast.ttl, self.tos),
            IpAddr::V4(_) => (self.ttl.unwrap_or(config.default_ttl), self.tos),
            IpAddr::V6(v6) if v6.is_multicast() => (self.multicast_v6.ttl, self.traffic_class),
            IpAddr::V6(_) => (
                self.hop_limit.unwrap_or(config.default_ttl),
                self.traffic_class,
            ),
        }
    }

    /// How the socket sends to a group of this address's family.
    pub(crate) fn multicast_for(&self, destination: IpAddr) -> &Multicast {
        match destination {
            IpAddr::V4(_) => &self.multicast,
            IpAddr::V6(_) => &self.multicast_v6,
        }
    }
}
