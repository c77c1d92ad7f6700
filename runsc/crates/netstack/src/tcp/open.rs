//! How a socket gets a connection: `connect`, `listen`, `accept`; and how it loses it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use abi::Errno;

use super::connection::{Connection, Cx, Setup};
use super::listener::Listener;
use super::seq::Seq;
use super::socket::{Inner, Role, WEIGHT};
use super::table::{Claimed, TIME_WAIT, Tuple};
use super::time_wait::TimeWait;
use super::{Socket, State};
use crate::core::{Core, Wakeups};
use crate::hash::Purpose;
use crate::ports::Claim;
use crate::route::{LOOPBACK, Path, Way, Wish};
use crate::timers::Armed;
use crate::{Config, Family, Observer, Readiness, address};

/// Most bytes of an IP packet.
const PACKET: u32 = 65_535;
/// Headers of TCP.
const HEADER: u32 = 20;
/// A connection in `TIME_WAIT` is replaced by one that a program here opens after this time (`tcp_tw_reuse`).
const REUSE: Duration = Duration::from_secs(1);

impl Socket {
    /// `connect(2)`: begins, and reports what became of it when it is called again.
    ///
    /// `EINPROGRESS` at first, then `EALREADY`, nothing once when it is connected, and `EISCONN`. A connection that failed
    /// reports its error: `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH` and the like. `EADDRNOTAVAIL` without a free port,
    /// `ENETUNREACH` without a route.
    pub fn connect(self: &Arc<Self>, to: SocketAddr) -> Result<(), Errno> {
        let mut wakeups = Wakeups::default();
        let result = {
            let mut inner = self.inner.lock();
            let is_new = self.connecting(&mut inner);
            is_new.and_then(|is_new| {
                if is_new {
                    self.begin(&mut inner, to, &mut wakeups)
                } else {
                    Ok(())
                }
            })
        };
        wakeups.run();
        self.core.flush();
        result
    }

    /// Whether a connection may begin; nothing to do if the last one just succeeded.
    fn connecting(&self, inner: &mut Inner) -> Result<bool, Errno> {
        match inner.state() {
            State::Listen => return Err(Errno::EISCONN),
            State::SynSent | State::SynReceived => return Err(Errno::EALREADY),
            State::Closed => {
                if let Some(errno) = inner.take_error() {
                    inner.is_connecting = false;
                    return Err(errno);
                }
                if std::mem::take(&mut inner.is_connecting) {
                    return Err(Errno::ECONNABORTED);
                }
                return Ok(true);
            }
            _ => {}
        }
        if std::mem::take(&mut inner.is_connecting) {
            Ok(false)
        } else {
            Err(Errno::EISCONN)
        }
    }

    fn begin(
        self: &Arc<Self>,
        inner: &mut Inner,
        to: SocketAddr,
        wakeups: &mut Wakeups,
    ) -> Result<(), Errno> {
        let wanted = address::inward(to, self.family, &inner.options)?;
        let peer = SocketAddr::new(address::destination(wanted.ip()), wanted.port());
        inner.scope = address::scope(to).unwrap_or(0);
        let bound = inner.bound.filter(|ip| !ip.is_unspecified());
        let generation = self.core.generation();
        let path = self.core.route(
            peer.ip(),
            Wish {
                source: bound,
                interface: inner.interface(),
            },
        )?;
        if matches!(path.way, Way::Broadcast | Way::Multicast) {
            return Err(Errno::ENETUNREACH);
        }
        if inner.account.used() == 0 && !inner.account.take(WEIGHT) {
            return Err(Errno::ENOBUFS);
        }
        inner.chosen = Some(path.source);
        inner.peer = Some(peer);
        (inner.path, inner.generation) = (Some(path), generation);
        let after = self.take_tuple(inner, &path)?;
        inner.is_registered = true;
        let Some(tuple) = inner.tuple() else {
            return Err(Errno::EADDRNOTAVAIL);
        };
        let setup = self.core.setup(&tuple, &path, after);
        let config = self.core.config();
        let Inner {
            role,
            options,
            tcp,
            account,
            ..
        } = &mut *inner;
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
        let connection = Connection::connect(setup, &mut cx);
        let out = cx.out;
        *role = Role::Connection(Box::new(connection));
        inner.is_connecting = true;
        self.core.counts.tcp_active_opens.one();
        self.post(inner, out, &config);
        self.run(inner, wakeups, |_, _| ());
        Err(Errno::EINPROGRESS)
    }

