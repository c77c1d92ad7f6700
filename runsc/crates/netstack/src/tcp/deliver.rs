//! Segments on their way to sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use super::connection::{Connection, Cx, Peer};
use super::listener::{Answer, Request, WEIGHT as REQUEST};
use super::rtt::INITIAL_RTO;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::socket::{Inner, Role, WEIGHT};
use super::table::{Owner, Tuple};
use super::time_wait::Outcome;
use super::{Socket, connection, cookie};
use crate::core::{Core, Wakeups};
use crate::errors::Report;
use crate::packet::{Cutting, Packet, Transport};
use crate::reach::Flow;
use crate::route::{Path, Wish};
use crate::timers::Timer;
use crate::{Config, Payload, Readiness, address};

/// What a segment does at a listening socket.
enum Verdict {
    Done,
    Reset,
    /// A handshake is over.
    Child(Arc<Socket>),
}

impl Core {
    /// Gives a segment to its connection, or to a socket that listens.
    pub(crate) fn input_tcp(&self, interface: u32, packet: Packet) {
        let Packet {
            source,
            destination,
            transport: Transport::Tcp(segment),
            ..
        } = packet
        else {
            return;
        };
        self.counts.tcp_received.one();
        if destination.is_multicast() || self.network.read().is_broadcast(interface, destination) {
            return;
        }
        let tuple = Tuple {
            local: SocketAddr::new(destination, segment.destination_port),
            peer: SocketAddr::new(source, segment.source_port),
        };
        let after = match self.tcp.find(&tuple) {
            Some(Owner::Socket(socket)) => {
                socket.with(|connection, cx| connection.arrive(segment, cx));
                return;
            }
            Some(Owner::TimeWait(rest)) => match self.arrive_in_time_wait(&rest, &segment) {
                Outcome::Reopen(after) => Some(after),
                Outcome::Nothing | Outcome::End => return,
            },
            None => None,
        };
        let flow = Flow {
            local: tuple.local,
            peer: tuple.peer,
            interface,
        };
        match self.tcp.listeners.find(&flow) {
            Some(listener) => listener.welcome(tuple, interface, segment, after),
            None => self.send_reset(&tuple, interface, &segment),
        }
    }

    fn send_reset(&self, tuple: &Tuple, interface: u32, segment: &Segment) {
        let Some(reset) = segment.reset() else {
            return;
        };
        if let Ok(path) = self.path_back(tuple.peer.ip(), tuple.local.ip(), interface) {
            self.send_segment(tuple, reset, &path);
        }
    }

    /// Sends a segment of no connection.
    fn send_segment(&self, tuple: &Tuple, segment: Segment, path: &Path) {
        let packet = Packet {
            source: tuple.local.ip(),
            destination: tuple.peer.ip(),
            ttl: self.config().default_ttl,
            tos: 0,
            cutting: Cutting::Forbidden,
            transport: Transport::Tcp(segment),
        };
        self.output.push(packet, *path);
    }

    /// Tells a connection what happened to a segment of it.
    pub(crate) fn report_tcp(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        seq: u32,
        report: &Report,
    ) {
        let Some(Owner::Socket(socket)) = self.tcp.find(&Tuple { local, peer }) else {
            return;
        };
        if report.errno == abi::Errno::EMSGSIZE {
            let headers = if peer.is_ipv4() { 40 } else { 60 };
            let least = if peer.is_ipv4() { 552 } else { 1280 };
            let mss = report.info.max(least) - headers;
            socket.with(|connection, cx| {
                if connection.has_sent(seq) {
                    connection.shrink_path(mss, cx);
                }
            });
            return;
        }
        socket.with(|connection, cx| connection.hear(report.errno, seq, cx));
        let mut inner = socket.inner.lock();
        let has_queue = if peer.is_ipv4() {
            inner.options.receive_errors
        } else {
            inner.options.receive_errors_v6
        };
        if has_queue {
            let shown = address::outward(peer.ip(), peer.port(), socket.family, 0);
            inner.errors.push(report.queued(shown, Payload::default()));
        }
    }
}

impl Socket {
    /// Its timer fired.
    pub(crate) fn fire(self: &Arc<Self>) {
        let is_connection = {
            let mut inner = self.inner.lock();
            inner.timer.fired();
            self.repeat_answers(&mut inner);
            matches!(inner.role, Role::Connection(_))
        };
        if is_connection {
            self.with(Connection::fire);
        }
    }

    /// Sends SYN-ACKs again that were not answered.
    fn repeat_answers(self: &Arc<Self>, inner: &mut Inner) {
        let (now, config) = (self.core.now(), self.core.config());
        let Inner {
            role: Role::Listener(listener),
            account,
            timer,
            ..
        } = inner
        else {
            return;
        };
        listener.requests.retain(|tuple, request| {
            if request.due > now {
                return true;
            }
            let goes_on = request.retry(now, config.tcp_syn_ack_retries);
            if goes_on {
                self.core
                    .send_segment(tuple, request.syn_ack(now), &request.path);
            } else {
                account.give(REQUEST);
            }
            goes_on
        });
        self.core
            .arm(timer, listener.deadline(), || Timer::Tcp(Arc::clone(self)));
    }

