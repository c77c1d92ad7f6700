//! The neighbors of a link: which hardware address has an IP address (RFC 826, RFC 4861; `man 7 arp`).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use abi::Errno;

use crate::core::Core;
use crate::hash::Secret;
use crate::packet::Packet;
use crate::route::Path;
use crate::timers::{Armed, Timer};

/// How long an answer is believed (`base_reachable_time_ms`).
const REACHABLE: Duration = Duration::from_secs(30);
/// Between two questions (`retrans_time_ms`), and how many there are (`mcast_solicit`, `ucast_solicit`).
const INTERVAL: Duration = Duration::from_secs(1);
const QUESTIONS: u8 = 3;
/// Neighbors at most (`gc_thresh3`), and packets that wait for one.
const MOST: usize = 1024;
const WAITING: usize = 32;

/// A neighbor as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The interface.
    pub interface: u32,
    /// Its address.
    pub ip: IpAddr,
    /// Its hardware address, if it answered.
    pub hardware: Option<[u8; 6]>,
    /// `NUD_*`: incomplete (1), reachable (2), stale (4), probe (16), permanent (128).
    pub state: u16,
}

#[derive(Debug)]
struct Entry {
    hardware: Option<[u8; 6]>,
    is_permanent: bool,
    confirmed: Duration,
    /// When it is asked again, while it is.
    due: Option<Duration>,
    questions: u8,
    waiting: VecDeque<(Packet, Path)>,
}

/// The neighbors of all interfaces.
#[derive(Debug)]
pub(crate) struct Neighbors {
    entries: HashMap<(u32, IpAddr), Entry, Secret>,
    timer: Armed,
}

/// What a question has to be.
enum Ask {
    Nothing,
    Everybody,
    One([u8; 6]),
}

impl Neighbors {
    pub(crate) fn new(secret: Secret) -> Neighbors {
        Neighbors {
            entries: HashMap::with_hasher(secret),
            timer: Armed::default(),
        }
    }