    /// Gets the socket a tuple that nobody else has, and a port if it has none. The result is a sequence number to begin after.
    fn take_tuple(self: &Arc<Self>, inner: &mut Inner, path: &Path) -> Result<Option<Seq>, Errno> {
        let config = self.core.config();
        let peer = inner.peer.ok_or(Errno::EINVAL)?;
        let local = inner
            .bound
            .filter(|ip| !ip.is_unspecified())
            .unwrap_or(path.source);
        let now = self.core.now();
        let is_reusable = match config.tcp_time_wait_reuse {
            0 => false,
            1 => true,
            _ => path.interface == LOOPBACK,
        };
        let may_replace = |old: &TimeWait| {
            is_reusable
                && old.remains.recent_timestamp.is_some()
                && now.saturating_sub(old.since) >= REUSE
        };
        let taken = std::cell::Cell::new(None);
        let is_free = |port: u16| {
            let tuple = Tuple {
                local: SocketAddr::new(local, port),
                peer,
            };
            match self.core.tcp.claim(tuple, self, may_replace) {
                Claimed::Taken => false,
                Claimed::Free(old) => {
                    taken.set(old);
                    true
                }
            }
        };
        if inner.port != 0 {
            if !is_free(inner.port) {
                return Err(Errno::EADDRNOTAVAIL);
            }
        } else {
            let start = self.core.secret.hash(Purpose::Port, (local, peer));
            let claim = self.claim(inner);
            inner.port = self
                .core
                .tcp
                .listeners
                .ports
                .lock()
                .connect(claim, &config, start, is_free)?;
        }
        let old = taken.into_inner();
        let after = old.as_ref().map(|old| old.lock().next_iss());
        if let Some(old) = old {
            self.core.forget_time_wait(&old);
        }
        Ok(after)
    }

    pub(super) fn claim(&self, inner: &Inner) -> Claim {
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
            is_listening: matches!(inner.role, Role::Listener(_)),
            is_shared: false,
        }
    }

    pub(super) fn take_port(&self, inner: &mut Inner, port: u16) -> Result<(), Errno> {
        let claim = self.claim(inner);
        let (config, start) = (self.core.config(), self.core.embedder.random_u64());
        inner.port = self
            .core
            .tcp
            .listeners
            .ports
            .lock()
            .bind(port, claim, &config, start)?;
        Ok(())
    }

    /// `connect(2)` with `AF_UNSPEC`: a connection is reset, and the socket as it was.
    pub fn disconnect(self: &Arc<Self>) {
        self.with(|connection, cx| connection.abort(None, cx));
        self.core.flush();
        let mut inner = self.inner.lock();
        if matches!(inner.role, Role::Connection(_)) {
            self.forget_connection(&mut inner);
        }
    }

    fn forget_connection(&self, inner: &mut Inner) {
        inner.role = Role::Idle;
        (inner.peer, inner.chosen, inner.path) = (None, None, None);
        inner.is_connecting = false;
        if !inner.is_port_bound && inner.port != 0 {
            self.core
                .tcp
                .listeners
                .ports
                .lock()
                .release(inner.port, self.id);
            (inner.port, inner.bound) = (0, None);
        }
    }

    /// `listen(2)`: takes connections, and lets one more than `backlog` wait for [`Socket::accept`]. `EINVAL` if it has a
    /// connection, `EADDRINUSE` if another socket listens there.
    pub fn listen(self: &Arc<Self>, backlog: u32) -> Result<(), Errno> {
        let mut inner = self.inner.lock();
        match &mut inner.role {
            Role::Listener(listener) => {
                listener.backlog = backlog;
                return Ok(());
            }
            Role::Connection(connection) if connection.state() != State::Closed => {
                return Err(Errno::EINVAL);
            }
            Role::Connection(_) => self.forget_connection(&mut inner),
            Role::Idle => {}
        }
        let claim = Claim {
            is_listening: true,
            ..self.claim(&inner)
        };
        if inner.port == 0 {
            self.take_port(&mut inner, 0)?;
        }
        self.core
            .tcp
            .listeners
            .ports
            .lock()
            .change(inner.port, claim)?;
        inner.role = Role::Listener(Box::new(Listener::new(backlog, self.core.secret)));
        self.core
            .tcp
            .listeners
            .insert(inner.port, claim, None, Arc::clone(self));
        Ok(())
    }

    /// `accept(2)`: the next connection, of which `observer` hears from now on. `EAGAIN` if none waits, `EINVAL` if it does not
    /// listen.
    pub fn accept(&self, observer: Arc<dyn Observer>) -> Result<Arc<Socket>, Errno> {
        let accepted = {
            let mut inner = self.inner.lock();
            let Role::Listener(listener) = &mut inner.role else {
                return Err(Errno::EINVAL);
            };
            listener.ready.pop_front().ok_or(Errno::EAGAIN)?
        };
        accepted.inner.lock().observer = Some(observer);
        Ok(accepted)
    }

    /// Ends a listening socket: who waits for `accept`, or is about to, gets a reset.
    pub(super) fn stop_listening(self: &Arc<Self>) {
        let mut wakeups = Wakeups::default();
        let waiting = {
            let mut inner = self.inner.lock();
            let Role::Listener(listener) = std::mem::replace(&mut inner.role, Role::Idle) else {
                return;
            };
            self.core.tcp.listeners.remove(inner.port, self.id);
            self.core.disarm(&mut inner.timer);
            let held = listener.requests.len() * super::listener::WEIGHT;
            inner.account.give(held);
            if !inner.is_closed && inner.is_port_bound {
                // It keeps its port, which it may listen at again.
                let claim = self.claim(&inner);
                self.core.tcp.listeners.ports.lock().put(inner.port, claim);
            } else {
                inner.port = 0;
            }
            if let Some(observer) = &inner.observer {
                wakeups.add(observer, Readiness::IN | Readiness::OUT | Readiness::HANGUP);
            }
            listener.ready
        };
        for socket in waiting {
            socket.discard();
        }
        wakeups.run();
        self.core.flush();
    }

    /// Ends a connection that nobody accepted.
    pub(super) fn discard(self: &Arc<Self>) {
        self.inner.lock().is_closed = true;
        self.with(|connection, cx| connection.abort(None, cx));
    }

    /// No program has its connection any more.
    pub(super) fn become_orphan(self: &Arc<Self>, inner: &mut Inner, wakeups: &mut Wakeups) {
        let count = self.core.tcp.orphans.fetch_add(1, Ordering::Relaxed);
        let is_crowded = count >= self.core.config().tcp_max_orphans;
        self.run(inner, wakeups, |connection, cx| {
            connection.close(cx);
            if is_crowded {
                connection.abort(None, cx);
            }
        });
    }

    /// Takes a connection that is over out of the tables, and leaves what `TIME_WAIT` needs.
    pub(super) fn retire(&self, inner: &mut Inner, config: &Config) {
        let Inner {
            role: Role::Connection(connection),
            ..
        } = inner
        else {
            return;
        };
        let state = connection.state();
        if !matches!(state, State::Closed | State::TimeWait) || !inner.is_registered {
            return;
        }
        let remains = connection.remains();
        let is_orphan = connection.is_orphan();
        connection.bury();
        inner.is_registered = false;
        self.core.disarm(&mut inner.timer);
        if is_orphan {
            self.core.tcp.orphans.fetch_sub(1, Ordering::Relaxed);
        }
        let (Some(tuple), Some(path)) = (inner.tuple(), inner.path) else {
            return;
        };
        if state == State::TimeWait {
            let now = self.core.now();
            let (ttl, _) = inner.options.hops_and_class(tuple.peer.ip(), config);
            let rest = TimeWait {
                remains,
                tuple,
                path,
                ttl,
                id: self.id,
                since: now,
                expires: now + TIME_WAIT,
                answered: None,
                timer: Armed::default(),
            };
            self.core.begin_time_wait(rest, self);
        } else {
            self.core.tcp.remove(&tuple, self);
            if inner.is_closed || !inner.is_port_bound {
                self.core
                    .tcp
                    .listeners
                    .ports
                    .lock()
                    .release(inner.port, self.id);
            }
        }
    }
}