    /// A segment for a listening socket (RFC 9293, 3.10.7.2).
    fn welcome(
        self: &Arc<Self>,
        tuple: Tuple,
        interface: u32,
        segment: Segment,
        after: Option<Seq>,
    ) {
        let verdict = {
            let mut inner = self.inner.lock();
            self.judge(&mut inner, &tuple, interface, &segment, after)
        };
        match verdict {
            Verdict::Done => {}
            Verdict::Reset => self.core.send_reset(&tuple, interface, &segment),
            Verdict::Child(child) => {
                child.with(|connection, cx| connection.arrive(segment, cx));
                self.offer(child);
            }
        }
    }

    /// Puts a connection into the queue for `accept`.
    fn offer(self: &Arc<Self>, child: Arc<Socket>) {
        let mut wakeups = Wakeups::default();
        let refused = {
            let mut inner = self.inner.lock();
            let Inner { role, observer, .. } = &mut *inner;
            if let Role::Listener(listener) = role {
                listener.coming = listener.coming.saturating_sub(1);
                listener.ready.push_back(child);
                if let Some(observer) = observer {
                    wakeups.add(observer, Readiness::IN);
                }
                None
            } else {
                Some(child)
            }
        };
        if let Some(child) = refused {
            child.discard();
        }
        wakeups.run();
    }

    fn judge(
        self: &Arc<Self>,
        inner: &mut Inner,
        tuple: &Tuple,
        interface: u32,
        segment: &Segment,
        after: Option<Seq>,
    ) -> Verdict {
        let (now, config) = (self.core.now(), self.core.config());
        let Role::Listener(listener) = &mut inner.role else {
            return Verdict::Reset;
        };
        let Some(request) = listener.requests.get_mut(tuple) else {
            return self.judge_stranger(inner, tuple, interface, segment, after);
        };
        if segment.has(Flags::RST) {
            if segment.seq == request.peer.irs + 1 {
                listener.requests.remove(tuple);
                inner.account.give(REQUEST);
            }
            return Verdict::Done;
        }
        if segment.has(Flags::SYN) || !segment.has(Flags::ACK) {
            if segment.seq == request.peer.irs {
                self.core
                    .send_segment(tuple, request.syn_ack(now), &request.path);
            }
            return Verdict::Done;
        }
        if !request.is_answered_by(segment) {
            return if segment.ack == request.setup.iss + 1 {
                Verdict::Done
            } else {
                Verdict::Reset
            };
        }
        let waits = inner
            .tcp
            .defer_accept
            .is_some_and(|most| now.saturating_sub(request.since) < most);
        if waits && segment.payload.is_empty() && !segment.has(Flags::FIN) {
            return Verdict::Done;
        }
        if listener.is_full() && !config.tcp_abort_on_overflow {
            return Verdict::Done;
        }
        let is_full = listener.is_full();
        let Some(request) = listener.requests.remove(tuple) else {
            return Verdict::Done;
        };
        inner.account.give(REQUEST);
        if is_full {
            Verdict::Reset
        } else {
            self.child(inner, tuple, &request)
        }
    }

    /// A segment from somebody with whom no handshake is under way.
    fn judge_stranger(
        self: &Arc<Self>,
        inner: &mut Inner,
        tuple: &Tuple,
        interface: u32,
        segment: &Segment,
        after: Option<Seq>,
    ) -> Verdict {
        if segment.has(Flags::RST) {
            return Verdict::Done;
        }
        let is_link_local = address::is_link_local(tuple.peer.ip());
        let wish = Wish {
            source: Some(tuple.local.ip()),
            interface: inner.options.device.or(is_link_local.then_some(interface)),
        };
        let Ok(path) = self.core.route(tuple.peer.ip(), wish) else {
            return Verdict::Done;
        };
        if segment.has(Flags::ACK) {
            return self.judge_cookie(inner, tuple, segment, &path);
        }
        if !segment.has(Flags::SYN) || segment.has(Flags::FIN) {
            return Verdict::Done;
        }
        self.begin_handshake(inner, tuple, segment, &path, after);
        Verdict::Done
    }

