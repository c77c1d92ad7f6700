//! The connections of a stack, by their addresses and ports.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use locks::{Mutex, RwLock};

use super::Socket;
use super::time_wait::TimeWait;
use crate::hash::Secret;
use crate::reach;

/// What names a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Who has a tuple.
#[derive(Clone, Debug)]
pub(crate) enum Owner {
    Socket(Arc<Socket>),
    TimeWait(Arc<Mutex<TimeWait>>),
}

/// Connections and listeners. The lock of the ports may be held while that of the connections is taken, and nothing else.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) listeners: reach::Table<Socket>,
    connections: RwLock<HashMap<Tuple, Owner, Secret>>,
    pub(crate) orphans: AtomicUsize,
    pub(crate) time_waits: AtomicUsize,
}

impl Table {
    pub(crate) fn new(secret: Secret) -> Table {
        Table {
            listeners: reach::Table::new(secret),
            connections: RwLock::new(HashMap::with_hasher(secret)),
            orphans: AtomicUsize::new(0),
            time_waits: AtomicUsize::new(0),
        }
    }

    pub(crate) fn find(&self, tuple: &Tuple) -> Option<Owner> {
        self.connections.read().get(tuple).cloned()
    }

    /// Takes a tuple that nobody has.
    pub(crate) fn insert(&self, tuple: Tuple, socket: &Arc<Socket>) -> bool {
        match self.connections.write().entry(tuple) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Owner::Socket(Arc::clone(socket)));
                true
            }
        }
    }

    /// Takes a tuple that nobody has, or only a connection in `TIME_WAIT` for which `may_replace` holds.
    pub(crate) fn claim(
        &self,
        tuple: Tuple,
        socket: &Arc<Socket>,
        may_replace: impl Fn(&TimeWait) -> bool,
    ) -> Claimed {
        let mut connections = self.connections.write();
        let old = match connections.get(&tuple) {
            None => None,
            Some(Owner::TimeWait(old)) if old.try_lock().is_some_and(|old| may_replace(&old)) => {
                Some(Arc::clone(old))
            }
            Some(_) => return Claimed::Taken,
        };
        connections.insert(tuple, Owner::Socket(Arc::clone(socket)));
        Claimed::Free(old)
    }

    /// Puts what is left of a connection in its place.
    pub(crate) fn leave(&self, tuple: Tuple, rest: TimeWait) {
        self.connections
            .write()
            .insert(tuple, Owner::TimeWait(Arc::new(Mutex::new(rest))));
    }

    /// Takes out the connection of a socket.
    pub(crate) fn remove(&self, tuple: &Tuple, socket: &Socket) {
        let mut connections = self.connections.write();
        let is_its = |owner: &Owner| matches!(owner, Owner::Socket(other) if std::ptr::eq(Arc::as_ptr(other), socket));
        let removed = if connections.get(tuple).is_some_and(is_its) {
            connections.remove(tuple)
        } else {
            None
        };
        drop(connections);
        drop(removed);
    }

    /// Takes out a connection in `TIME_WAIT`, if it is still the one of that number and `is_over` holds.
    pub(crate) fn remove_time_wait(
        &self,
        tuple: &Tuple,
        is_over: impl Fn(&TimeWait) -> bool,
    ) -> Option<Arc<Mutex<TimeWait>>> {
        let mut connections = self.connections.write();
        let Some(Owner::TimeWait(rest)) = connections.get(tuple).cloned() else {
            return None;
        };
        let is_gone = is_over(&rest.lock());
        is_gone.then(|| {
            connections.remove(tuple);
            rest
        })
    }

    /// Forgets all.
    pub(crate) fn clear(&self) -> (Vec<Owner>, Vec<Arc<Socket>>) {
        let connections = self
            .connections
            .write()
            .drain()
            .map(|(_, owner)| owner)
            .collect();
        (connections, self.listeners.clear())
    }

    /// All connections.
    pub(crate) fn all(&self) -> Vec<(Tuple, Owner)> {
        self.connections
            .read()
            .iter()
            .map(|(tuple, owner)| (*tuple, owner.clone()))
            .collect()
    }
}

/// Whether a tuple was to be had.
#[derive(Debug)]
pub(crate) enum Claimed {
    Taken,
    /// With what was left of an older connection.
    Free(Option<Arc<Mutex<TimeWait>>>),
}

/// How long `TIME_WAIT` lasts (`TCP_TIMEWAIT_LEN`).
pub(crate) const TIME_WAIT: Duration = Duration::from_secs(60);
