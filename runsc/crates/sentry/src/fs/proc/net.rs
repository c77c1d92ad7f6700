//! `/proc/net` (`man 5 proc_pid_net`): the reader's network namespace.
//!
//! Interfaces and sockets are those that there are; the tables of what does not exist here are there with their headings,
//! as Linux shows them when they are empty.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};

use netstack::{Family, Interface};

use super::inet_sockets::{TABLES, counts};
use crate::error::Result;
use crate::fs::synthetic::{Directory, Entry, Generated, StaticDirectory};
use crate::kernel::task::Task;
use crate::socket::SocketType;
use crate::vfs::file::OpenFile;

static DIRECTORY: LazyLock<Arc<StaticDirectory>> = LazyLock::new(build);

/// The directory; the same for all, since its files look at who reads them.
pub(super) fn directory() -> Arc<dyn Directory> {
    DIRECTORY.clone()
}

/// Tables that are empty, with their headings.
const EMPTY: &[(&str, &str)] = &[
    ("anycast6", ""),
    (
        "arp",
        "IP address       HW type     Flags       HW address            Mask     Device\n",
    ),
    ("dev_mcast", ""),
    (
        "igmp",
        "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n",
    ),
    ("igmp6", ""),
    ("ipv6_route", ""),
    (
        "mcfilter",
        "Idx Device        MCA        SRC    INC    EXC\n",
    ),
    (
        "netlink",
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
    ),
    (
        "packet",
        "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
    ),
    ("psched", "000003e8 00000040 000f4240 3b9aca00\n"),
    ("ptype", "Type Device      Function\n"),
    (
        "route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n",
    ),
    (
        "rt_cache",
        "Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\tIRTT\tTOS\tHHRef\tHHUptod\tSpecDst                          \n",
    ),
    ("udplite", V4_DATAGRAM),
    ("udplite6", V6_DATAGRAM),
];

const V4_DATAGRAM: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n";
const V6_DATAGRAM: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";

fn build() -> Arc<StaticDirectory> {
    let fixed = EMPTY.iter().map(|(name, text)| {
        let make = move |_: &Task| Ok(text.as_bytes().to_vec());
        (*name, Entry::file(Arc::new(Generated(make))))
    });
    let file = |make: fn(&Task) -> Result<Vec<u8>>| Entry::file(Arc::new(Generated(make)));
    let lists = TABLES.iter().map(|table| {
        let make = move |task: &Task| table.text(task);
        (table.name, Entry::file(Arc::new(Generated(make))))
    });
    StaticDirectory::new(fixed.chain(lists).chain([
        ("dev", file(devices)),
        ("netstat", file(|_| Ok(counters(NETSTAT)))),
        ("protocols", file(protocols)),
        ("snmp", file(|_| Ok(counters(SNMP)))),
        ("if_inet6", file(ipv6_addresses)),
        ("sockstat", file(|task| counts(task, Family::Ipv4))),
        ("sockstat6", file(|task| counts(task, Family::Ipv6))),
        ("unix", file(unix_sockets)),
    ]))
}

fn devices(task: &Task) -> Result<Vec<u8>> {
    let mut text = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
        .to_owned();
    for interface in interfaces(task) {
        let counts = interface.counters;
        let _ = writeln!(
            text,
            "{:>6}: {:7} {:7} {:4} {:4} {:4} {:5} {:10} {:9} {:8} {:7} {:4} {:4} {:4} {:5} {:7} {:10}",
            interface.name,
            counts.received_bytes,
            counts.received,
            0,
            counts.receive_dropped,
            0,
            0,
            0,
            0,
            counts.sent_bytes,
            counts.sent,
            0,
            0,
            0,
            0,
            0,
            0
        );
    }
    Ok(text.into_bytes())
}

/// The interfaces of the reader's namespace.
fn interfaces(task: &Task) -> Vec<Interface> {
    let namespaces = task.namespaces();
    namespaces.net.stack(task.kernel()).interfaces()
}

/// The addresses of IPv6: address, interface, prefix, scope and flags (permanent).
fn ipv6_addresses(task: &Task) -> Result<Vec<u8>> {
    let mut text = String::new();
    for interface in interfaces(task).iter().filter(|interface| interface.is_up) {
        for address in &interface.addresses {
            let IpAddr::V6(ip) = address.ip else {
                continue;
            };
            let scope = if ip.is_loopback() { 0x10 } else { 0 };
            let _ = writeln!(
                text,
                "{:032x} {:02x} {:02x} {scope:02x} 80 {:>8}",
                u128::from_be_bytes(ip.octets()),
                interface.index,
                address.prefix,
                interface.name
            );
        }
    }
    Ok(text.into_bytes())
}

/// Nobody's address.
pub(super) fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Protocols with their counters, in the form of `snmp` and `netstat`: a line of names and one of values.
type Counters = &'static [(&'static str, &'static [(&'static str, i64)])];

