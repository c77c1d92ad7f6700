//! The sockets of a stack, as `/proc/net` and `ss` list them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;
use crate::tcp::{self, State};
use crate::{Family, Queued, udp};

/// A socket in a list.
#[derive(Clone, Debug)]
pub struct SocketEntry {
    /// Its number, the same as that of the socket; 0 if no program can have it.
    pub id: u64,
    /// What it is.
    pub kind: SocketKind,
    /// The family it was made in; of `TIME_WAIT` and half-open connections, that of their addresses.
    pub family: Family,
    /// Its address.
    pub local: SocketAddr,
    /// Its peer.
    pub peer: Option<SocketAddr>,
    /// Its state; of sockets that send messages, established with a peer and else closed.
    pub state: State,
    /// What lies in its queues; of a listening socket, the connections that wait and the backlog.
    pub queued: Queued,
    /// The user that it is of.
    pub owner: u32,
    /// When its next timer fires, from now.
    pub timer: Option<Duration>,
    /// What is known of its connection.
    pub info: Option<tcp::Info>,
}

/// What a listed socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP.
    Tcp,
    /// UDP, a ping socket, or a raw one.
    Messages(udp::Kind),
}

impl Core {
    /// All sockets that have an address, and what is left of connections.
    pub(crate) fn list(&self) -> Vec<SocketEntry> {
        let messages = [self.udp.all(), self.ping.all(), self.raw.all()];
        let mut list: Vec<SocketEntry> = messages
            .iter()
            .flatten()
            .map(|socket| socket.show())
            .collect();
        let now = self.now();
        for listener in self.tcp.listeners.all() {
            list.push(listener.show());
            list.extend(listener.show_handshakes());
        }
        for (tuple, owner) in self.tcp.all() {
            list.push(match owner {
                tcp::Owner::Socket(socket) => socket.show(),
                tcp::Owner::TimeWait(rest) => {
                    let expires = rest.lock().expires;
                    let mut entry = half(&tuple, State::TimeWait);
                    entry.timer = Some(expires.saturating_sub(now));
                    entry
                }
            });
        }
        list
    }
}

/// A connection that no program has.
pub(crate) fn half(tuple: &tcp::Tuple, state: State) -> SocketEntry {
    SocketEntry {
        id: 0,
        kind: SocketKind::Tcp,
        family: if tuple.local.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        },
        local: tuple.local,
        peer: Some(tuple.peer),
        state,
        queued: Queued::default(),
        owner: 0,
        timer: None,
        info: None,
    }
}

impl tcp::Socket {
    fn show(self: &Arc<Self>) -> SocketEntry {
        let state = self.state();
        SocketEntry {
            id: self.id(),
            kind: SocketKind::Tcp,
            family: self.family(),
            local: self.local_address(),
            peer: self.peer(),
            state,
            queued: self.queued(),
            owner: self.options().owner,
            timer: self.next_timer(),
            info: (state != State::Listen).then(|| self.info()),
        }
    }
}

impl udp::Socket {
    fn show(&self) -> SocketEntry {
        let peer = self.peer_address().ok();
        SocketEntry {
            id: self.id(),
            kind: SocketKind::Messages(self.kind()),
            family: self.family(),
            local: self.local_address(),
            peer,
            state: if peer.is_some() {
                State::Established
            } else {
                State::Closed
            },
            queued: self.queued(),
            owner: self.options().owner,
            timer: None,
            info: None,
        }
    }
}
