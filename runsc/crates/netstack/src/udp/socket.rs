//! A socket that sends messages.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use abi::Errno;
use locks::Mutex;

use super::{Kind, Received};
use crate::account::Account;
use crate::core::{Core, Wakeups};
use crate::errors::Errors;
use crate::ports::{self, Claim};
use crate::route::Wish;
use crate::{
    Family, Group, Observer, Queued, QueuedError, Readiness, Shutdown, SocketOptions, address,
    reach,
};

/// A socket of UDP, a ping socket, or a raw one. The stack keeps it as long as it can get messages: [`Socket::close`] ends it.
#[derive(Debug)]
pub struct Socket {
    pub(super) core: Arc<Core>,
    pub(super) id: u64,
    pub(super) family: Family,
    pub(super) kind: Kind,
    pub(super) inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) options: SocketOptions,
    /// The address that it was bound to.
    pub(super) bound: Option<IpAddr>,
    /// The address that a connection chose.
    pub(super) chosen: Option<IpAddr>,
    pub(super) port: u16,
    /// The port was asked for: it stays when a connection goes.
    is_port_bound: bool,
    pub(super) peer: Option<SocketAddr>,
    pub(super) peer_scope: Option<u32>,
    pub(super) queue: VecDeque<Received>,
    pub(super) account: Account,
    pub(super) errors: Errors,
    pub(super) is_read_shut: bool,
    pub(super) is_write_shut: bool,
    pub(super) is_closed: bool,
    pub(super) groups: Vec<Group>,
}

impl Socket {
    pub(crate) fn new(
        core: &Arc<Core>,
        family: Family,
        kind: Kind,
        observer: Arc<dyn Observer>,
    ) -> Arc<Socket> {
        let inner = Inner {
            observer,
            options: SocketOptions::new(&core.config()),
            bound: None,
            chosen: None,
            port: 0,
            is_port_bound: false,
            peer: None,
            peer_scope: None,
            queue: VecDeque::new(),
            account: core.account(),
            errors: Errors::default(),
            is_read_shut: false,
            is_write_shut: false,
            is_closed: false,
            groups: Vec::new(),
        };
        let socket = Arc::new(Socket {
            core: Arc::clone(core),
            id: core.new_id(),
            family,
            kind,
            inner: Mutex::new(inner),
        });
        if let Kind::Raw(protocol) = kind {
            core.raw.insert(protocol, Arc::clone(&socket));
        }
        socket
    }

    /// Its number, which no other socket of the stack has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The family that it was made in.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// What its messages are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `bind(2)`. Port 0 takes any. `EINVAL` if it has an address, `EADDRNOTAVAIL` if nobody here has that one, `EADDRINUSE`.
    pub fn bind(self: &Arc<Self>, to: SocketAddr) -> Result<(), Errno> {
        let mut inner = self.inner.lock();
        if inner.port != 0 || inner.is_closed {
            return Err(Errno::EINVAL);
        }
        let wanted = address::inward(to, self.family, &inner.options)?;
        let ip = wanted.ip();
        self.check_local(ip, &inner.options)?;
        inner.bound = Some(ip);
        if let Some(scope) = address::scope(to) {
            inner.options.device = Some(scope);
        }
        let taken = self.take_port(&mut inner, wanted.port());
        inner.is_port_bound = wanted.port() != 0;
        if taken.is_err() {
            inner.bound = None;
        }
        taken
    }

    /// Whether a socket can have this address: one of this host, a group, or any.
    fn check_local(&self, ip: IpAddr, options: &SocketOptions) -> Result<(), Errno> {
        let config = self.core.config();
        let is_free =
            ip.is_unspecified() || ip.is_multicast() || options.free_bind || config.nonlocal_bind;
        let network = self.core.network.read();
        let is_broadcast = || {
            network
                .interfaces()
                .iter()
                .any(|one| network.is_broadcast(one.index, ip))
        };
        if is_free || network.is_local(ip) || is_broadcast() {
            Ok(())
        } else {
            Err(Errno::EADDRNOTAVAIL)
        }
    }

    /// Gives it a port, if it has none.
    pub(super) fn take_port(self: &Arc<Self>, inner: &mut Inner, port: u16) -> Result<(), Errno> {
        if inner.port != 0 {
            return Ok(());
        }
        let Some(table) = self.table() else {
            return Ok(());
        };
        let claim = self.claim(inner);
        let (config, start) = (self.core.config(), self.core.embedder.random_u64());
        inner.port = table.ports.lock().bind(port, claim, &config, start)?;
        self.publish(inner);
        Ok(())
    }

