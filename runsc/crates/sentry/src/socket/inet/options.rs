//! Options of both Internet families and both protocols (`man 7 ip`, `man 7 ipv6`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use abi::Errno;
use netstack::{Family, Group, Multicast, PathMtu, SocketOptions};

use crate::error::Result;
use crate::socket::CommonOptions;

pub(super) const SOL_IP: i32 = 0;
pub(super) const SOL_TCP: i32 = 6;
pub(super) const SOL_IPV6: i32 = 41;

const IP_TOS: u32 = 1;
const IP_TTL: u32 = 2;
const IP_MTU_DISCOVER: u32 = 10;
const IP_RECVERR: u32 = 11;
const IP_FREEBIND: u32 = 15;
const IP_MULTICAST_IF: u32 = 32;
const IP_MULTICAST_TTL: u32 = 33;
const IP_MULTICAST_LOOP: u32 = 34;
const IP_ADD_MEMBERSHIP: u32 = 35;
const IP_DROP_MEMBERSHIP: u32 = 36;
const IP_MULTICAST_ALL: u32 = 49;
const IPV6_UNICAST_HOPS: u32 = 16;
const IPV6_MULTICAST_IF: u32 = 17;
const IPV6_MULTICAST_HOPS: u32 = 18;
const IPV6_MULTICAST_LOOP: u32 = 19;
const IPV6_ADD_MEMBERSHIP: u32 = 20;
const IPV6_DROP_MEMBERSHIP: u32 = 21;
const IPV6_MTU_DISCOVER: u32 = 23;
const IPV6_RECVERR: u32 = 25;
const IPV6_V6ONLY: u32 = 26;
const IPV6_TCLASS: u32 = 67;

/// Where a packet's life begins (`net.ipv4.ip_default_ttl`).
const DEFAULT_TTL: u8 = 64;

/// The number that an option's value is; a single byte will do, as for many options of `SOL_IP`. EINVAL.
pub(super) fn number(value: &[u8]) -> Result<i32> {
    match value {
        [byte] => Ok(i32::from(*byte)),
        _ => value
            .first_chunk()
            .map(|bytes| i32::from_ne_bytes(*bytes))
            .ok_or(Errno::EINVAL),
    }
}

/// A number of hops; -1 stands for the default.
fn hops(number: i32, least: u8) -> Result<Option<u8>> {
    if number == -1 {
        return Ok(None);
    }
    let hops = u8::try_from(number).map_err(|_| Errno::EINVAL)?;
    if hops < least {
        return Err(Errno::EINVAL);
    }
    Ok(Some(hops))
}

const PATH_MTU: [PathMtu; 6] = [
    PathMtu::Dont,
    PathMtu::Want,
    PathMtu::Do,
    PathMtu::Probe,
    PathMtu::Interface,
    PathMtu::Omit,
];

fn path_mtu(number: i32) -> Result<PathMtu> {
    let index = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
    PATH_MTU.get(index).copied().ok_or(Errno::EINVAL)
}

/// Whether a socket has options of this level: one of IPv4 has none of `SOL_IPV6`.
fn has_level(family: Family, level: i32) -> bool {
    level == SOL_IP || (level == SOL_IPV6 && family == Family::Ipv6)
}