impl Core {
    /// What a connection begins with. `after` is where an older one between the same places ended.
    pub(super) fn setup(&self, tuple: &Tuple, path: &Path, after: Option<Seq>) -> Setup {
        let ip_header = if tuple.peer.is_ipv4() { 20 } else { 40 };
        let path_mss = path.mtu.min(PACKET).saturating_sub(ip_header + HEADER);
        let largest = self
            .network
            .read()
            .device(path.interface)
            .and_then(|device| device.link.as_ref().map(|link| link.gso_max()));
        let largest = largest
            .unwrap_or(0)
            .min(PACKET)
            .saturating_sub(ip_header + 60)
            .max(path_mss);
        let iss = after.unwrap_or_else(|| self.first_sequence(tuple));
        let offset = self
            .secret
            .hash(Purpose::Timestamp, (tuple.local.ip(), tuple.peer.ip()));
        Setup {
            local_port: tuple.local.port(),
            peer_port: tuple.peer.port(),
            iss,
            clock_offset: u32::try_from(offset & u64::from(u32::MAX)).unwrap_or_default(),
            path_mss,
            largest,
        }
    }

    /// The first sequence number of a connection (RFC 6528).
    fn first_sequence(&self, tuple: &Tuple) -> Seq {
        let hash = self.secret.hash(Purpose::Sequence, tuple);
        let ticks = self.now().as_nanos() / 64;
        let low = |value: u128| u32::try_from(value & u128::from(u32::MAX)).unwrap_or_default();
        Seq(low(hash.into()).wrapping_add(low(ticks)))
    }

    /// The path of an answer to a packet.
    pub(super) fn path_back(
        &self,
        to: IpAddr,
        from: IpAddr,
        interface: u32,
    ) -> Result<Path, Errno> {
        let wish = Wish {
            source: Some(from),
            interface: address::is_link_local(to).then_some(interface),
        };
        self.route(to, wish)
    }
}
