//! What all parts of a stack share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abi::Errno;
use locks::{Mutex, RwLock};

use crate::account::Account;
use crate::counters::Counting;
use crate::fragment::Fragments;
use crate::groups::Groups;
use crate::hash::Secret;
use crate::neighbor::Neighbors;
use crate::output::Output;
use crate::path_mtu::PathMtus;
use crate::payload::Pool;
use crate::route::{Network, Path, Wish};
use crate::{Config, Embedder, Observer, Readiness, icmp, reach, tcp, timers, udp};

/// A stack's tables, each with a lock that is a leaf.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) secret: Secret,
    pub(crate) pool: Arc<Pool>,
    pub(crate) network: RwLock<Network>,
    pub(crate) output: Output,
    pub(crate) udp: reach::Table<udp::Socket>,
    pub(crate) ping: reach::Table<udp::Socket>,
    pub(crate) raw: udp::RawTable,
    pub(crate) tcp: tcp::Table,
    pub(crate) timers: timers::Timers,
    pub(crate) counts: Counting,
    pub(crate) icmp_limit: Mutex<icmp::Limit>,
    pub(crate) neighbors: Mutex<Neighbors>,
    pub(crate) fragments: Mutex<Fragments>,
    pub(crate) groups: Mutex<Groups>,
    pub(crate) path_mtus: PathMtus,
    config: RwLock<Arc<Config>>,
    next_id: AtomicU64,
    /// Counts changes of the network, so that paths are looked up again.
    generation: AtomicU64,
}

impl Core {
    pub(crate) fn new(embedder: Arc<dyn Embedder>, config: Config) -> Core {
        let secret = Secret::new(&*embedder);
        Core {
            secret,
            pool: Arc::default(),
            network: RwLock::new(Network::new()),
            output: Output::default(),
            udp: reach::Table::new(secret),
            ping: reach::Table::new(secret),
            raw: udp::RawTable::default(),
            tcp: tcp::Table::new(secret),
            timers: timers::Timers::new(embedder.now()),
            groups: Mutex::default(),
            path_mtus: PathMtus::default(),
            counts: Counting::default(),
            icmp_limit: Mutex::default(),
            neighbors: Mutex::new(Neighbors::new(secret)),
            fragments: Mutex::new(Fragments::new(secret, Account::new(Arc::clone(&embedder)))),
            config: RwLock::new(Arc::new(config)),
            next_id: AtomicU64::new(1),
            generation: AtomicU64::new(0),
            embedder,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.embedder.now()
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read())
    }

    pub(crate) fn reconfigure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config.write();
        change(Arc::make_mut(&mut config));
    }

    /// The way to `destination` ([`Network::route`]).
    pub(crate) fn route(&self, destination: IpAddr, wish: Wish) -> Result<Path, Errno> {
        let found = self.network.read().route(destination, wish);
        if found == Err(Errno::ENETUNREACH) {
            self.counts.ip_no_routes.one();
        }
        found.map(|path| self.narrow(path, destination))
    }

    /// Changes interfaces, addresses or routes.
    pub(crate) fn change_network<T>(&self, change: impl FnOnce(&mut Network) -> T) -> T {
        let changed = change(&mut self.network.write());
        self.generation.fetch_add(1, Ordering::Release);
        changed
    }

    /// Grows with each change of the network.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets all sockets, which forget it when their owners do.
    pub(crate) fn shut_down(&self) {
        drop((self.udp.clear(), self.ping.clear(), self.raw.clear()));
        drop((self.tcp.clear(), self.timers.clear()));
    }

    /// A number for a new socket.
    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn account(&self) -> Account {
        Account::new(Arc::clone(&self.embedder))
    }
}

/// Who has to hear of what, once no lock is held any more.
#[derive(Debug, Default)]
#[must_use = "somebody waits for it"]
pub(crate) struct Wakeups(Vec<(Arc<dyn Observer>, Readiness)>);

impl Wakeups {
    pub(crate) fn add(&mut self, observer: &Arc<dyn Observer>, readiness: Readiness) {
        if !readiness.is_empty() {
            self.0.push((Arc::clone(observer), readiness));
        }
    }

    pub(crate) fn run(self) {
        for (observer, readiness) in self.0 {
            observer.changed(readiness);
        }
    }
}
