//! A TCP socket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use abi::Errno;
use bitflags::bitflags;
use locks::Mutex;

use super::connection::{Connection, Cx};
use super::listener::Listener;
use super::options::{Info, Options};
use super::table::Tuple;
use super::{Segment, State};
use crate::account::Account;
use crate::core::{Core, Wakeups};
use crate::errors::Errors;
use crate::packet::{Cutting, Packet, Transport};
use crate::route::{Path, Wish};
use crate::timers::{Armed, Timer};
use crate::{
    Config, Family, Observer, PathMtu, Queued, QueuedError, Readiness, Shutdown, SocketEntry,
    SocketOptions, address, listing, ports,
};

/// A TCP socket. The stack keeps one that is connected or listens: [`Socket::close`] ends it.
#[derive(Debug)]
pub struct Socket {
    pub(super) core: Arc<Core>,
    pub(super) id: u64,
    pub(super) family: Family,
    pub(super) inner: Mutex<Inner>,
}

bitflags! {
    /// How bytes are sent (`man 2 send`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SendFlags: u8 {
        /// `MSG_MORE`: more follows, so that a short segment waits for it.
        const MORE = 1;
        /// `MSG_OOB`: the last byte is urgent.
        const OUT_OF_BAND = 1 << 1;
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    /// Nobody, until `accept`.
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) options: SocketOptions,
    pub(super) tcp: Options,
    pub(super) account: Account,
    pub(super) errors: Errors,
    pub(super) role: Role,
    /// The address that it was bound to.
    pub(super) bound: Option<IpAddr>,
    pub(super) port: u16,
    /// The port was asked for: it stays when a connection goes.
    pub(super) is_port_bound: bool,
    /// The address that a connection chose.
    pub(super) chosen: Option<IpAddr>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) scope: u32,
    pub(super) path: Option<Path>,
    /// The state of the network for which the path is right.
    pub(super) generation: u64,
    pub(super) timer: Armed,
    /// It is in the table of connections.
    pub(super) is_registered: bool,
    /// `connect` did not report success yet.
    pub(super) is_connecting: bool,
    pub(super) is_closed: bool,
}

/// What a socket is.
#[derive(Debug)]
pub(super) enum Role {
    Idle,
    Listener(Box<Listener>),
    Connection(Box<Connection>),
}

/// What a socket costs without its queues.
pub(super) const WEIGHT: usize = 4096;

impl Socket {
    pub(crate) fn new(
        core: &Arc<Core>,
        family: Family,
        observer: Arc<dyn Observer>,
    ) -> Arc<Socket> {
        let config = core.config();
        let options = SocketOptions {
            send_buffer: config.tcp_send_buffer[1],
            receive_buffer: config.tcp_receive_buffer[1],
            ..SocketOptions::new(&config)
        };
        let mut inner = Inner::new(core, options, Options::new(&config));
        inner.observer = Some(observer);
        Arc::new(Socket {
            core: Arc::clone(core),
            id: core.new_id(),
            family,
            inner: Mutex::new(inner),
        })
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

    /// Its peer, whatever its state.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        let inner = self.inner.lock();
        let peer = inner.peer?;
        Some(address::outward(
            peer.ip(),
            peer.port(),
            self.family,
            inner.scope,
        ))
    }

