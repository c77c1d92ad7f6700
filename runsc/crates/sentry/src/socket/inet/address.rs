//! Addresses of the Internet families in bytes (`man 7 ip`, `man 7 ipv6`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use abi::Errno;
use abi::socket::{AF_INET, AF_INET6};
use netstack::Family;

use crate::error::Result;

/// `AF_UNSPEC`
const AF_UNSPEC: u16 = 0;
/// The least of a `struct sockaddr_in6`: without its scope.
const IPV6_LEAST: usize = 24;

/// An address that was given to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// Somebody's.
    Of(SocketAddr),
    /// `AF_UNSPEC`: nobody's.
    Unspecified,
}

pub(super) fn number(family: Family) -> u16 {
    match family {
        Family::Ipv4 => AF_INET,
        Family::Ipv6 => AF_INET6,
    }
}

/// Reads an address for a socket of a family. EINVAL: it is too short. EAFNOSUPPORT: it is of another family.
pub(super) fn read(bytes: &[u8], family: Family) -> Result<Given> {
    let kind = bytes.first_chunk().ok_or(Errno::EINVAL)?;
    match (u16::from_ne_bytes(*kind), family) {
        (AF_UNSPEC, _) => Ok(Given::Unspecified),
        (AF_INET, Family::Ipv4) => read_v4(bytes).map(Given::Of),
        (AF_INET6, Family::Ipv6) => read_v6(bytes).map(Given::Of),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// Reads where a datagram goes: to an IPv4 address from a socket of IPv6 too.
pub(super) fn read_destination(bytes: &[u8], family: Family) -> Result<SocketAddr> {
    let kind = bytes.first_chunk().ok_or(Errno::EINVAL)?;
    match (u16::from_ne_bytes(*kind), family) {
        (AF_INET, Family::Ipv6) => {
            let address = read_v4(bytes)?;
            let mapped = match address.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            Ok(SocketAddr::new(mapped.into(), address.port()))
        }
        // An old accident: no family means IPv4.
        (AF_INET | AF_UNSPEC, Family::Ipv4) => read_v4(bytes),
        (AF_INET6, Family::Ipv6) => read_v6(bytes),
        (AF_INET6, Family::Ipv4) => Err(Errno::EAFNOSUPPORT),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn read_v4(bytes: &[u8]) -> Result<SocketAddr> {
    if bytes.len() < 16 {
        return Err(Errno::EINVAL);
    }
    let ip: [u8; 4] = chunk(bytes, 4)?;
    Ok(SocketAddr::new(Ipv4Addr::from(ip).into(), port(bytes)?))
}

fn read_v6(bytes: &[u8]) -> Result<SocketAddr> {
    if bytes.len() < IPV6_LEAST {
        return Err(Errno::EINVAL);
    }
    let ip: [u8; 16] = chunk(bytes, 8)?;
    Ok(SocketAddr::new(Ipv6Addr::from(ip).into(), port(bytes)?))
}

fn port(bytes: &[u8]) -> Result<u16> {
    chunk(bytes, 2).map(u16::from_be_bytes)
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let rest = bytes.get(at..).and_then(|rest| rest.first_chunk());
    rest.copied().ok_or(Errno::EINVAL)
}

/// A `struct sockaddr_in` or `sockaddr_in6`.
pub(super) fn write(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => {
            let family = AF_INET.to_ne_bytes();
            [&family[..], &port, &ip.octets(), &[0; 8]].concat()
        }
        IpAddr::V6(ip) => {
            let family = AF_INET6.to_ne_bytes();
            [&family[..], &port, &[0; 4], &ip.octets(), &[0; 4]].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_an_address_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for family in [Family::Ipv4, Family::Ipv6] {
                let _ = read_destination(&bytes, family);
                if let Ok(Given::Of(address)) = read(&bytes, family) {
                    let again = write(address);
                    prop_assert_eq!(read(&again, family), Ok(Given::Of(address)));
                    prop_assert_eq!(&again[..4], &bytes[..4]);
                }
            }
        }
    }
}
