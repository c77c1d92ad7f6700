//! Sending datagrams.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use abi::Errno;

use super::message::HEADER;
use super::socket::Inner;
use super::{Datagram, Kind, SendTo, Socket, ping, raw};
use crate::packet::{Cutting, Packet, Transport};
use crate::route::{LOOPBACK, Path, Way, Wish};
use crate::{PathMtu, Payload, address};

/// Most datagrams of one `UDP_SEGMENT` message.
const SEGMENTS: usize = 128;

/// A message before its data are there.
struct Envelope {
    destination: SocketAddr,
    path: Path,
    source_port: u16,
    ttl: u8,
    tos: u8,
    cutting: Cutting,
    is_looped: bool,
    has_header: bool,
}

impl Socket {
    /// Sends a message of `len` bytes, which `fill` writes, with no lock held.
    ///
    /// The errors are those of `man 2 sendto`, and one that the network reported before: `EDESTADDRREQ`, `EMSGSIZE`,
    /// `ENETUNREACH`, `EPIPE` after `shutdown`, `EACCES` for a broadcast address.
    pub fn send(
        self: &Arc<Self>,
        to: &SendTo,
        len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let envelope = self.address(to, len)?;
        let mut chunk = self.core.pool.take(len);
        let filled = fill(chunk.bytes_mut())?;
        chunk.truncate(filled);
        let payload = chunk.into_payload();
        if self.kind != Kind::Udp {
            self.post(&envelope, payload)?;
            self.core.flush();
            return Ok(filled);
        }
        let step = to.segment.map_or(payload.len(), usize::from).max(1);
        if payload.len().div_ceil(step) > SEGMENTS {
            return Err(Errno::EINVAL);
        }
        let mut at = 0;
        loop {
            self.post(&envelope, payload.slice(at, step))?;
            at += step;
            if at >= payload.len() {
                break;
            }
        }
        self.core.flush();
        Ok(filled)
    }

    fn address(self: &Arc<Self>, to: &SendTo, len: usize) -> Result<Envelope, Errno> {
        let mut inner = self.inner.lock();
        if inner.is_write_shut {
            return Err(Errno::EPIPE);
        }
        inner.errors.check()?;
        let (destination, scope) = destination(&inner, self, to)?;
        let config = self.core.config();
        let multicast = inner.options.multicast_for(destination.ip());
        let is_ours = |ip| inner.options.free_bind || self.core.network.read().is_local(ip);
        if to.source.is_some_and(|ip| !is_ours(ip)) {
            return Err(Errno::EINVAL);
        }
        let mut interface = to.interface.or(scope).or(inner.options.device);
        let bound = inner
            .bound
            .filter(|ip| !ip.is_unspecified() && !ip.is_multicast());
        let mut source = to
            .source
            .or(bound)
            .or(inner.chosen.filter(|_| to.address.is_none()));
        if destination.ip().is_multicast() {
            interface = interface.or(multicast.interface);
            source = source.or(multicast.source);
        }
        let is_looped = multicast.is_looped;
        let path = self
            .core
            .route(destination.ip(), Wish { source, interface })?;
        if path.way == Way::Broadcast && !inner.options.broadcast {
            return Err(Errno::EACCES);
        }
        let header = if self.kind == Kind::Udp { HEADER } else { 0 };
        check_len(
            len + header,
            destination.ip(),
            &inner.options.path_mtu,
            &path,
            to.segment,
        )?;
        self.take_port(&mut inner, 0)?;
        let (ttl, tos) = inner.options.hops_and_class(destination.ip(), &config);
        let cutting = match inner.options.path_mtu {
            PathMtu::Do | PathMtu::Probe | PathMtu::Interface => Cutting::Forbidden,
            PathMtu::Dont | PathMtu::Want | PathMtu::Omit => Cutting::Allowed,
        };
        Ok(Envelope {
            destination,
            path,
            source_port: inner.port,
            ttl: to.ttl.unwrap_or(ttl),
            tos: to.tos.unwrap_or(tos),
            cutting,
            is_looped,
            has_header: inner.options.header_included,
        })
    }

    /// Queues one datagram.
    fn post(&self, envelope: &Envelope, payload: Payload) -> Result<(), Errno> {
        let packet = self.packet(envelope, payload)?;
        let is_to_many = matches!(envelope.path.way, Way::Multicast | Way::Broadcast);
        let comes_back = envelope.path.way == Way::Broadcast || envelope.is_looped;
        if is_to_many && comes_back {
            let back = Path {
                way: Way::Local,
                ..envelope.path
            };
            self.core.output.offer(packet.clone(), back);
        }
        if !(is_to_many && envelope.path.interface == LOOPBACK) {
            self.core.output.offer(packet, envelope.path);
        }
        Ok(())
    }

    fn packet(&self, envelope: &Envelope, payload: Payload) -> Result<Packet, Errno> {
        let (source, destination) = (envelope.path.source, envelope.destination.ip());
        let mut packet = Packet {
            source,
            destination,
            ttl: envelope.ttl,
            tos: envelope.tos,
            cutting: envelope.cutting,
            transport: Transport::Other(0, Payload::default()),
        };
        packet.transport = match self.kind {
            Kind::Udp => Transport::Udp(Datagram {
                source_port: envelope.source_port,
                destination_port: envelope.destination.port(),
                payload,
            }),
            Kind::Ping => ping::request(&payload, envelope.source_port, source, destination)?,
            Kind::Raw(_) if envelope.has_header => {
                // The path is the message's; the packet's own destination is the program's business.
                return raw::with_header(&payload, source);
            }
            Kind::Raw(protocol) => raw::transport(&packet, protocol, &payload),
        };
        Ok(packet)
    }
}

/// Where a message goes to, and the interface that the address names.
fn destination(
    inner: &Inner,
    socket: &Socket,
    to: &SendTo,
) -> Result<(SocketAddr, Option<u32>), Errno> {
    let Some(given) = to.address else {
        return inner
            .peer
            .map(|peer| (peer, inner.peer_scope))
            .ok_or(Errno::EDESTADDRREQ);
    };
    let wanted = address::inward(given, socket.family, &inner.options)?;
    if wanted.port() == 0 && socket.kind == Kind::Udp {
        return Err(Errno::EINVAL);
    }
    Ok((
        SocketAddr::new(address::destination(wanted.ip()), wanted.port()),
        address::scope(given),
    ))
}

/// `EMSGSIZE` if a datagram, with its header, is longer than IP allows, or than the path where it must not be cut.
fn check_len(
    len: usize,
    to: IpAddr,
    discovery: &PathMtu,
    path: &Path,
    segment: Option<u16>,
) -> Result<(), Errno> {
    let ip_header = if to.is_ipv4() { 20 } else { 40 };
    let most = usize::from(u16::MAX) - if to.is_ipv4() { ip_header } else { 0 };
    let mtu = usize::try_from(path.mtu).unwrap_or(usize::MAX);
    let each = segment.map_or(len, |segment| len.min(usize::from(segment) + HEADER));
    let is_whole = matches!(discovery, PathMtu::Do | PathMtu::Probe | PathMtu::Interface);
    if len > most || (is_whole && each + ip_header > mtu) {
        return Err(Errno::EMSGSIZE);
    }
    Ok(())
}
