//! ICMP (RFC 792, RFC 1122) and `ICMPv6` (RFC 4443): answers to echo requests, and errors in both directions.

use std::net::IpAddr;
use std::time::Duration;

use abi::Errno;

use crate::address;
use crate::core::Core;
use crate::errors::{Origin, Report};
use crate::groups;
use crate::input::Refusal;
use crate::ndp;
use crate::packet::{Cutting, Packet, Transport, protocol};
use crate::route::{Way, Wish};
use crate::wire;

/// Bytes of an ICMP header.
const HEADER: usize = 8;
/// An error quotes so much that the whole packet is not longer than this (RFC 1812, 4.3.2.3; RFC 4443, 3).
const MOST: [usize; 2] = [576, 1280];

/// Errors to others, at most so many a second (`icmp_msgs_per_sec`), and at once (`icmp_msgs_burst`).
const RATE: u64 = 1000;
const BURST: u64 = 50;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER: u8 = 12;
const UNREACHABLE_V6: u8 = 1;
const TOO_BIG_V6: u8 = 2;
const TIME_EXCEEDED_V6: u8 = 3;
const PARAMETER_V6: u8 = 4;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// A bucket of errors that may be sent.
#[derive(Debug, Default)]
pub(crate) struct Limit {
    since: Duration,
    spent: u64,
}

impl Limit {
    fn allows(&mut self, now: Duration) -> bool {
        let earned = now.saturating_sub(self.since).as_millis() * u128::from(RATE) / 1000;
        if earned > 0 {
            self.spent = self
                .spent
                .saturating_sub(u64::try_from(earned).unwrap_or(u64::MAX));
            self.since = now;
        }
        let is_allowed = self.spent < BURST;
        self.spent += u64::from(is_allowed);
        is_allowed
    }
}

impl Core {
    /// Answers an ICMP message, or tells the socket that it is about.
    pub(crate) fn input_icmp(&self, interface: u32, packet: &Packet) {
        let Transport::Other(number, payload) = &packet.transport else {
            return;
        };
        self.counts.icmp_received.one();
        let message = payload.to_vec();
        let [kind, code, _, _, word @ ..] = message.as_slice() else {
            return;
        };
        let [a, b, c, d, rest @ ..] = word else {
            return;
        };
        let word = u32::from_be_bytes([*a, *b, *c, *d]);
        let is_v4 = packet.source.is_ipv4() && *number == protocol::ICMP;
        match (is_v4, *kind) {
            (false, groups::QUERY_V6) => {
                self.input_query(interface, Duration::from_millis((word >> 16).into()));
            }
            (true, ECHO_REPLY) | (false, ECHO_REPLY_V6) => {
                let identifier = u16::try_from(word >> 16).unwrap_or_default();
                self.input_pong(interface, packet, identifier, payload);
            }
            (true, ECHO) => self.answer(interface, packet, ECHO_REPLY, &message),
            (false, ndp::SOLICITATION | ndp::ADVERTISEMENT) => {
                self.input_ndp(interface, packet, &message);
            }
            (false, ECHO_V6) => self.answer(interface, packet, ECHO_REPLY_V6, &message),
            _ => {
                let report = if is_v4 {
                    report_v4(*kind, *code, word)
                } else {
                    report_v6(*kind, *code, word)
                };
                if let Some((errno, is_fatal, info)) = report {
                    let origin = if is_v4 { Origin::Icmp } else { Origin::Icmp6 };
                    let report = Report {
                        errno,
                        is_fatal,
                        origin,
                        kind: *kind,
                        code: *code,
                        info,
                        offender: packet.source,
                    };
                    self.report(interface, rest, &report);
                }
            }
        }
    }

    /// Tells the socket that sent a packet what happened to it.
    fn report(&self, interface: u32, quoted: &[u8], report: &Report) {
        let Some(quoted) = wire::quoted(quoted) else {
            return;
        };
        if !self.network.read().is_local(quoted.local.ip()) {
            return;
        }
        match quoted.protocol {
            protocol::TCP => self.report_tcp(quoted.local, quoted.peer, quoted.word, report),
            protocol::UDP => self.report_udp(
                quoted.local,
                quoted.peer,
                interface,
                &quoted.data.into(),
                report,
            ),
            protocol::ICMP | protocol::ICMPV6 => {
                let identifier = u16::try_from(quoted.word >> 16).unwrap_or_default();
                let (local, peer) = (quoted.local.ip(), quoted.peer.ip());
                self.report_ping(
                    local,
                    identifier,
                    peer,
                    interface,
                    &quoted.data.into(),
                    report,
                );
            }
            _ => {}
        }
    }

    /// Sends an echo request back.
    fn answer(&self, interface: u32, packet: &Packet, kind: u8, message: &[u8]) {
        if self.config().ignore_echo {
            return;
        }
        let is_to_one = self.network.read().is_local(packet.destination);
        // Linux ignores requests to broadcast addresses (`icmp_echo_ignore_broadcasts`), and answers those to IPv6 groups.
        if !is_to_one && packet.destination.is_ipv4() {
            return;
        }
        let source = is_to_one.then_some(packet.destination);
        self.send_icmp(
            packet.source,
            Wish {
                source,
                interface: address::is_link_local(packet.source).then_some(interface),
            },
            packet.tos,
            kind,
            0,
            message.get(4..).unwrap_or_default(),
        );
    }