const SNMP: Counters = &[
    (
        "Ip",
        &[
            ("Forwarding", 2),
            ("DefaultTTL", 64),
            ("InReceives", 0),
            ("InHdrErrors", 0),
            ("InAddrErrors", 0),
            ("ForwDatagrams", 0),
            ("InUnknownProtos", 0),
            ("InDiscards", 0),
            ("InDelivers", 0),
            ("OutRequests", 0),
            ("OutDiscards", 0),
            ("OutNoRoutes", 0),
            ("ReasmTimeout", 0),
            ("ReasmReqds", 0),
            ("ReasmOKs", 0),
            ("ReasmFails", 0),
            ("FragOKs", 0),
            ("FragFails", 0),
            ("FragCreates", 0),
            ("OutTransmits", 0),
        ],
    ),
    (
        "Icmp",
        &[
            ("InMsgs", 0),
            ("InErrors", 0),
            ("InCsumErrors", 0),
            ("InDestUnreachs", 0),
            ("InTimeExcds", 0),
            ("InEchos", 0),
            ("InEchoReps", 0),
            ("OutMsgs", 0),
            ("OutErrors", 0),
            ("OutDestUnreachs", 0),
            ("OutTimeExcds", 0),
            ("OutEchos", 0),
            ("OutEchoReps", 0),
        ],
    ),
    (
        "Tcp",
        &[
            ("RtoAlgorithm", 1),
            ("RtoMin", 200),
            ("RtoMax", 120_000),
            ("MaxConn", -1),
            ("ActiveOpens", 0),
            ("PassiveOpens", 0),
            ("AttemptFails", 0),
            ("EstabResets", 0),
            ("CurrEstab", 0),
            ("InSegs", 0),
            ("OutSegs", 0),
            ("RetransSegs", 0),
            ("InErrs", 0),
            ("OutRsts", 0),
            ("InCsumErrors", 0),
        ],
    ),
    ("Udp", UDP),
    ("UdpLite", UDP),
];

const UDP: &[(&str, i64)] = &[
    ("InDatagrams", 0),
    ("NoPorts", 0),
    ("InErrors", 0),
    ("OutDatagrams", 0),
    ("RcvbufErrors", 0),
    ("SndbufErrors", 0),
    ("InCsumErrors", 0),
    ("IgnoredMulti", 0),
    ("MemErrors", 0),
];

const NETSTAT: Counters = &[
    (
        "TcpExt",
        &[
            ("SyncookiesSent", 0),
            ("SyncookiesRecv", 0),
            ("SyncookiesFailed", 0),
            ("TW", 0),
            ("DelayedACKs", 0),
            ("ListenOverflows", 0),
            ("ListenDrops", 0),
            ("TCPTimeouts", 0),
            ("TCPLossProbes", 0),
            ("TCPRetransFail", 0),
        ],
    ),
    (
        "IpExt",
        &[
            ("InNoRoutes", 0),
            ("InTruncatedPkts", 0),
            ("InMcastPkts", 0),
            ("OutMcastPkts", 0),
            ("InBcastPkts", 0),
            ("OutBcastPkts", 0),
            ("InOctets", 0),
            ("OutOctets", 0),
        ],
    ),
];

fn counters(rows: Counters) -> Vec<u8> {
    let mut text = String::new();
    for (protocol, counters) in rows {
        let names: String = counters
            .iter()
            .map(|(name, _)| format!(" {name}"))
            .collect();
        let values: String = counters
            .iter()
            .map(|(_, value)| format!(" {value}"))
            .collect();
        let _ = write!(text, "{protocol}:{names}\n{protocol}:{values}\n");
    }
    text.into_bytes()
}

fn protocols(task: &Task) -> Result<Vec<u8>> {
    let count = sockets(task).len();
    Ok(format!(
        "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\n\
         UNIX-STREAM 1152 {count:6}      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n\n\
         UNIX      1152 {count:6}      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n\n"
    )
    .into_bytes())
}

/// The sockets that processes of the reader's network namespace have open, each once. Those that are in
/// messages nobody has received are missing.
pub(super) fn sockets(task: &Task) -> Vec<Arc<OpenFile>> {
    let net_ino = task.namespaces().net.ino;
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (_, other) in task.kernel().root_pid_ns().tasks() {
        if other.namespaces().net.ino != net_ino {
            continue;
        }
        for (_, descriptor) in other.files().list() {
            let file = descriptor.file;
            if file.file().socket().is_some() && seen.insert(Arc::as_ptr(&file).addr()) {
                found.push(file);
            }
        }
    }
    found
}

/// `SO_ACCEPTCON`
const LISTENING: u32 = 0x1_0000;
/// `SS_UNCONNECTED`, `SS_CONNECTED`
const UNCONNECTED: u32 = 1;
const CONNECTED: u32 = 3;

fn unix_sockets(task: &Task) -> Result<Vec<u8>> {
    let mut text = b"Num       RefCount Protocol Flags    Type St Inode Path\n".to_vec();
    for open in sockets(task) {
        let Some(socket) = open.file().socket() else {
            continue;
        };
        if socket.family() != abi::socket::AF_UNIX {
            continue;
        }
        let listening = socket.is_listening();
        let state = if !listening && socket.peer_address().is_ok() {
            CONNECTED
        } else {
            UNCONNECTED
        };
        let kind = match socket.kind() {
            SocketType::Stream => 1,
            SocketType::Datagram => 2,
            _ => 5,
        };
        let ino = open.inode().attr().map_or(0, |attr| attr.ino);
        let line = format!(
            "{:016x}: {:08X} {:08X} {:08X} {kind:04X} {state:02X} {ino:5}",
            0,
            2,
            0,
            if listening { LISTENING } else { 0 },
        );
        text.extend(line.into_bytes());
        let address = socket.local_address().unwrap_or_default();
        // An abstract name shows with an @ for each NUL.
        let name = address.get(2..).unwrap_or_default();
        let name = if name.first() == Some(&0) {
            name
        } else {
            name.split(|byte| *byte == 0).next().unwrap_or_default()
        };
        if !name.is_empty() {
            text.push(b' ');
            text.extend(
                name.iter()
                    .map(|byte| if *byte == 0 { b'@' } else { *byte }),
            );
        }
        text.push(b'\n');
    }
    Ok(text)
}
