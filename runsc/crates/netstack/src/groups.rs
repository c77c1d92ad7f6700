//! Which groups this host is in, and telling that to routers and switches: `IGMPv3` (RFC 3376) and `MLDv2` (RFC 3810).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::core::Core;
use crate::packet::{Cutting, Packet, Transport, protocol};
use crate::route::{LOOPBACK, Path, Way};
use crate::timers::{Armed, Timer};
use crate::wire;

/// Messages.
pub(crate) const QUERY: u8 = 0x11;
pub(crate) const QUERY_V6: u8 = 130;
const REPORT: u8 = 0x22;
const REPORT_V6: u8 = 143;
/// Who listens to reports.
const REPORTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
const REPORTS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// A hop-by-hop header with a router alert (RFC 2711), before a message of MLD.
const ALERT: [u8; 8] = [protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];
/// Records in one report, so that it fits into any link.
const RECORDS: usize = 50;
/// Network control (RFC 3376, 4).
const TOS: u8 = 0xc0;

/// What a record says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    /// It is in it.
    Is = 2,
    Leaves = 3,
    Joins = 4,
}

/// The groups of each interface, with how many sockets are in each.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    joined: HashMap<(u32, IpAddr), usize>,
    /// When a query on an interface is answered.
    due: HashMap<u32, Duration>,
    timer: Armed,
}

impl Groups {
    fn of(&self, interface: u32) -> Vec<IpAddr> {
        let its = self.joined.keys().filter(|(index, _)| *index == interface);
        its.map(|(_, group)| *group).collect()
    }
}

/// Everybody is in these, which nobody reports.
fn is_silent(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(v4) => v4 == Ipv4Addr::new(224, 0, 0, 1),
        IpAddr::V6(v6) => {
            v6 == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1) || v6.segments()[0] & 0xf <= 1
        }
    }
}

impl Core {
    /// A socket joined a group.
    pub(crate) fn join_group(&self, interface: u32, group: IpAddr) {
        let is_first = {
            let mut groups = self.groups.lock();
            let count = groups.joined.entry((interface, group)).or_default();
            *count += 1;
            *count == 1
        };
        if is_first {
            self.report_groups(interface, &[group], Record::Joins);
        }
    }

    /// A socket left a group.
    pub(crate) fn leave_group(&self, interface: u32, group: IpAddr) {
        let is_last = {
            let mut groups = self.groups.lock();
            let count = groups.joined.entry((interface, group)).or_default();
            *count = count.saturating_sub(1);
            let is_last = *count == 0;
            if is_last {
                groups.joined.remove(&(interface, group));
            }
            is_last
        };
        if is_last {
            self.report_groups(interface, &[group], Record::Leaves);
        }
    }

    /// Somebody asks who is in which group: the answer comes within the time that the question names.
    pub(crate) fn input_query(&self, interface: u32, within: Duration) {
        let span = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
        let due = self.now() + Duration::from_millis(self.embedder.random_u64() % span);
        let mut groups = self.groups.lock();
        if groups.of(interface).is_empty() {
            return;
        }
        let due = *groups
            .due
            .entry(interface)
            .and_modify(|old| *old = due.min(*old))
            .or_insert(due);
        self.arm(&mut groups.timer, Some(due), || Timer::Groups);
    }

    /// Answers queries.
    pub(crate) fn answer_queries(&self) {
        let now = self.now();
        let answers: Vec<(u32, Vec<IpAddr>)> = {
            let mut groups = self.groups.lock();
            groups.timer.fired();
            let due: Vec<u32> = groups
                .due
                .iter()
                .filter(|(_, at)| **at <= now)
                .map(|(index, _)| *index)
                .collect();
            groups.due.retain(|_, at| *at > now);
            let next = groups.due.values().min().copied();
            self.arm(&mut groups.timer, next, || Timer::Groups);
            due.into_iter()
                .map(|index| (index, groups.of(index)))
                .collect()
        };
        for (interface, groups) in answers {
            let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) =
                groups.into_iter().partition(IpAddr::is_ipv4);
            for part in v4.chunks(RECORDS).chain(v6.chunks(RECORDS)) {
                self.report_groups(interface, part, Record::Is);
            }
        }
    }

    /// Reports groups of one family.
    fn report_groups(&self, interface: u32, groups: &[IpAddr], record: Record) {
        let told: Vec<IpAddr> = groups
            .iter()
            .copied()
            .filter(|group| !is_silent(*group))
            .collect();
        let Some(first) = told.first().filter(|_| interface != LOOPBACK) else {
            return;
        };
        let is_v4 = first.is_ipv4();
        let to = if is_v4 {
            IpAddr::V4(REPORTS)
        } else {
            IpAddr::V6(REPORTS_V6)
        };
        let found = {
            let network = self.network.read();
            let device = network.device(interface).filter(|device| device.is_up);
            device.map(|device| (device.source_for(to, to), device.mtu))
        };
        let Some((source, mtu)) = found else {
            return;
        };
        let source = source.unwrap_or(crate::address::any_like(to));
        let packet = Packet {
            source,
            destination: to,
            ttl: 1,
            tos: if is_v4 { TOS } else { 0 },
            cutting: Cutting::Forbidden,
            transport: message(source, to, &told, record),
        };
        let path = Path {
            interface,
            source,
            next_hop: to,
            mtu,
            way: Way::Multicast,
        };
        self.output.push(packet, path);
    }
}

fn message(source: IpAddr, to: IpAddr, groups: &[IpAddr], record: Record) -> Transport {
    let count = u16::try_from(groups.len()).unwrap_or_default();
    let mut body = vec![0, 0];
    body.extend_from_slice(&count.to_be_bytes());
    for group in groups {
        body.extend_from_slice(&[record as u8, 0, 0, 0]);
        match group {
            IpAddr::V4(v4) => body.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => body.extend_from_slice(&v6.octets()),
        }
    }
    let kind = if to.is_ipv4() { REPORT } else { REPORT_V6 };
    let head = [kind, 0];
    let pseudo = wire::pseudo_header(source, to, protocol::ICMPV6, body.len() + 4);
    let pseudo = if to.is_ipv4() {
        &[][..]
    } else {
        pseudo.as_slice()
    };
    let sum = wire::checksum(&[pseudo, &head, &body]);
    let mut bytes = if to.is_ipv4() {
        Vec::new()
    } else {
        ALERT.to_vec()
    };
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.append(&mut body);
    let number = if to.is_ipv4() {
        protocol::IGMP
    } else {
        protocol::HOP_BY_HOP
    };
    Transport::Other(number, bytes.into())
}