    /// Answers a SYN.
    fn begin_handshake(
        self: &Arc<Self>,
        inner: &mut Inner,
        tuple: &Tuple,
        segment: &Segment,
        path: &Path,
        after: Option<Seq>,
    ) {
        let (now, config) = (self.core.now(), self.core.config());
        let Role::Listener(listener) = &inner.role else {
            return;
        };
        if listener.is_full() {
            self.core.counts.tcp_listen_overflows.one();
            return;
        }
        let with_cookie =
            config.tcp_syn_cookies == 2 || (listener.is_crowded() && config.tcp_syn_cookies == 1);
        if listener.is_crowded() && !with_cookie {
            return;
        }
        let mut request = self.request(inner, tuple, Peer::of(segment), path, after, &config);
        if with_cookie {
            self.core.counts.tcp_cookies_sent.one();
            request.setup.iss = cookie::make(&self.core.secret, tuple, &request.peer, now);
            let mut answer = request.syn_ack(now);
            if let Some((_, recent)) = answer.options.timestamps {
                answer.options.timestamps =
                    Some((cookie::stamp(request.clock(now), &request.peer), recent));
            } else {
                // What the acknowledgement does not bring back is not agreed on.
                answer.options.window_scale = None;
                answer.options.sack_permitted = false;
            }
            self.core.send_segment(tuple, answer, path);
            return;
        }
        if !inner.account.take(REQUEST) {
            return;
        }
        self.core.send_segment(tuple, request.syn_ack(now), path);
        let Inner {
            role: Role::Listener(listener),
            timer,
            ..
        } = inner
        else {
            return;
        };
        let due = request.due;
        listener.requests.insert(*tuple, request);
        self.core
            .arm(timer, Some(due), || Timer::Tcp(Arc::clone(self)));
    }

    fn judge_cookie(
        self: &Arc<Self>,
        inner: &mut Inner,
        tuple: &Tuple,
        segment: &Segment,
        path: &Path,
    ) -> Verdict {
        let (now, config) = (self.core.now(), self.core.config());
        if config.tcp_syn_cookies == 0 || segment.has(Flags::SYN) {
            return Verdict::Reset;
        }
        let Some((iss, mut peer)) = cookie::check(&self.core.secret, tuple, segment, now) else {
            return Verdict::Reset;
        };
        self.core.counts.tcp_cookies_received.one();
        let is_full = matches!(&inner.role, Role::Listener(listener) if listener.is_full());
        if is_full {
            return Verdict::Done;
        }
        if peer.timestamp.is_none() {
            (peer.scale, peer.has_sack) = (None, false);
        }
        let request = self.request(inner, tuple, peer, path, Some(iss), &config);
        self.child(inner, tuple, &request)
    }

    fn request(
        &self,
        inner: &mut Inner,
        tuple: &Tuple,
        peer: Peer,
        path: &Path,
        iss: Option<Seq>,
        config: &Config,
    ) -> Request {
        let now = self.core.now();
        let setup = self.core.setup(tuple, path, iss);
        let Inner {
            options,
            tcp,
            account,
            ..
        } = inner;
        let cx = Cx {
            now,
            config,
            options,
            tcp,
            account,
            out: Vec::new(),
            wake: Readiness::empty(),
        };
        let window = (cx.options.receive_buffer / 2).min(usize::from(u16::MAX));
        let asked = cx.tcp.max_segment.unwrap_or(u16::MAX);
        let answer = Answer {
            max_segment: u16::try_from(setup.path_mss).unwrap_or(u16::MAX).min(asked),
            scale: config
                .tcp_window_scaling
                .then(|| connection::scale_for(&cx)),
            has_sack: config.tcp_sack,
            has_timestamps: config.tcp_timestamps,
            window: u16::try_from(window).unwrap_or(u16::MAX),
        };
        Request {
            setup,
            peer,
            path: *path,
            since: now,
            due: now + INITIAL_RTO,
            retries: 0,
            answer,
        }
    }

    /// The socket of a connection whose handshake is over. It is in the tables from now on.
    fn child(self: &Arc<Self>, inner: &mut Inner, tuple: &Tuple, request: &Request) -> Verdict {
        let (now, config) = (self.core.now(), self.core.config());
        let mut child = Inner::new(&self.core, inner.options.clone(), inner.tcp.clone());
        if !child.account.take(WEIGHT) {
            return Verdict::Done;
        }
        child.bound = Some(tuple.local.ip());
        child.port = tuple.local.port();
        child.peer = Some(tuple.peer);
        child.scope = if address::is_link_local(tuple.peer.ip()) {
            request.path.interface
        } else {
            0
        };
        child.path = Some(request.path);
        child.generation = self.core.generation();
        child.is_registered = true;
        let Inner {
            options,
            tcp,
            account,
            ..
        } = &mut child;
        let mut cx = Cx {
            now,
            config: &config,
            options,
            tcp,
            account,
            out: Vec::new(),
            wake: Readiness::empty(),
        };
        let mut connection = Connection::accepted(request.setup, &request.peer, &mut cx);
        if request.retries == 0 && now > request.since {
            connection.measure(now - request.since, &cx);
        }
        child.role = Role::Connection(Box::new(connection));
        let claim = self.claim(&child);
        let id = self.core.new_id();
        let child = Arc::new(Socket {
            core: Arc::clone(&self.core),
            id,
            family: self.family,
            inner: locks::Mutex::new(child),
        });
        if !self.core.tcp.insert(*tuple, &child) {
            return Verdict::Done;
        }
        self.core
            .tcp
            .listeners
            .ports
            .lock()
            .put(tuple.local.port(), crate::ports::Claim { id, ..claim });
        self.core.counts.tcp_passive_opens.one();
        if let Role::Listener(listener) = &mut inner.role {
            listener.coming += 1;
        }
        Verdict::Child(child)
    }
}