    /// When its next timer fires, from now.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        let now = self.core.now();
        match &self.inner.lock().role {
            Role::Connection(connection) => connection.deadline().map(|at| at.saturating_sub(now)),
            _ => None,
        }
    }

    /// The handshakes that are under way.
    pub(crate) fn show_handshakes(&self) -> Vec<SocketEntry> {
        match &self.inner.lock().role {
            Role::Listener(listener) => listener
                .requests
                .keys()
                .map(|tuple| listing::half(tuple, State::SynReceived))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Does something to its connection, if it has one; `f` is not called otherwise. What that leads to is queued and told.
    pub(super) fn with<T>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut Connection, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let mut wakeups = Wakeups::default();
        let result = self.run(&mut self.inner.lock(), &mut wakeups, f);
        wakeups.run();
        result
    }

    pub(super) fn run<T>(
        self: &Arc<Self>,
        inner: &mut Inner,
        wakeups: &mut Wakeups,
        f: impl FnOnce(&mut Connection, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let config = self.core.config();
        let Inner {
            role: Role::Connection(connection),
            options,
            tcp,
            account,
            ..
        } = inner
        else {
            return None;
        };
        let now = self.core.now();
        let mut cx = Cx {
            now,
            config: &config,
            options,
            tcp,
            account,
            out: Vec::new(),
            wake: Readiness::empty(),
        };
        let repeated = connection.repeated();
        let result = f(connection, &mut cx);
        let repeated = connection.repeated().wrapping_sub(repeated);
        if repeated > 0 {
            self.core.counts.tcp_repeated.add(repeated.into());
        }
        let (out, wake) = (cx.out, cx.wake);
        let deadline = connection.deadline();
        self.post(inner, out, &config);
        self.core
            .arm(&mut inner.timer, deadline, || Timer::Tcp(Arc::clone(self)));
        self.retire(inner, &config);
        if let Some(observer) = &inner.observer {
            wakeups.add(observer, wake);
        }
        Some(result)
    }

    /// Queues segments of its connection.
    pub(super) fn post(&self, inner: &mut Inner, segments: Vec<Segment>, config: &Config) {
        if segments.is_empty() {
            return;
        }
        let Some(tuple) = inner.tuple() else {
            return;
        };
        self.refresh_path(inner, &tuple);
        let Some(path) = inner.path else {
            return;
        };
        let (ttl, tos) = inner.options.hops_and_class(tuple.peer.ip(), config);
        let cutting = if inner.options.path_mtu == PathMtu::Dont {
            Cutting::Allowed
        } else {
            Cutting::Forbidden
        };
        for segment in segments {
            let packet = Packet {
                source: tuple.local.ip(),
                destination: tuple.peer.ip(),
                ttl,
                tos,
                cutting,
                transport: Transport::Tcp(segment),
            };
            self.core.output.push(packet, path);
        }
    }

    /// Looks its path up again if interfaces, addresses or routes changed.
    fn refresh_path(&self, inner: &mut Inner, tuple: &Tuple) {
        let generation = self.core.generation();
        if inner.generation == generation {
            return;
        }
        let wish = Wish {
            source: Some(tuple.local.ip()),
            interface: inner.interface(),
        };
        let found = self.core.route(tuple.peer.ip(), wish);
        inner.generation = generation;
        if let Ok(path) = found {
            inner.path = Some(path);
        }
    }

    /// `bind(2)`. Port 0 takes any. `EINVAL` if it has a port, `EADDRNOTAVAIL` if nobody here has that address, `EADDRINUSE`.
    pub fn bind(self: &Arc<Self>, to: SocketAddr) -> Result<(), Errno> {
        let mut inner = self.inner.lock();
        if inner.port != 0 || !matches!(inner.role, Role::Idle) {
            return Err(Errno::EINVAL);
        }
        let wanted = address::inward(to, self.family, &inner.options)?;
        let ip = wanted.ip();
        let is_free =
            ip.is_unspecified() || inner.options.free_bind || self.core.config().nonlocal_bind;
        if !is_free && !self.core.network.read().is_local(ip) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if let Some(scope) = address::scope(to) {
            inner.options.device = Some(scope);
        }
        inner.bound = Some(ip);
        let taken = self.take_port(&mut inner, wanted.port());
        inner.is_port_bound = taken.is_ok();
        if taken.is_err() {
            inner.bound = None;
        }
        taken
    }

    /// `shutdown(2)`. `ENOTCONN` if it is not connected.
    pub fn shutdown(self: &Arc<Self>, how: Shutdown) -> Result<(), Errno> {
        if matches!(self.inner.lock().role, Role::Listener(_)) && how.reads() {
            self.stop_listening();
            return Ok(());
        }
        let result = self.with(|connection, cx| {
            if matches!(connection.state(), State::Closed) {
                return Err(Errno::ENOTCONN);
            }
            connection.shutdown(how, cx);
            Ok(())
        });
        self.core.flush();
        result.unwrap_or(Err(Errno::ENOTCONN))
    }

    /// Ends it: nobody uses it any more. What was written is still sent, unless `SO_LINGER` is zero or something was not read.
    pub fn close(self: &Arc<Self>) {
        if matches!(self.inner.lock().role, Role::Listener(_)) {
            self.stop_listening();
        }
        let mut wakeups = Wakeups::default();
        {
            let mut inner = self.inner.lock();
            if std::mem::replace(&mut inner.is_closed, true) {
                return;
            }
            inner.errors.clear();
            if inner.is_registered {
                self.become_orphan(&mut inner, &mut wakeups);
            }
            if !inner.is_registered && inner.port != 0 {
                self.core
                    .tcp
                    .listeners
                    .ports
                    .lock()
                    .release(inner.port, self.id);
            }
        }
        wakeups.run();
        self.core.flush();
    }

    /// `getsockname(2)`
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        let inner = self.inner.lock();
        let bound = inner
            .bound
            .filter(|ip| !ip.is_unspecified() || inner.chosen.is_none());
        match bound.or(inner.chosen) {
            Some(ip) => address::outward(ip, inner.port, self.family, inner.scope),
            None => ports::local(None, inner.port, self.family),
        }
    }

    /// `getpeername(2)`: `ENOTCONN` without one.
    pub fn peer_address(&self) -> Result<SocketAddr, Errno> {
        let inner = self.inner.lock();
        let peer = inner
            .peer
            .filter(|_| !matches!(inner.state(), State::Closed | State::SynSent))
            .ok_or(Errno::ENOTCONN)?;
        Ok(address::outward(
            peer.ip(),
            peer.port(),
            self.family,
            inner.scope,
        ))
    }

    /// What it is ready for.
    #[must_use]
    pub fn readiness(self: &Arc<Self>) -> Readiness {
        if let Some(readiness) = self.with(|connection, cx| connection.readiness(cx)) {
            let has_error = self.inner.lock().errors.any();
            return if has_error {
                readiness | Readiness::ERROR
            } else {
                readiness
            };
        }
        match &self.inner.lock().role {
            Role::Listener(listener) if listener.ready.is_empty() => Readiness::empty(),
            Role::Listener(_) => Readiness::IN,
            _ => Readiness::OUT | Readiness::HANGUP,
        }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.lock().state()
    }

    /// `SO_ERROR`: the pending error, which is pending no more.
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        self.inner.lock().take_error()
    }

    /// The next message of the error queue; `EAGAIN` if there is none.
    pub fn error_queue(&self) -> Result<QueuedError, Errno> {
        self.inner.lock().errors.pop()
    }

    /// The options that sockets of every kind have.
    #[must_use]
    pub fn options(&self) -> SocketOptions {
        self.inner.lock().options.clone()
    }

    /// Changes these.
    pub fn configure(self: &Arc<Self>, change: impl FnOnce(&mut SocketOptions)) {
        {
            let mut inner = self.inner.lock();
            change(&mut inner.options);
            if inner.port != 0 && !inner.is_registered {
                let claim = self.claim(&inner);
                // Linux changes the flags of a socket that has its port, whoever else has it.
                let _is_shared = self
                    .core
                    .tcp
                    .listeners
                    .ports
                    .lock()
                    .change(inner.port, claim);
                if matches!(inner.role, Role::Listener(_)) {
                    self.core
                        .tcp
                        .listeners
                        .insert(inner.port, claim, None, Arc::clone(self));
                }
            }
        }
        self.push();
    }

    /// The options of TCP.
    #[must_use]
    pub fn tcp_options(&self) -> Options {
        self.inner.lock().tcp.clone()
    }

    /// Changes these. What an option no longer holds back is sent.
    pub fn configure_tcp(self: &Arc<Self>, change: impl FnOnce(&mut Options)) {
        change(&mut self.inner.lock().tcp);
        self.push();
    }

    fn push(self: &Arc<Self>) {
        self.with(Connection::push);
        self.core.flush();
    }

    /// `TCP_INFO`
    #[must_use]
    pub fn info(self: &Arc<Self>) -> Info {
        let info = self.with(|connection, cx| connection.info(cx));
        info.unwrap_or_else(|| Info {
            state: self.state(),
            ..Info::default()
        })
    }

    /// What lies in its queues; of a listening socket, the connections that wait, and its backlog.
    #[must_use]
    pub fn queued(&self) -> Queued {
        match &self.inner.lock().role {
            Role::Connection(connection) => connection.queued(),
            Role::Listener(listener) => Queued {
                receive: listener.ready.len(),
                send: usize::try_from(listener.backlog).unwrap_or(usize::MAX),
                unsent: 0,
            },
            Role::Idle => Queued::default(),
        }
    }
}

