//! A connection: the variables of RFC 9293, 3.3.1, and what hangs from them.
//!
//! A connection knows neither packets nor locks. Segments come in (`arrive`), programs write and read (`user`), timers fire
//! (`timers`); what it does about that goes into a [`Cx`]: segments to send and readiness to tell.

use std::time::Duration;

use abi::Errno;

use super::congestion::Control;
use super::receive_queue::ReceiveQueue;
use super::recovery::Recovery;
use super::rtt::Rtt;
use super::segment::{Flags, Segment};
use super::send_queue::SendQueue;
use super::seq::{Seq, u32_of, usize_of};
use super::timers::Timers;
use super::urgent::Urgent;
use super::{Options, State};
use crate::account::Account;
use crate::{Config, Payload, Readiness, SocketOptions};

/// What surrounds a connection while something happens to it, and what it wants done.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    pub(crate) now: Duration,
    pub(crate) config: &'a Config,
    pub(crate) options: &'a mut SocketOptions,
    pub(crate) tcp: &'a mut Options,
    pub(crate) account: &'a mut Account,
    /// Segments to send.
    pub(crate) out: Vec<Segment>,
    /// Edges to tell.
    pub(crate) wake: Readiness,
}

/// What the handshake begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) local_port: u16,
    pub(crate) peer_port: u16,
    pub(crate) iss: Seq,
    /// Added to the clock in timestamps, so that they tell nothing about the host.
    pub(crate) clock_offset: u32,
    /// The longest segment that the path carries.
    pub(crate) path_mss: u32,
    /// The longest segment that the link cuts up itself, or the same as the former.
    pub(crate) largest: u32,
}

/// What the peer said in its SYN.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) irs: Seq,
    pub(crate) mss: u32,
    pub(crate) scale: Option<u8>,
    pub(crate) has_sack: bool,
    /// Its clock.
    pub(crate) timestamp: Option<u32>,
    pub(crate) window: u32,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) state: State,
    pub(super) setup: Setup,
    pub(super) una: Seq,
    pub(super) nxt: Seq,
    /// The peer's window, scaled, and what told it.
    pub(super) window: u32,
    pub(super) window_seq: Seq,
    pub(super) window_ack: Seq,
    pub(super) most_window: u32,
    pub(super) send_scale: u8,
    pub(super) receive_scale: u8,
    pub(super) is_scaled: bool,
    pub(super) has_sack: bool,
    pub(super) has_timestamps: bool,
    pub(super) recent_timestamp: u32,
    pub(super) recent_at: Duration,
    pub(super) mss: u32,
    pub(super) queue: SendQueue,
    pub(super) fin_wanted: bool,
    pub(super) fin_sent: bool,
    /// The end of the last segment shorter than others, for Nagle's rule as Minshall has it.
    pub(super) short_end: Seq,
    pub(super) irs: Seq,
    pub(super) receive: ReceiveQueue,
    pub(super) rcv_nxt: Seq,
    /// The right edge of the window that was announced.
    pub(super) announced: Seq,
    /// What was acknowledged.
    pub(super) acknowledged: Seq,
    pub(super) receive_mss: u32,
    pub(super) quick_acks: u8,
    pub(super) is_interactive: bool,
    pub(super) got_fin: bool,
    /// Where the peer's FIN is, once it came.
    pub(super) fin_place: Option<Seq>,
    /// The end of the stream was reported, so that the next read is an error.
    pub(super) was_reported: bool,
    /// Short segments go, whatever Nagle's rule says.
    pub(super) is_pushed: bool,
    /// The last write said that more comes (`MSG_MORE`).
    pub(super) has_more: bool,
    /// Bytes that are being written.
    pub(super) reserved: usize,
    pub(super) is_read_shut: bool,
    pub(super) is_write_shut: bool,
    /// No program has it any more.
    pub(super) is_orphan: bool,
    /// Somebody waits for room.
    pub(super) wants_room: bool,
    pub(super) error: Option<Errno>,
    pub(super) soft_error: Option<Errno>,
    pub(super) rtt: Rtt,
    pub(super) control: Control,
    pub(super) recovery: Recovery,
    pub(super) timers: Timers,
    pub(super) urgent: Urgent,
    pub(super) tuning: Tuning,
    pub(super) charged: usize,
    pub(super) stats: Stats,
    /// When an acknowledgement of something outside the window was sent last (RFC 5961, 7).
    pub(super) challenged: Option<Duration>,
}

/// How fast a program reads, from which the buffer's size follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tuning {
    pub(super) since: Duration,
    pub(super) copied: usize,
    pub(super) space: usize,
}