    /// Makes room for one more: who was confirmed longest ago goes.
    fn make_room(&mut self) {
        if self.entries.len() < MOST {
            return;
        }
        let movable = self.entries.iter().filter(|(_, entry)| !entry.is_permanent);
        let oldest = movable
            .min_by_key(|(_, entry)| entry.confirmed)
            .map(|(key, _)| *key);
        if let Some(oldest) = oldest {
            self.entries.remove(&oldest);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// The address of a neighbor; without one, the packet waits.
    fn find(&mut self, path: &Path, packet: &Packet, now: Duration) -> (Option<[u8; 6]>, Ask) {
        let key = (path.interface, path.next_hop);
        if !self.entries.contains_key(&key) {
            self.make_room();
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(now));
        let Some(hardware) = entry.hardware else {
            if entry.waiting.len() >= WAITING {
                entry.waiting.pop_front();
            }
            entry.waiting.push_back((packet.clone(), *path));
            let ask = if entry.begin(now) {
                Ask::Everybody
            } else {
                Ask::Nothing
            };
            return (None, ask);
        };
        let is_old = !entry.is_permanent && now.saturating_sub(entry.confirmed) > REACHABLE;
        let ask = if is_old && entry.begin(now) {
            Ask::One(hardware)
        } else {
            Ask::Nothing
        };
        (Some(hardware), ask)
    }
}

impl Entry {
    fn new(now: Duration) -> Entry {
        Entry {
            hardware: None,
            is_permanent: false,
            confirmed: now,
            due: None,
            questions: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Begins to ask, unless that is under way.
    fn begin(&mut self, now: Duration) -> bool {
        if self.due.is_some() {
            return false;
        }
        self.due = Some(now + INTERVAL);
        self.questions = 1;
        true
    }

    fn state(&self, now: Duration) -> u16 {
        match self.hardware {
            _ if self.is_permanent => 128,
            None => 1,
            Some(_) if self.due.is_some() => 16,
            Some(_) if now.saturating_sub(self.confirmed) > REACHABLE => 4,
            Some(_) => 2,
        }
    }
}

impl Core {
    /// The hardware address for a packet. Without one, the packet waits for the answer to a question.
    pub(crate) fn resolve(&self, path: &Path, packet: &Packet) -> Option<[u8; 6]> {
        let now = self.now();
        let (hardware, ask) = {
            let mut neighbors = self.neighbors.lock();
            let found = neighbors.find(path, packet, now);
            if !matches!(found.1, Ask::Nothing) {
                self.arm(&mut neighbors.timer, Some(now + INTERVAL), || {
                    Timer::Neighbors
                });
            }
            found
        };
        self.ask(path.interface, path.next_hop, &ask);
        hardware
    }

    fn ask(&self, interface: u32, ip: IpAddr, ask: &Ask) {
        let to = match ask {
            Ask::Nothing => return,
            Ask::Everybody => None,
            Ask::One(hardware) => Some(*hardware),
        };
        match ip {
            IpAddr::V4(v4) => self.ask_arp(interface, v4, to),
            IpAddr::V6(v6) => self.ask_ndp(interface, v6, to),
        }
    }

    /// A neighbor said its address. `is_answer` if it was asked; others are noted only if they are known (`arp_accept`).
    pub(crate) fn learn(&self, interface: u32, ip: IpAddr, hardware: [u8; 6], kind: Learnt) {
        let now = self.now();
        let is_usable = hardware[0] & 1 == 0 && !ip.is_unspecified() && !ip.is_multicast();
        if !is_usable || self.network.read().is_local(ip) {
            return;
        }
        let waiting = {
            let mut neighbors = self.neighbors.lock();
            if !neighbors.entries.contains_key(&(interface, ip)) {
                if kind != Learnt::Asks {
                    return;
                }
                neighbors.make_room();
            }
            let entry = neighbors
                .entries
                .entry((interface, ip))
                .or_insert_with(|| Entry::new(now));
            if entry.is_permanent {
                return;
            }
            entry.hardware = Some(hardware);
            entry.confirmed = now;
            entry.due = None;
            std::mem::take(&mut entry.waiting)
        };
        for (packet, path) in waiting {
            self.output.resume(packet, path);
        }
    }

    /// Asks again who did not answer, or gives up.
    pub(crate) fn repeat_questions(&self) {
        let now = self.now();
        let mut asks = Vec::new();
        let mut lost = Vec::new();
        {
            let mut neighbors = self.neighbors.lock();
            neighbors.timer.fired();
            neighbors.entries.retain(|(interface, ip), entry| {
                if entry.due.is_none_or(|due| due > now) {
                    return true;
                }
                if entry.questions >= QUESTIONS {
                    lost.extend(std::mem::take(&mut entry.waiting));
                    return false;
                }
                entry.questions += 1;
                entry.due = Some(now + INTERVAL);
                let ask = entry.hardware.map_or(Ask::Everybody, Ask::One);
                asks.push((*interface, *ip, ask));
                true
            });
            let due = neighbors.deadline();
            self.arm(&mut neighbors.timer, due, || Timer::Neighbors);
        }
        asks.iter()
            .for_each(|(interface, ip, ask)| self.ask(*interface, *ip, ask));
        for (packet, path) in lost {
            self.tell(&packet, path.interface, Errno::EHOSTUNREACH, 0);
        }
    }

    /// Whether the hardware address of a neighbor is known.
    pub(crate) fn knows(&self, interface: u32, ip: IpAddr) -> bool {
        let neighbors = self.neighbors.lock();
        neighbors
            .entries
            .get(&(interface, ip))
            .is_some_and(|entry| entry.hardware.is_some())
    }

    /// All neighbors.
    pub(crate) fn show_neighbors(&self) -> Vec<Neighbor> {
        let now = self.now();
        let neighbors = self.neighbors.lock();
        let shown = neighbors
            .entries
            .iter()
            .map(|((interface, ip), entry)| Neighbor {
                interface: *interface,
                ip: *ip,
                hardware: entry.hardware,
                state: entry.state(now),
            });
        shown.collect()
    }

    /// Sets a neighbor that is never asked. `ENOBUFS` if there are too many.
    pub(crate) fn add_neighbor(
        &self,
        interface: u32,
        ip: IpAddr,
        hardware: [u8; 6],
    ) -> Result<(), Errno> {
        let now = self.now();
        let mut neighbors = self.neighbors.lock();
        let permanent = neighbors
            .entries
            .values()
            .filter(|entry| entry.is_permanent)
            .count();
        if permanent >= MOST / 2 {
            return Err(Errno::ENOBUFS);
        }
        neighbors.make_room();
        let entry = Entry {
            hardware: Some(hardware),
            is_permanent: true,
            ..Entry::new(now)
        };
        neighbors.entries.insert((interface, ip), entry);
        Ok(())
    }

    /// Forgets a neighbor. `ENOENT` if there is none.
    pub(crate) fn remove_neighbor(&self, interface: u32, ip: IpAddr) -> Result<(), Errno> {
        let removed = self.neighbors.lock().entries.remove(&(interface, ip));
        removed.map(drop).ok_or(Errno::ENOENT)
    }

    /// Forgets the neighbors of an interface that is gone or down.
    pub(crate) fn forget_neighbors(&self, interface: u32) {
        self.neighbors
            .lock()
            .entries
            .retain(|(index, _), _| *index != interface);
    }
}

/// How an address was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learnt {
    /// It asks for us, so that it is asked next.
    Asks,
    /// It answers or announces itself.
    Answers,
}
