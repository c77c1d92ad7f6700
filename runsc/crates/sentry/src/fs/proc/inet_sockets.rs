//! The sockets of the Internet families in `/proc/net` (`man 5 proc_pid_net`): `tcp`, `udp`, `raw`, `icmp` and their like.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use netstack::tcp::State;
use netstack::{Family, SocketEntry, SocketKind, udp};

use crate::error::Result;
use crate::kernel::task::Task;

/// A list of sockets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Its file.
    pub(super) name: &'static str,
    family: Family,
    holds: Holds,
}

/// Which sockets a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Tcp,
    Udp,
    Ping,
    Raw,
}

/// All lists.
pub(super) const TABLES: [Table; 8] = [
    table("tcp", Family::Ipv4, Holds::Tcp),
    table("tcp6", Family::Ipv6, Holds::Tcp),
    table("udp", Family::Ipv4, Holds::Udp),
    table("udp6", Family::Ipv6, Holds::Udp),
    table("icmp", Family::Ipv4, Holds::Ping),
    table("icmp6", Family::Ipv6, Holds::Ping),
    table("raw", Family::Ipv4, Holds::Raw),
    table("raw6", Family::Ipv6, Holds::Raw),
];

const fn table(name: &'static str, family: Family, holds: Holds) -> Table {
    Table {
        name,
        family,
        holds,
    }
}

/// Linux pads the lines of these lists.
const TCP_LINE: usize = 149;
const DATAGRAM_LINE: usize = 127;

impl Table {
    fn has(&self, entry: &SocketEntry) -> bool {
        let holds = match entry.kind {
            SocketKind::Tcp => Holds::Tcp,
            SocketKind::Messages(udp::Kind::Udp) => Holds::Udp,
            SocketKind::Messages(udp::Kind::Ping) => Holds::Ping,
            SocketKind::Messages(udp::Kind::Raw(_)) => Holds::Raw,
        };
        entry.family == self.family && holds == self.holds
    }

    fn heading(&self) -> String {
        let (is_tcp, is_v4) = (self.holds == Holds::Tcp, self.family == Family::Ipv4);
        let line = match (is_tcp, is_v4) {
            (true, true) => {
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
            }
            (false, true) => {
                "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"
            }
            (true, false) => {
                "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
            }
            (false, false) => {
                "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"
            }
        };
        let width = match (is_tcp, is_v4) {
            (true, true) => TCP_LINE,
            (false, true) => DATAGRAM_LINE,
            _ => 0,
        };
        format!("{line:width$}\n")
    }

    /// The whole file.
    pub(super) fn text(&self, task: &Task) -> Result<Vec<u8>> {
        let inodes: HashMap<u64, u64> = super::net::sockets(task)
            .into_iter()
            .filter_map(|open| {
                let id = open.file().socket()?.stack_id()?;
                Some((id, open.inode().attr().ok()?.ino))
            })
            .collect();
        let namespaces = task.namespaces();
        let sockets = namespaces.net.stack(task.kernel()).sockets();
        let mut text = self.heading();
        for (number, entry) in sockets.iter().filter(|entry| self.has(entry)).enumerate() {
            let inode = inodes.get(&entry.id).copied().unwrap_or(0);
            let line = self.line(number, entry, inode);
            let width = match (self.holds, self.family) {
                (Holds::Tcp, Family::Ipv4) => TCP_LINE,
                (_, Family::Ipv4) => DATAGRAM_LINE,
                (_, Family::Ipv6) => 0,
            };
            let _ = writeln!(text, "{line:width$}");
        }
        Ok(text.into_bytes())
    }

    fn line(&self, number: usize, entry: &SocketEntry, inode: u64) -> String {
        /// A second has so many of the ticks that these lists count in (`USER_HZ`).
        const TICKS: u128 = 100;
        let width = if self.holds == Holds::Tcp { 4 } else { 5 };
        let nobody = SocketAddr::new(super::net::unspecified(self.family), 0);
        let peer = entry.peer.unwrap_or(nobody);
        // A listener's backlog is no queue of bytes.
        let unsent = if entry.state == State::Listen {
            0
        } else {
            entry.queued.send
        };
        let ticks = |time: std::time::Duration| time.as_millis() * TICKS / 1000;
        let mut line = format!(
            "{number:width$}: {} {} {:02X} {unsent:08X}:{:08X} {:02X}:{:08X} {:08X} {:5} {:8} {inode}",
            address(entry.local),
            address(peer),
            entry.state as u8,
            entry.queued.receive,
            u8::from(entry.timer.is_some()),
            entry.timer.map_or(0, ticks),
            entry.info.map_or(0, |info| info.retransmits),
            entry.owner,
            entry.info.map_or(0, |info| info.probes),
        );
        // References, and an address that nobody is told.
        let _ = match (self.holds, entry.info) {
            (Holds::Tcp, Some(info)) => write!(
                line,
                " 1 {:016x} {} {} {} {} {}",
                0,
                ticks(info.rto),
                0,
                0,
                info.window,
                info.threshold.cast_signed()
            ),
            (Holds::Tcp, None) => write!(line, " 1 {:016x} 100 0 0 10 0", 0),
            _ => write!(line, " 2 {:016x} 0", 0),
        };
        line
    }
}

/// An address as these lists have it: words in the processor's order.
fn address(address: SocketAddr) -> String {
    let port = address.port();
    match address.ip() {
        IpAddr::V4(ip) => format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip.octets())),
        IpAddr::V6(ip) => {
            let words = ip.octets();
            let words = words.chunks_exact(4).map(|word| {
                let word = word.first_chunk().copied().unwrap_or_default();
                format!("{:08X}", u32::from_ne_bytes(word))
            });
            format!("{}:{port:04X}", words.collect::<String>())
        }
    }
}

/// How many sockets there are: `sockstat`, or with IPv6 `sockstat6`.
pub(super) fn counts(task: &Task, family: Family) -> Result<Vec<u8>> {
    let namespaces = task.namespaces();
    let sockets = namespaces.net.stack(task.kernel()).sockets();
    let count = |holds: Holds| {
        let has = |entry: &&SocketEntry| {
            let is_alive = entry.state != State::TimeWait;
            table("", family, holds).has(entry) && is_alive
        };
        sockets.iter().filter(has).count()
    };
    let waiting = sockets
        .iter()
        .filter(|entry| entry.state == State::TimeWait)
        .count();
    let orphans = sockets
        .iter()
        .filter(|entry| matches!(entry.state, State::FinWait1 | State::LastAck))
        .count();
    let (tcp, udp, raw) = (count(Holds::Tcp), count(Holds::Udp), count(Holds::Raw));
    Ok(match family {
        Family::Ipv4 => format!(
            "sockets: used {}\nTCP: inuse {tcp} orphan {orphans} tw {waiting} alloc {tcp} mem 0\n\
             UDP: inuse {udp} mem 0\nUDPLITE: inuse 0\nRAW: inuse {raw}\nFRAG: inuse 0 memory 0\n",
            super::net::sockets(task).len()
        ),
        Family::Ipv6 => format!(
            "TCP6: inuse {tcp}\nUDP6: inuse {udp}\nUDPLITE6: inuse 0\nRAW6: inuse {raw}\nFRAG6: inuse 0 memory 0\n"
        ),
    }
    .into_bytes())
}