/// Counts that `TCP_INFO` shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stats {
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) segments_in: u32,
    pub(super) segments_out: u32,
    pub(super) repeated: u32,
    pub(super) last_sent: Duration,
    pub(super) last_received: Duration,
    pub(super) last_ack: Duration,
}

/// The segment size that every host takes (RFC 9293, 3.7.1).
pub(super) const DEFAULT_MSS: u32 = 536;
/// The least that a peer can make of it (`tcp_min_snd_mss`).
const LEAST_MSS: u32 = 48;
/// Bytes that timestamps take in each segment.
const TIMESTAMPS: u32 = 12;
/// Bytes that a full SACK option takes. Segments that are full without it carry none; acknowledgements do.
const SACK_BYTES: usize = 28;
/// Acknowledgements that are not delayed at first.
const QUICK: u8 = 16;

impl Connection {
    /// One that sends a SYN.
    pub(crate) fn connect(setup: Setup, cx: &mut Cx<'_>) -> Connection {
        let mut connection = Connection::new(setup, State::SynSent, cx);
        connection.receive_scale = scale_for(cx);
        connection.is_scaled = cx.config.tcp_window_scaling;
        connection.has_sack = cx.config.tcp_sack;
        connection.has_timestamps = cx.config.tcp_timestamps;
        connection.send_syn(cx);
        connection
    }

    /// One whose handshake the listener did.
    pub(crate) fn accepted(setup: Setup, peer: &Peer, cx: &mut Cx<'_>) -> Connection {
        let mut connection = Connection::new(setup, State::SynReceived, cx);
        connection.receive_scale = scale_for(cx);
        connection.is_scaled = cx.config.tcp_window_scaling;
        connection.has_sack = cx.config.tcp_sack;
        connection.has_timestamps = cx.config.tcp_timestamps;
        connection.nxt = setup.iss + 1;
        connection.una = setup.iss;
        connection.meet(peer, cx);
        connection
    }

    fn new(setup: Setup, state: State, cx: &Cx<'_>) -> Connection {
        let mss = setup.path_mss;
        Connection {
            state,
            setup,
            una: setup.iss,
            nxt: setup.iss,
            window: 0,
            window_seq: Seq(0),
            window_ack: Seq(0),
            most_window: 0,
            send_scale: 0,
            receive_scale: 0,
            is_scaled: false,
            has_sack: false,
            has_timestamps: false,
            recent_timestamp: 0,
            recent_at: cx.now,
            mss,
            queue: SendQueue::default(),
            fin_wanted: false,
            fin_sent: false,
            short_end: setup.iss,
            irs: Seq(0),
            receive: ReceiveQueue::default(),
            rcv_nxt: Seq(0),
            announced: Seq(0),
            acknowledged: Seq(0),
            receive_mss: DEFAULT_MSS.min(mss),
            quick_acks: QUICK,
            is_interactive: false,
            got_fin: false,
            fin_place: None,
            was_reported: false,
            is_pushed: false,
            has_more: false,
            reserved: 0,
            is_read_shut: false,
            is_write_shut: false,
            is_orphan: false,
            wants_room: false,
            error: None,
            soft_error: None,
            rtt: Rtt::default(),
            control: Control::new(cx.tcp.congestion, mss),
            recovery: Recovery::default(),
            timers: Timers::default(),
            urgent: Urgent::default(),
            tuning: Tuning {
                since: cx.now,
                copied: 0,
                space: 0,
            },
            charged: 0,
            stats: Stats {
                last_sent: cx.now,
                last_received: cx.now,
                last_ack: cx.now,
                ..Stats::default()
            },
            challenged: None,
        }
    }

    /// Takes what the peer's SYN says.
    pub(super) fn meet(&mut self, peer: &Peer, cx: &mut Cx<'_>) {
        self.irs = peer.irs;
        self.rcv_nxt = peer.irs + 1;
        self.acknowledged = self.rcv_nxt;
        self.has_sack &= peer.has_sack;
        self.has_timestamps &= peer.timestamp.is_some();
        self.recent_timestamp = peer.timestamp.unwrap_or(0);
        self.recent_at = cx.now;
        self.is_scaled &= peer.scale.is_some();
        (self.send_scale, self.receive_scale) = match peer.scale {
            Some(scale) if self.is_scaled => (scale, self.receive_scale),
            _ => (0, 0),
        };
        self.window = peer.window;
        self.most_window = peer.window;
        self.window_seq = peer.irs;
        self.window_ack = self.una;
        self.announced = self.rcv_nxt + self.window_of_syn(cx);
        self.set_mss(peer.mss, cx);
    }