    /// Where messages find it by a number, which of ping sockets is the identifier.
    fn table(&self) -> Option<&reach::Table<Socket>> {
        match self.kind {
            Kind::Udp => Some(&self.core.udp),
            Kind::Ping => Some(&self.core.ping),
            Kind::Raw(_) => None,
        }
    }

    fn withdraw(&self, port: u16) {
        if let Some(table) = self.table() {
            table.remove(port, self.id);
        }
    }

    /// The port that addresses show: of a raw socket, the protocol.
    fn shown_port(&self, inner: &Inner) -> u16 {
        match self.kind {
            Kind::Raw(protocol) => protocol.into(),
            Kind::Udp | Kind::Ping => inner.port,
        }
    }

    fn claim(&self, inner: &Inner) -> Claim {
        Claim {
            id: self.id,
            family: self.family,
            address: inner
                .bound
                .or(inner.chosen)
                .unwrap_or(address::any(self.family)),
            v6_only: self.family == Family::Ipv4 || inner.options.v6_only,
            device: inner.options.device,
            reuse_address: inner.options.reuse_address,
            reuse_port: inner.options.reuse_port,
            owner: inner.options.owner,
            is_listening: false,
            is_shared: false,
        }
    }

    /// Tells the table what decides about datagrams.
    fn publish(self: &Arc<Self>, inner: &Inner) {
        if let Some(table) = self.table() {
            table.insert(inner.port, self.claim(inner), inner.peer, Arc::clone(self));
        }
    }

    /// `connect(2)`: the only peer from now on; `None` dissolves that. `ENETUNREACH` without a route, `EACCES` for a
    /// broadcast address without `SO_BROADCAST`.
    pub fn connect(self: &Arc<Self>, to: Option<SocketAddr>) -> Result<(), Errno> {
        let mut inner = self.inner.lock();
        let Some(to) = to else {
            self.dissolve(&mut inner);
            return Ok(());
        };
        let peer = address::inward(to, self.family, &inner.options)?;
        let port = if self.kind == Kind::Udp {
            peer.port()
        } else {
            0
        };
        let peer = SocketAddr::new(address::destination(peer.ip()), port);
        let wish = Wish {
            source: inner.bound.filter(|ip| !ip.is_unspecified()),
            interface: address::scope(to).or(inner.options.device),
        };
        let path = self.core.route(peer.ip(), wish)?;
        if path.way == crate::route::Way::Broadcast && !inner.options.broadcast {
            return Err(Errno::EACCES);
        }
        inner.peer_scope = address::scope(to);
        if wish.source.is_none() {
            inner.chosen = Some(path.source);
        }
        let old = inner.peer.replace(peer);
        if let Err(errno) = self.take_port(&mut inner, 0) {
            inner.peer = old;
            return Err(errno);
        }
        self.publish(&inner);
        Ok(())
    }

    fn dissolve(self: &Arc<Self>, inner: &mut Inner) {
        inner.peer = None;
        inner.chosen = None;
        if inner.port != 0 && !inner.is_port_bound && inner.bound.is_none() {
            self.withdraw(inner.port);
            inner.port = 0;
        } else if inner.port != 0 {
            self.publish(inner);
        }
    }

