//! Which socket a datagram, or a connection to come, is for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use locks::{Mutex, RwLock};

use crate::hash::{Purpose, Secret};
use crate::ports::{Claim, Ports};

/// Sockets of one protocol by port.
#[derive(Debug)]
pub(crate) struct Table<S> {
    pub(crate) ports: Mutex<Ports>,
    entries: RwLock<HashMap<u16, Vec<Entry<S>>, Secret>>,
    secret: Secret,
}

/// A socket, with what decides whether a datagram is for it.
#[derive(Debug)]
struct Entry<S> {
    claim: Claim,
    peer: Option<SocketAddr>,
    socket: Arc<S>,
}

/// What is known of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) interface: u32,
}

impl<S> Entry<S> {
    /// How well the entry fits: the more that it names, the better. `None` if it does not.
    fn score(&self, flow: &Flow) -> Option<u32> {
        let claim = &self.claim;
        let mut score = u32::from(claim.address.is_ipv4() == flow.local.is_ipv4());
        if claim.address == flow.local.ip() {
            score += 4;
        } else if !covers(claim, flow.local.ip()) {
            return None;
        }
        match self.peer {
            Some(peer) if peer.ip() == flow.peer.ip() && peer.port() == flow.peer.port() => {
                score += 8;
            }
            Some(_) => return None,
            None => {}
        }
        match claim.device {
            Some(device) if device == flow.interface => score += 2,
            Some(_) => return None,
            None => {}
        }
        Some(score)
    }
}

/// Whether the address that a claim names, if it is unspecified, takes packets to `ip`.
fn covers(claim: &Claim, ip: IpAddr) -> bool {
    claim.address.is_unspecified()
        && (claim.address.is_ipv4() == ip.is_ipv4() || (ip.is_ipv4() && !claim.v6_only))
}

impl<S> Table<S> {
    pub(crate) fn new(secret: Secret) -> Table<S> {
        Table {
            ports: Mutex::new(Ports::new(secret)),
            entries: RwLock::new(HashMap::with_hasher(secret)),
            secret,
        }
    }

    /// Makes the socket reachable at the port of its claim, or changes how it is.
    pub(crate) fn insert(&self, port: u16, claim: Claim, peer: Option<SocketAddr>, socket: Arc<S>) {
        let mut entries = self.entries.write();
        let at_port = entries.entry(port).or_default();
        at_port.retain(|entry| entry.claim.id != claim.id);
        at_port.push(Entry {
            claim,
            peer,
            socket,
        });
    }

    pub(crate) fn remove(&self, port: u16, id: u64) {
        self.ports.lock().release(port, id);
        let mut entries = self.entries.write();
        if let Some(at_port) = entries.get_mut(&port) {
            at_port.retain(|entry| entry.claim.id != id);
            if at_port.is_empty() {
                entries.remove(&port);
            }
        }
    }

    /// The socket that fits best; of several that share the port, always the same one for a flow.
    pub(crate) fn find(&self, flow: &Flow) -> Option<Arc<S>> {
        let entries = self.entries.read();
        let at_port = entries.get(&flow.local.port())?;
        let scored = at_port
            .iter()
            .filter_map(|entry| Some((entry.score(flow)?, entry)));
        let best = scored.clone().map(|(score, _)| score).max()?;
        let fitting: Vec<&Entry<S>> = scored
            .filter(|(score, _)| *score == best)
            .map(|(_, entry)| entry)
            .collect();
        let last = *fitting.last()?;
        if fitting.len() == 1 || !last.claim.reuse_port {
            return Some(Arc::clone(&last.socket));
        }
        let hash = self.secret.hash(Purpose::Balance, (flow.local, flow.peer));
        let turn = usize::try_from(hash).unwrap_or_default() % fitting.len();
        fitting.get(turn).map(|entry| Arc::clone(&entry.socket))
    }

    /// All sockets that a datagram to many is for.
    pub(crate) fn find_all(&self, flow: &Flow) -> Vec<Arc<S>> {
        let entries = self.entries.read();
        let at_port = entries
            .get(&flow.local.port())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let fitting = at_port.iter().filter(|entry| entry.score(flow).is_some());
        fitting.map(|entry| Arc::clone(&entry.socket)).collect()
    }

    /// All sockets that have a port.
    pub(crate) fn all(&self) -> Vec<Arc<S>> {
        let entries = self.entries.read();
        let all = entries.values().flatten();
        all.map(|entry| Arc::clone(&entry.socket)).collect()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) -> Vec<Arc<S>> {
        let entries = std::mem::replace(
            &mut *self.entries.write(),
            HashMap::with_hasher(self.secret),
        );
        entries
            .into_values()
            .flatten()
            .map(|entry| entry.socket)
            .collect()
    }
}
