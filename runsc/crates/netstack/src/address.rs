//! Addresses as sockets of either family write them: those of `AF_INET6` write IPv4 as `::ffff:a.b.c.d`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use abi::Errno;

use crate::{Family, SocketOptions};

/// The address that packets carry for one that a socket was given: mapped ones become IPv4.
///
/// An address of the other family is `EAFNOSUPPORT`; a mapped one on a socket with `IPV6_V6ONLY` is `ENETUNREACH`.
pub(crate) fn inward(
    address: SocketAddr,
    family: Family,
    options: &SocketOptions,
) -> Result<SocketAddr, Errno> {
    match (family, address) {
        (Family::Ipv4, SocketAddr::V4(_)) => Ok(address),
        (Family::Ipv6, SocketAddr::V6(v6)) => match v6.ip().to_ipv4_mapped() {
            Some(_) if options.v6_only => Err(Errno::ENETUNREACH),
            Some(v4) => Ok(SocketAddr::new(v4.into(), v6.port())),
            None => Ok(address),
        },
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// The address that a socket of `family` shows for one that packets carry. Link-local ones name their interface.
pub(crate) fn outward(address: IpAddr, port: u16, family: Family, interface: u32) -> SocketAddr {
    match (family, address) {
        (Family::Ipv6, IpAddr::V4(v4)) => SocketAddr::new(v4.to_ipv6_mapped().into(), port),
        (_, IpAddr::V6(v6)) => {
            let scope = if is_link_local(address) { interface } else { 0 };
            SocketAddrV6::new(v6, port, 0, scope).into()
        }
        (Family::Ipv4, IpAddr::V4(_)) => SocketAddr::new(address, port),
    }
}

/// The wildcard address of a family.
pub(crate) fn any(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The wildcard address of the family that an address is of.
pub(crate) fn any_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => any(Family::Ipv4),
        IpAddr::V6(_) => any(Family::Ipv6),
    }
}

/// What a wildcard address means as a destination: this host.
pub(crate) fn destination(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => address,
    }
}

/// The interface that an address of a link names.
pub(crate) fn scope(address: SocketAddr) -> Option<u32> {
    match address {
        SocketAddr::V6(v6) if is_link_local(address.ip()) => {
            Some(v6.scope_id()).filter(|scope| *scope != 0)
        }
        _ => None,
    }
}

/// Whether an address is of one link only: `fe80::/10`, or multicast of the scopes interface and link.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || (v6.is_multicast() && v6.segments()[0] & 0xf <= 2)
        }
    }
}

/// Whether the first `prefix` bits of two addresses are the same.
pub(crate) fn is_same_net(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differing = u32::from(one) ^ u32::from(other);
            differing.leading_zeros() >= u32::from(prefix)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => common_prefix(one, other) >= u32::from(prefix),
        _ => false,
    }
}

/// How many first bits two addresses have in common.
pub(crate) fn common_prefix(one: Ipv6Addr, other: Ipv6Addr) -> u32 {
    (u128::from(one) ^ u128::from(other)).leading_zeros()
}

/// The address with all but the first `prefix` bits zero.
pub(crate) fn network(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use abi::Errno;

    use super::{inward, is_same_net, network, outward};
    use crate::{Config, Family, SocketOptions};

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:80".parse().unwrap();
        let plain: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let dual = SocketOptions::new(&Config::default());
        let single = SocketOptions {
            v6_only: true,
            ..dual.clone()
        };
        assert_eq!(inward(mapped, Family::Ipv6, &dual), Ok(plain));
        assert_eq!(
            inward(mapped, Family::Ipv6, &single),
            Err(Errno::ENETUNREACH)
        );
        assert_eq!(inward(plain, Family::Ipv6, &dual), Err(Errno::EAFNOSUPPORT));
        assert_eq!(outward(plain.ip(), 80, Family::Ipv6, 1), mapped);
    }

    #[test]
    fn prefixes_of_any_length_are_compared() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(is_same_net(ip("127.1.2.3"), ip("127.0.0.1"), 8));
        assert!(!is_same_net(ip("10.0.0.1"), ip("10.0.1.1"), 24));
        assert!(is_same_net(ip("10.0.0.1"), ip("11.0.1.1"), 0));
        assert_eq!(network(ip("10.1.2.3"), 0), ip("0.0.0.0"));
        assert_eq!(network(ip("10.1.2.3"), 32), ip("10.1.2.3"));
        assert_eq!(network(ip("fd00:1::5"), 32), ip("fd00:1::"));
    }
}