    /// The longest segment to send, from what the peer takes and what the path carries.
    fn set_mss(&mut self, peer_mss: u32, cx: &Cx<'_>) {
        let asked = cx.tcp.max_segment.map_or(u32::MAX, u32::from);
        let mss = peer_mss.min(asked).min(self.setup.path_mss).max(LEAST_MSS);
        let used = if self.has_timestamps { TIMESTAMPS } else { 0 };
        self.mss = mss.saturating_sub(used).max(LEAST_MSS - TIMESTAMPS);
        self.control.set_mss(self.mss);
    }

    /// The path carries less than was thought: what was sent is sent again in shorter segments (RFC 1191, RFC 8201).
    pub(crate) fn shrink_path(&mut self, path_mss: u32, cx: &mut Cx<'_>) {
        let used = if self.has_timestamps { TIMESTAMPS } else { 0 };
        let mss = path_mss.saturating_sub(used).max(LEAST_MSS);
        if mss >= self.mss || self.state.is_opening() {
            return;
        }
        self.setup.path_mss = path_mss;
        self.setup.largest = self.setup.largest.min(path_mss);
        self.mss = mss;
        self.control.set_mss(mss);
        self.queue.lose_all();
        self.transmit(cx);
    }

    /// The MSS that our SYN announces.
    pub(super) fn announced_mss(&self, cx: &Cx<'_>) -> u16 {
        let asked = cx.tcp.max_segment.unwrap_or(u16::MAX);
        u16::try_from(self.setup.path_mss)
            .unwrap_or(u16::MAX)
            .min(asked)
    }

    /// The handshake is over.
    pub(super) fn establish(&mut self, cx: &mut Cx<'_>) {
        self.state = State::Established;
        self.timers.retransmit = None;
        self.recovery = Recovery::new(self.una);
        self.tuning.since = cx.now;
        self.tuning.space = usize_of(
            self.current_window()
                .min(self.setup.path_mss.saturating_mul(10)),
        );
        self.timers.heard(cx);
        self.grow_send_buffer(cx);
        cx.wake |= Readiness::OUT;
    }

    /// Lets the send buffer follow what may be on its way (`man 7 tcp`, `tcp_wmem`).
    pub(super) fn grow_send_buffer(&mut self, cx: &mut Cx<'_>) {
        if cx.options.send_buffer_locked {
            return;
        }
        let segments = (self.control.window() / u64::from(self.mss.max(1))).max(10) + 1;
        let wanted = segments.saturating_mul(u64::from(self.mss) + 1024) * 2;
        let wanted = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .min(cx.config.tcp_send_buffer[2]);
        cx.options.send_buffer = cx.options.send_buffer.max(wanted);
    }

    /// Counts what the queues hold against the container. What is there already is kept even if there is no more.
    pub(super) fn recount(&mut self, account: &mut Account) {
        let used = self.queue.bytes() + self.receive.weight();
        if used > self.charged {
            if account.take(used - self.charged) {
                self.charged = used;
            }
        } else {
            account.give(self.charged - used);
            self.charged = used;
        }
    }

    /// Whether there is memory for `bytes` more.
    pub(super) fn reserve(&mut self, bytes: usize, account: &mut Account) -> bool {
        let is_there = account.take(bytes);
        if is_there {
            self.charged += bytes;
        }
        is_there
    }

    /// It ends with an error, or without: nothing is sent or received any more.
    pub(super) fn end(&mut self, error: Option<Errno>, cx: &mut Cx<'_>) {
        self.state = State::Closed;
        self.error = self.error.or(error);
        self.queue = SendQueue::default();
        self.timers = Timers::default();
        if error.is_some() {
            cx.wake |= Readiness::ERROR;
        }
        cx.wake |= Readiness::IN | Readiness::OUT | Readiness::HANGUP | Readiness::READ_HANGUP;
        self.recount(cx.account);
    }

    /// A segment with what every segment has: what was received, and how much more can be.
    pub(super) fn segment(
        &mut self,
        seq: Seq,
        flags: Flags,
        payload: Payload,
        cx: &mut Cx<'_>,
    ) -> Segment {
        let is_syn = flags.contains(Flags::SYN);
        let window = self.announce(is_syn, cx);
        let mut segment = Segment {
            source_port: self.setup.local_port,
            destination_port: self.setup.peer_port,
            seq,
            ack: if flags.contains(Flags::ACK) {
                self.rcv_nxt
            } else {
                Seq(0)
            },
            flags,
            window,
            payload,
            segment_size: self.mss,
            ..Segment::default()
        };
        if self.has_timestamps {
            segment.options.timestamps = Some((self.clock(cx.now), self.recent_timestamp));
        }
        let is_short = segment.payload.len() + SACK_BYTES <= usize_of(self.mss);
        if self.has_sack && self.receive.has_early() && !is_syn && is_short {
            segment.options.sack = self.receive.ranges();
        }
        self.urgent.mark(&mut segment);
        if flags.contains(Flags::ACK) {
            self.acknowledged = self.rcv_nxt;
            self.timers.delayed_ack = None;
        }
        self.stats.segments_out = self.stats.segments_out.wrapping_add(1);
        segment
    }