    /// `getsockname(2)`
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        let inner = self.inner.lock();
        let bound = inner
            .bound
            .filter(|ip| !ip.is_unspecified() || inner.chosen.is_none());
        ports::local(bound.or(inner.chosen), self.shown_port(&inner), self.family)
    }

    /// `getpeername(2)`: `ENOTCONN` without one.
    pub fn peer_address(&self) -> Result<SocketAddr, Errno> {
        let inner = self.inner.lock();
        let peer = inner.peer.ok_or(Errno::ENOTCONN)?;
        Ok(address::outward(
            peer.ip(),
            peer.port(),
            self.family,
            inner.peer_scope.unwrap_or(0),
        ))
    }

    /// What it is ready for.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.inner.lock().readiness()
    }

    /// `SO_ERROR`: the pending error, which is pending no more.
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        self.inner.lock().errors.take()
    }

    /// The next message of the error queue; `EAGAIN` if there is none.
    pub fn error_queue(&self) -> Result<QueuedError, Errno> {
        self.inner.lock().errors.pop()
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> SocketOptions {
        self.inner.lock().options.clone()
    }

    /// Changes options.
    pub fn configure(self: &Arc<Self>, change: impl FnOnce(&mut SocketOptions)) {
        let mut inner = self.inner.lock();
        change(&mut inner.options);
        if inner.port != 0 {
            let claim = self.claim(&inner);
            // Linux changes the flags of a socket that has its port, whoever else has it.
            let _is_shared = self
                .table()
                .map(|table| table.ports.lock().change(inner.port, claim));
            self.publish(&inner);
        }
    }

    /// `shutdown(2)`: `ENOTCONN` without a peer.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let mut wakeups = Wakeups::default();
        {
            let mut inner = self.inner.lock();
            inner.is_read_shut |= how.reads();
            inner.is_write_shut |= how.writes();
            wakeups.add(&inner.observer, inner.readiness());
            inner.peer.ok_or(Errno::ENOTCONN)?;
        }
        wakeups.run();
        Ok(())
    }

    /// Joins a group. `EADDRINUSE` if it is in it, `ENODEV` without an interface, `EINVAL` if the address is no group's.
    pub fn join(&self, group: Group) -> Result<(), Errno> {
        let group = self.resolve(group)?;
        let mut inner = self.inner.lock();
        if inner.groups.contains(&group) {
            return Err(Errno::EADDRINUSE);
        }
        if inner.groups.len() >= GROUPS {
            return Err(Errno::ENOBUFS);
        }
        inner.groups.push(group);
        if let Some(interface) = group.interface {
            self.core.join_group(interface, group.group);
        }
        drop(inner);
        self.core.flush();
        Ok(())
    }

    /// Leaves a group. `EADDRNOTAVAIL` if it is not in it.
    pub fn leave(&self, group: Group) -> Result<(), Errno> {
        let group = self.resolve(group)?;
        let mut inner = self.inner.lock();
        let at = inner
            .groups
            .iter()
            .position(|one| *one == group)
            .ok_or(Errno::EADDRNOTAVAIL)?;
        inner.groups.remove(at);
        if let Some(interface) = group.interface {
            self.core.leave_group(interface, group.group);
        }
        drop(inner);
        self.core.flush();
        Ok(())
    }

    /// The group with its interface.
    fn resolve(&self, group: Group) -> Result<Group, Errno> {
        if !group.group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        let network = self.core.network.read();
        let interface = match group.interface {
            Some(index) => network.device(index).map(|_| index),
            None => network
                .route(group.group, Wish::default())
                .ok()
                .map(|path| path.interface),
        };
        Ok(Group {
            interface: Some(interface.ok_or(Errno::ENODEV)?),
            ..group
        })
    }

    /// What lies in its queues.
    #[must_use]
    pub fn queued(&self) -> Queued {
        let inner = self.inner.lock();
        let receive = inner
            .queue
            .front()
            .map_or(0, |message| message.payload.len());
        Queued {
            receive,
            ..Queued::default()
        }
    }

    /// Ends it: nothing comes any more, and its port is free.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        if let Kind::Raw(protocol) = self.kind {
            self.core.raw.remove(protocol, self.id);
        }
        inner.queue.clear();
        for group in std::mem::take(&mut inner.groups) {
            if let Some(interface) = group.interface {
                self.core.leave_group(interface, group.group);
            }
        }
        inner.errors.clear();
        let used = inner.account.used();
        inner.account.give(used);
        if inner.port != 0 {
            self.withdraw(inner.port);
            inner.port = 0;
        }
        drop(inner);
        self.core.flush();
    }
}

/// Groups that a socket can be in (`igmp_max_memberships`).
const GROUPS: usize = 20;

impl Inner {
    pub(super) fn readiness(&self) -> Readiness {
        let mut readiness = Readiness::OUT;
        if !self.queue.is_empty() || self.is_read_shut {
            readiness |= Readiness::IN;
        }
        if self.is_read_shut {
            readiness |= Readiness::READ_HANGUP;
        }
        if self.is_read_shut && self.is_write_shut {
            readiness |= Readiness::HANGUP;
        }
        if self.errors.any() {
            readiness |= Readiness::ERROR;
        }
        readiness
    }
}