/// Sets an option of `SOL_IP` or `SOL_IPV6`. ENOPROTOOPT, EINVAL. `port` is the socket's, 0 if it has none.
pub(super) fn set(
    options: &mut SocketOptions,
    family: Family,
    (level, name): (i32, u32),
    value: &[u8],
    port: u16,
) -> Result<()> {
    if !has_level(family, level) {
        return Err(Errno::ENOPROTOOPT);
    }
    let number = number(value)?;
    let is_on = number != 0;
    let interface = || -> Result<Option<u32>> {
        let index = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
        Ok((index != 0).then_some(index))
    };
    let byte = || u8::try_from(number).map_err(|_| Errno::EINVAL);
    match (level, name) {
        (SOL_IP, IP_TOS) => options.tos = number.to_le_bytes()[0],
        (SOL_IP, IP_TTL) => options.ttl = hops(number, 1)?,
        (SOL_IP, IP_MTU_DISCOVER) | (SOL_IPV6, IPV6_MTU_DISCOVER) => {
            options.path_mtu = path_mtu(number)?;
        }
        (SOL_IP, IP_RECVERR) => options.receive_errors = is_on,
        (SOL_IP, IP_FREEBIND) => options.free_bind = is_on,
        (SOL_IP, IP_MULTICAST_TTL) => options.multicast.ttl = hops(number, 0)?.unwrap_or(1),
        (SOL_IP, IP_MULTICAST_LOOP) => options.multicast.is_looped = is_on,
        (SOL_IP, IP_MULTICAST_ALL) => options.multicast.gets_all = is_on,
        (SOL_IP, IP_MULTICAST_IF) => set_sender(&mut options.multicast, value)?,
        (SOL_IPV6, IPV6_UNICAST_HOPS) => options.hop_limit = hops(number, 0)?,
        (SOL_IPV6, IPV6_MULTICAST_HOPS) => {
            options.multicast_v6.ttl = hops(number, 0)?.unwrap_or(1);
        }
        (SOL_IPV6, IPV6_MULTICAST_LOOP) if number == 0 || number == 1 => {
            options.multicast_v6.is_looped = is_on;
        }
        (SOL_IPV6, IPV6_MULTICAST_LOOP) => return Err(Errno::EINVAL),
        (SOL_IPV6, IPV6_MULTICAST_IF) => options.multicast_v6.interface = interface()?,
        (SOL_IPV6, IPV6_RECVERR) => options.receive_errors_v6 = is_on,
        (SOL_IPV6, IPV6_TCLASS) => {
            options.traffic_class = if number == -1 { 0 } else { byte()? };
        }
        (SOL_IPV6, IPV6_V6ONLY) if port != 0 => return Err(Errno::EINVAL),
        (SOL_IPV6, IPV6_V6ONLY) => options.v6_only = is_on,
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// The value of an option; ENOPROTOOPT, EOPNOTSUPP.
pub(super) fn get(
    options: &SocketOptions,
    family: Family,
    level: i32,
    name: u32,
) -> Result<Vec<u8>> {
    if !has_level(family, level) {
        return Err(match family {
            Family::Ipv4 => Errno::EOPNOTSUPP,
            Family::Ipv6 => Errno::ENOPROTOOPT,
        });
    }
    let index = |interface: Option<u32>| interface.unwrap_or(0).cast_signed();
    let number = match (level, name) {
        (SOL_IP, IP_TOS) => options.tos.into(),
        (SOL_IP, IP_TTL) => options.ttl.unwrap_or(DEFAULT_TTL).into(),
        (SOL_IP, IP_MTU_DISCOVER) | (SOL_IPV6, IPV6_MTU_DISCOVER) => {
            let place = PATH_MTU.iter().position(|one| *one == options.path_mtu);
            place
                .and_then(|place| i32::try_from(place).ok())
                .unwrap_or(0)
        }
        (SOL_IP, IP_RECVERR) => options.receive_errors.into(),
        (SOL_IP, IP_FREEBIND) => options.free_bind.into(),
        (SOL_IP, IP_MULTICAST_TTL) => options.multicast.ttl.into(),
        (SOL_IP, IP_MULTICAST_LOOP) => options.multicast.is_looped.into(),
        (SOL_IP, IP_MULTICAST_ALL) => options.multicast.gets_all.into(),
        (SOL_IP, IP_MULTICAST_IF) => {
            return Ok(match options.multicast.source {
                Some(IpAddr::V4(ip)) => ip.octets().to_vec(),
                _ => vec![0; 4],
            });
        }
        (SOL_IPV6, IPV6_UNICAST_HOPS) => options.hop_limit.unwrap_or(DEFAULT_TTL).into(),
        (SOL_IPV6, IPV6_MULTICAST_HOPS) => options.multicast_v6.ttl.into(),
        (SOL_IPV6, IPV6_MULTICAST_LOOP) => options.multicast_v6.is_looped.into(),
        (SOL_IPV6, IPV6_MULTICAST_IF) => index(options.multicast_v6.interface),
        (SOL_IPV6, IPV6_RECVERR) => options.receive_errors_v6.into(),
        (SOL_IPV6, IPV6_TCLASS) => options.traffic_class.into(),
        (SOL_IPV6, IPV6_V6ONLY) => options.v6_only.into(),
        _ => return Err(Errno::ENOPROTOOPT),
    };
    Ok(number.to_ne_bytes().to_vec())
}

/// `IP_MULTICAST_IF`: a `struct in_addr`, or a `struct ip_mreq` or `ip_mreqn`, whose second member it is then.
fn set_sender(multicast: &mut Multicast, value: &[u8]) -> Result<()> {
    let (address, index) = match value.len() {
        0..4 => return Err(Errno::EINVAL),
        4..8 => (ipv4(value, 0)?, 0),
        8..12 => (ipv4(value, 4)?, 0),
        _ => (ipv4(value, 4)?, u32::from_ne_bytes(chunk(value, 8)?)),
    };
    multicast.interface = (index != 0).then_some(index);
    multicast.source = (!address.is_unspecified()).then_some(IpAddr::V4(address));
    Ok(())
}

/// What an option does to a socket's groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    Join(Group),
    Leave(Group),
}

/// A `struct ip_mreq`, `ip_mreqn` or `ipv6_mreq`, if the option is about a membership. EINVAL.
pub(super) fn membership(level: i32, name: u32, value: &[u8]) -> Result<Option<Membership>> {
    let (group, joins) = match (level, name) {
        (SOL_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP) => {
            let index = chunk(value, 8).map(u32::from_ne_bytes).unwrap_or(0);
            if value.len() < 8 {
                return Err(Errno::EINVAL);
            }
            (
                group(ipv4(value, 0)?.into(), index),
                name == IP_ADD_MEMBERSHIP,
            )
        }
        (SOL_IPV6, IPV6_ADD_MEMBERSHIP | IPV6_DROP_MEMBERSHIP) => {
            let ip: [u8; 16] = chunk(value, 0)?;
            let index = u32::from_ne_bytes(chunk(value, 16)?);
            let ip = IpAddr::V6(Ipv6Addr::from(ip));
            (group(ip, index), name == IPV6_ADD_MEMBERSHIP)
        }
        _ => return Ok(None),
    };
    Ok(Some(if joins {
        Membership::Join(group)
    } else {
        Membership::Leave(group)
    }))
}

fn group(group: IpAddr, index: u32) -> Group {
    Group {
        group,
        interface: (index != 0).then_some(index),
        source: None,
    }
}

fn ipv4(bytes: &[u8], at: usize) -> Result<Ipv4Addr> {
    chunk(bytes, at).map(|octets: [u8; 4]| octets.into())
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let rest = bytes.get(at..).and_then(|rest| rest.first_chunk());
    rest.copied().ok_or(Errno::EINVAL)
}

/// Makes what was set at `SOL_SOCKET` the stack's. A buffer that differs from its default was set, and stays.
pub(super) fn set_common(options: &mut SocketOptions, common: &CommonOptions) {
    options.reuse_address = common.reuse_address;
    options.reuse_port = common.reuse_port;
    options.broadcast = common.broadcast;
    options.keep_alive = common.keep_alive;
    options.urgent_inline = common.oob_inline;
    options.mark = common.mark;
    options.receive_low_water = usize::try_from(common.receive_low_water).unwrap_or(1);
    let linger = u64::try_from(common.linger.seconds).unwrap_or(0);
    options.linger = (common.linger.on != 0).then(|| Duration::from_secs(linger));
    let send = common.send_buffer as usize;
    if send != options.send_buffer {
        options.send_buffer = send;
        options.send_buffer_locked = true;
    }
    let receive = common.receive_buffer as usize;
    if receive != options.receive_buffer {
        options.receive_buffer = receive;
        options.receive_buffer_locked = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_value_is_a_membership_or_refused(
            level in prop_oneof![Just(SOL_IP), Just(SOL_IPV6)],
            name in 0..80_u32,
            value in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let known = membership(level, name, &value);
            prop_assert!(known.is_ok() || value.len() < 20);
        }
    }
}