    /// The clock of timestamps, in milliseconds.
    pub(super) fn clock(&self, now: Duration) -> u32 {
        let ms = u32::try_from(now.as_millis() & u128::from(u32::MAX)).unwrap_or_default();
        ms.wrapping_add(self.setup.clock_offset)
    }

    pub(super) fn send_syn(&mut self, cx: &mut Cx<'_>) {
        let segment = self.syn(cx);
        self.queue
            .send(self.setup.iss, Payload::default(), Flags::SYN, cx.now);
        self.nxt = self.setup.iss + 1;
        self.timers.retransmit = Some(cx.now + self.rtt.timeout(0));
        cx.out.push(segment);
    }

    /// Our SYN, with an acknowledgement if the peer's came.
    pub(super) fn syn(&mut self, cx: &mut Cx<'_>) -> Segment {
        let flags = if self.state == State::SynReceived {
            Flags::SYN | Flags::ACK
        } else {
            Flags::SYN
        };
        let mut segment = self.segment(self.setup.iss, flags, Payload::default(), cx);
        segment.options.max_segment = Some(self.announced_mss(cx));
        segment.options.sack_permitted = self.has_sack;
        segment.options.window_scale = self.is_scaled.then_some(self.receive_scale);
        segment
    }

    /// A segment that only acknowledges.
    pub(super) fn send_ack(&mut self, cx: &mut Cx<'_>) {
        let segment = self.segment(self.nxt, Flags::ACK, Payload::default(), cx);
        cx.out.push(segment);
    }

    /// A reset that the peer believes.
    pub(super) fn send_reset(&mut self, cx: &mut Cx<'_>) {
        let segment = self.segment(self.nxt, Flags::RST | Flags::ACK, Payload::default(), cx);
        cx.out.push(segment);
    }

    pub(super) fn window_of_syn(&self, cx: &Cx<'_>) -> u32 {
        self.capacity(cx).min(u16::MAX.into())
    }

    /// How much is taken at most: half of the buffer, since data cost more than their bytes.
    pub(super) fn capacity(&self, cx: &Cx<'_>) -> u32 {
        let clamp = cx.tcp.window_clamp.unwrap_or(u32::MAX);
        u32_of(cx.options.receive_buffer / 2)
            .min(clamp)
            .min(1 << 30)
    }

    /// The window of a segment, which moves the announced edge. It never moves back (RFC 9293, 3.8.6).
    fn announce(&mut self, is_syn: bool, cx: &Cx<'_>) -> u16 {
        if is_syn {
            let window = self.window_of_syn(cx);
            self.announced = self.rcv_nxt + window;
            return u16::try_from(window).unwrap_or(u16::MAX);
        }
        let current = self.current_window();
        let capacity = self.capacity(cx);
        let is_full = self.receive.weight() > cx.options.receive_buffer.saturating_mul(2);
        let free = if is_full {
            0
        } else {
            capacity.saturating_sub(u32_of(self.receive.len()))
        };
        // No silly windows: it grows by a segment or half of the buffer at least.
        let step = (capacity / 2).min(self.receive_mss.max(1));
        let window = if free >= current.saturating_add(step) {
            free
        } else {
            current
        };
        let unit = 1_u32 << self.receive_scale;
        let units = window.div_ceil(unit).min(u16::MAX.into());
        self.announced = self.announced.max(self.rcv_nxt + units * unit);
        u16::try_from(units).unwrap_or(u16::MAX)
    }

    /// How much the peer may send, as it knows.
    pub(super) fn current_window(&self) -> u32 {
        if self.announced.is_before(self.rcv_nxt) {
            0
        } else {
            self.announced.since(self.rcv_nxt)
        }
    }

    /// The place of the next byte that a program reads.
    pub(super) fn copied(&self) -> Seq {
        self.rcv_nxt - u32::from(self.got_fin) - u32_of(self.receive.len())
    }
}

/// The scale with which the largest buffer can be announced (RFC 7323, 2.3).
pub(super) fn scale_for(cx: &Cx<'_>) -> u8 {
    let most = cx.config.tcp_receive_buffer[2].max(cx.options.receive_buffer);
    let most = most.min(cx.tcp.window_clamp.map_or(usize::MAX, usize_of));
    (0..14)
        .find(|scale| most >> scale <= usize::from(u16::MAX))
        .unwrap_or(14)
}