impl Inner {
    pub(super) fn new(core: &Core, options: SocketOptions, tcp: Options) -> Inner {
        Inner {
            observer: None,
            options,
            tcp,
            account: core.account(),
            errors: Errors::default(),
            role: Role::Idle,
            bound: None,
            port: 0,
            is_port_bound: false,
            chosen: None,
            peer: None,
            scope: 0,
            path: None,
            generation: 0,
            timer: Armed::default(),
            is_registered: false,
            is_connecting: false,
            is_closed: false,
        }
    }

    pub(super) fn state(&self) -> State {
        match &self.role {
            Role::Idle => State::Closed,
            Role::Listener(_) => State::Listen,
            Role::Connection(connection) => connection.state(),
        }
    }

    /// What names its connection.
    pub(super) fn tuple(&self) -> Option<Tuple> {
        let local = self
            .bound
            .filter(|ip| !ip.is_unspecified())
            .or(self.chosen)?;
        Some(Tuple {
            local: SocketAddr::new(local, self.port),
            peer: self.peer?,
        })
    }

    /// The interface that it has to use.
    pub(super) fn interface(&self) -> Option<u32> {
        self.options
            .device
            .or(Some(self.scope).filter(|scope| *scope != 0))
    }

    pub(super) fn take_error(&mut self) -> Option<Errno> {
        let own = self.errors.take();
        match &mut self.role {
            Role::Connection(connection) => own.or_else(|| connection.take_error()),
            _ => own,
        }
    }
}