    /// Tells the sender of a packet that nobody here wants it.
    pub(crate) fn refuse(&self, interface: u32, packet: &Packet, refusal: Refusal) {
        let (kind, code) = match (packet.source.is_ipv4(), refusal) {
            (true, Refusal::Protocol) => (UNREACHABLE, 2),
            (true, Refusal::Port) => (UNREACHABLE, 3),
            (false, Refusal::Protocol) => (PARAMETER_V6, 1),
            (false, Refusal::Port) => (UNREACHABLE_V6, 4),
        };
        self.send_error(interface, packet, kind, code);
    }

    /// Sends an error about a packet, unless it was none that errors are sent about (RFC 1122, 3.2.2).
    fn send_error(&self, interface: u32, about: &Packet, kind: u8, code: u8) {
        let is_one = |ip: IpAddr| !ip.is_unspecified() && !ip.is_multicast();
        let is_icmp_error = match &about.transport {
            Transport::Other(protocol::ICMP, payload) => payload
                .pieces()
                .next()
                .and_then(|piece| piece.first().copied())
                .is_none_or(|kind| kind != ECHO),
            Transport::Other(protocol::ICMPV6, payload) => payload
                .pieces()
                .next()
                .and_then(|piece| piece.first().copied())
                .is_none_or(|kind| kind < ECHO_V6),
            _ => false,
        };
        if !is_one(about.source) || !is_one(about.destination) || is_icmp_error {
            return;
        }
        let most = MOST[usize::from(about.source.is_ipv6())]
            - HEADER
            - if about.source.is_ipv4() { 20 } else { 40 };
        let mut quote = wire::packet(about, 0, 0);
        quote.truncate(most);
        let mut body = vec![0; 4];
        body.append(&mut quote);
        let wish = Wish {
            source: Some(about.destination),
            interface: address::is_link_local(about.source).then_some(interface),
        };
        self.send_icmp(about.source, wish, 0, kind, code, &body);
    }

    /// Sends a message; `body` is what follows type, code and checksum.
    pub(crate) fn send_icmp(
        &self,
        to: IpAddr,
        wish: Wish,
        tos: u8,
        kind: u8,
        code: u8,
        body: &[u8],
    ) {
        let found = self.route(to, wish);
        let Ok(path) = found else {
            return;
        };
        let is_error = if to.is_ipv4() {
            kind != ECHO_REPLY
        } else {
            kind < ECHO_V6
        };
        if is_error && path.way != Way::Local && !self.icmp_limit.lock().allows(self.now()) {
            return;
        }
        let number = if to.is_ipv4() {
            protocol::ICMP
        } else {
            protocol::ICMPV6
        };
        let head = [kind, code];
        let pseudo = wire::pseudo_header(path.source, to, number, body.len() + 4);
        let sum = if to.is_ipv4() {
            wire::checksum(&[&head, body])
        } else {
            wire::checksum(&[&pseudo, &head, body])
        };
        let mut message = vec![kind, code];
        message.extend_from_slice(&sum.to_be_bytes());
        message.extend_from_slice(body);
        let packet = Packet {
            source: path.source,
            destination: to,
            ttl: self.config().default_ttl,
            tos,
            cutting: Cutting::Allowed,
            transport: Transport::Other(number, message.into()),
        };
        self.output.offer(packet, path);
    }
}

/// What an error means for a socket: the error, whether it is fatal, and the MTU (Linux's `icmp_err_convert`).
fn report_v4(kind: u8, code: u8, word: u32) -> Option<(Errno, bool, u32)> {
    let of_code = [
        (Errno::ENETUNREACH, false),
        (Errno::EHOSTUNREACH, false),
        (Errno::ENOPROTOOPT, true),
        (Errno::ECONNREFUSED, true),
        (Errno::EMSGSIZE, false),
        (Errno::EOPNOTSUPP, false),
        (Errno::ENETUNREACH, true),
        (Errno::EHOSTDOWN, true),
        (Errno::ENONET, true),
        (Errno::ENETUNREACH, true),
        (Errno::EHOSTUNREACH, true),
        (Errno::ENETUNREACH, false),
        (Errno::EHOSTUNREACH, false),
        (Errno::EHOSTUNREACH, true),
        (Errno::EHOSTUNREACH, true),
        (Errno::EHOSTUNREACH, true),
    ];
    match kind {
        UNREACHABLE => {
            let (errno, is_fatal) = *of_code.get(usize::from(code))?;
            let mtu = if errno == Errno::EMSGSIZE {
                word & 0xffff
            } else {
                0
            };
            Some((errno, is_fatal, mtu))
        }
        TIME_EXCEEDED => Some((Errno::EHOSTUNREACH, false, 0)),
        PARAMETER => Some((Errno::EPROTO, true, 0)),
        _ => None,
    }
}

/// The same for IPv6 (Linux's `icmpv6_err_convert`).
fn report_v6(kind: u8, code: u8, word: u32) -> Option<(Errno, bool, u32)> {
    match (kind, code) {
        (UNREACHABLE_V6, 0) => Some((Errno::ENETUNREACH, false, 0)),
        (UNREACHABLE_V6, 1 | 5 | 6) => Some((Errno::EACCES, true, 0)),
        (UNREACHABLE_V6, 4) => Some((Errno::ECONNREFUSED, true, 0)),
        (UNREACHABLE_V6, _) | (TIME_EXCEEDED_V6, _) => Some((Errno::EHOSTUNREACH, false, 0)),
        (TOO_BIG_V6, _) => Some((Errno::EMSGSIZE, false, word)),
        (PARAMETER_V6, _) => Some((Errno::EPROTO, true, 0)),
        _ => None,
    }
}
