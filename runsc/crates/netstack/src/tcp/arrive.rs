//! A segment arrives (RFC 9293, 3.10.7, with RFC 5961's protection against guesses).

use std::time::Duration;

use abi::Errno;

use super::State;
use super::connection::{Connection, Cx, DEFAULT_MSS, Peer};
use super::segment::{Flags, Segment};
use super::seq::{Seq, u32_of, usize_of};
use crate::{Payload, Readiness};

/// Least time between two answers to what is outside the window (`tcp_invalid_ratelimit`).
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);
/// Timestamps older than this say nothing (RFC 7323, 5.5).
const STALE: Duration = Duration::from_secs(24 * 24 * 3600);
/// How long an acknowledgement waits for data to go with.
pub(super) const DELAY: Duration = Duration::from_millis(40);

impl Peer {
    /// What a SYN says.
    pub(crate) fn of(segment: &Segment) -> Peer {
        Peer {
            irs: segment.seq,
            mss: segment.options.max_segment.map_or(DEFAULT_MSS, u32::from),
            scale: segment.options.window_scale,
            has_sack: segment.options.sack_permitted,
            timestamp: segment.options.timestamps.map(|(value, _)| value),
            window: segment.window.into(),
        }
    }
}

impl Connection {
    /// Takes a segment.
    pub(crate) fn arrive(&mut self, segment: Segment, cx: &mut Cx<'_>) {
        self.stats.segments_in = self.stats.segments_in.wrapping_add(1);
        match self.state {
            State::SynSent => self.arrive_in_syn_sent(&segment, cx),
            State::Closed | State::Listen | State::TimeWait => {}
            _ => self.arrive_synchronized(segment, cx),
        }
        self.recount(cx.account);
    }

    fn arrive_in_syn_sent(&mut self, segment: &Segment, cx: &mut Cx<'_>) {
        let has_ack = segment.has(Flags::ACK);
        if has_ack && (!segment.ack.is_after(self.setup.iss) || segment.ack.is_after(self.nxt)) {
            cx.out.extend(segment.reset());
            return;
        }
        if segment.has(Flags::RST) {
            if has_ack {
                self.end(Some(Errno::ECONNREFUSED), cx);
            }
            return;
        }
        if !segment.has(Flags::SYN) {
            return;
        }
        self.meet(&Peer::of(segment), cx);
        if has_ack {
            self.confirm_syn(segment.ack, cx);
            self.establish(cx);
            self.send_ack(cx);
            self.transmit(cx);
        } else {
            // Both opened at once.
            self.state = State::SynReceived;
            let syn = self.syn(cx);
            cx.out.push(syn);
        }
    }

    /// Our SYN was acknowledged.
    fn confirm_syn(&mut self, ack: Seq, cx: &Cx<'_>) {
        let mut sent_at = None;
        self.queue.acknowledge(ack, |delivered| {
            sent_at = Some(delivered).filter(|delivered| !delivered.is_repeat);
        });
        if let Some(delivered) = sent_at {
            self.rtt.sample(cx.now.saturating_sub(delivered.at), cx.now);
        }
        self.una = ack;
        self.window_ack = ack;
        self.timers.acknowledged();
    }

    fn arrive_synchronized(&mut self, mut segment: Segment, cx: &mut Cx<'_>) {
        if !self.is_acceptable(&mut segment, cx) {
            return;
        }
        if self.state == State::SynReceived {
            if !segment.ack.is_after(self.una) || segment.ack.is_after(self.nxt) {
                cx.out.extend(segment.reset());
                return;
            }
            self.confirm_syn(segment.ack, cx);
            self.window = u32::from(segment.window) << self.send_scale;
            self.most_window = self.most_window.max(self.window);
            self.establish(cx);
        }
        if !self.acknowledge(&segment, cx) {
            return;
        }
        self.pass_fin_acknowledgement(cx);
        self.note_urgent(&segment, cx);
        if !segment.payload.is_empty() || segment.has(Flags::FIN) {
            self.stats.last_received = cx.now;
            self.receive_data(segment, cx);
        }
        self.transmit(cx);
    }

    /// The first checks of RFC 9293, 3.10.7.4: sequence, RST, SYN, ACK.
    fn is_acceptable(&mut self, segment: &mut Segment, cx: &mut Cx<'_>) -> bool {
        if !self.is_young(segment, cx) && !segment.has(Flags::RST) {
            self.challenge(segment, cx);
            return false;
        }
        let window = self.current_window();
        let is_inside = !segment.end().is_before(self.acknowledged)
            && !segment.seq.is_after(self.rcv_nxt + window);
        if !is_inside {
            if !segment.has(Flags::RST) {
                self.challenge(segment, cx);
            }
            return false;
        }
        if segment.has(Flags::RST) {
            if segment.seq == self.rcv_nxt {
                self.reset(cx);
            } else {
                self.challenge(segment, cx);
            }
            return false;
        }
        let is_answer = self.state == State::SynReceived
            && segment.has(Flags::ACK)
            && segment.end() == self.rcv_nxt;
        if segment.has(Flags::SYN) && is_answer {
            segment.flags.remove(Flags::SYN);
            segment.seq += 1;
        }
        if segment.has(Flags::SYN) {
            self.challenge(segment, cx);
            return false;
        }
        self.note_timestamp(segment, cx);
        segment.has(Flags::ACK)
    }

    /// Whether its timestamp is not older than what came before (PAWS; RFC 7323, 5).
    fn is_young(&self, segment: &Segment, cx: &Cx<'_>) -> bool {
        let Some((value, _)) = segment.options.timestamps.filter(|_| self.has_timestamps) else {
            return true;
        };
        let is_older = Seq(value).is_before(Seq(self.recent_timestamp));
        !is_older || cx.now.saturating_sub(self.recent_at) > STALE
    }

    /// Remembers the timestamp that the next segments echo: that of the segment that the last acknowledgement asked for.
    fn note_timestamp(&mut self, segment: &Segment, cx: &Cx<'_>) {
        let Some((value, _)) = segment.options.timestamps.filter(|_| self.has_timestamps) else {
            return;
        };
        if !segment.seq.is_after(self.acknowledged) {
            self.recent_timestamp = value;
            self.recent_at = cx.now;
        }
    }

    /// Tells the peer where the window is (RFC 5961). Guesses are answered rarely, data that came twice always.
    fn challenge(&mut self, segment: &Segment, cx: &mut Cx<'_>) {
        let is_data = !segment.payload.is_empty() && !segment.has(Flags::SYN | Flags::RST);
        let is_soon = self
            .challenged
            .is_some_and(|at| cx.now.saturating_sub(at) < CHALLENGE_INTERVAL);
        if !is_data && is_soon {
            return;
        }
        if !is_data {
            self.challenged = Some(cx.now);
        }
        self.send_ack(cx);
    }

    fn reset(&mut self, cx: &mut Cx<'_>) {
        let errno = match self.state {
            State::SynReceived => Errno::ECONNREFUSED,
            State::CloseWait => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        };
        self.end(Some(errno), cx);
    }

    /// Takes what a segment acknowledges. False if the segment counts for nothing more.
    fn acknowledge(&mut self, segment: &Segment, cx: &mut Cx<'_>) -> bool {
        let ack = segment.ack;
        if ack.is_after(self.nxt) {
            self.challenge(segment, cx);
            return false;
        }
        if ack.is_before(self.una) {
            let is_far = self.una.since(ack) > self.most_window.max(u16::MAX.into());
            if is_far {
                self.challenge(segment, cx);
            }
            return !is_far;
        }
        self.stats.last_ack = cx.now;
        self.timers.probes = 0;
        let is_used_up = self.queue.flight() + u64::from(self.mss) >= self.control.window();
        let is_new = ack.is_after(self.una);
        let has_moved = self.update_window(segment);
        let sacked = self.take_sacks(segment, cx);
        if is_new {
            self.advance(segment, is_used_up, cx);
        } else if !has_moved
            && segment.payload.is_empty()
            && !self.has_sack
            && self.queue.flight() > 0
        {
            self.count_duplicate(cx);
        }
        if (is_new || sacked > 0) && self.has_sack && !self.queue.sent.is_empty() {
            let is_suspicious =
                self.queue.sacked() > 0 || self.recovery.phase != super::recovery::Phase::Open;
            if is_suspicious && self.detect_loss(cx) {
                self.enter_recovery(cx);
            }
        }
        if is_new || has_moved || sacked > 0 {
            self.rearm(cx);
        }
        true
    }

    /// Something new was acknowledged.
    fn advance(&mut self, segment: &Segment, is_used_up: bool, cx: &mut Cx<'_>) {
        let ack = segment.ack;
        let (now, least) = (cx.now, self.rtt.least());
        let mut first = None;
        let recovery = &mut self.recovery;
        let bytes = self.queue.acknowledge(ack, |delivered| {
            first = first.or(Some(delivered));
            recovery.deliver(delivered, now, least);
        });
        let newly = u64::from(ack.since(self.una));
        self.una = ack;
        self.urgent.acknowledge(ack);
        self.stats.bytes_acked = self
            .stats
            .bytes_acked
            .wrapping_add(u64::from(u32_of(bytes)));
        let echo = segment
            .options
            .timestamps
            .filter(|_| self.has_timestamps)
            .map(|(_, echo)| echo);
        match (first, echo) {
            (Some(first), _) if !first.is_repeat => {
                self.rtt.sample(now.saturating_sub(first.at), now);
            }
            (Some(_), Some(echo)) if echo != 0 => {
                let ms = self.clock(now).wrapping_sub(echo);
                self.rtt.sample(
                    Duration::from_millis(ms.into()).min(super::rtt::MAX_RTO),
                    now,
                );
            }
            _ => {}
        }
        self.timers.acknowledged();
        self.soft_error = None;
        let was_open = self.recovery.phase;
        self.leave_recovery(echo);
        let is_growing = match was_open {
            super::recovery::Phase::Open => is_used_up,
            super::recovery::Phase::Loss(_) => self.control.window() < self.control.threshold(),
            super::recovery::Phase::Recovery(_) => false,
        };
        if is_growing {
            self.control
                .acknowledge(newly, now, self.rtt.smoothed().unwrap_or_default());
        }
        self.grow_send_buffer(cx);
        self.tell_room(cx);
    }

    /// Takes the window of a segment that is not older than the last one. Says whether it moved.
    fn update_window(&mut self, segment: &Segment) -> bool {
        let is_newer = self.window_seq.is_before(segment.seq)
            || (self.window_seq == segment.seq && !segment.ack.is_before(self.window_ack))
            || segment.ack.is_after(self.una);
        if !is_newer {
            return false;
        }
        let window = u32::from(segment.window) << self.send_scale;
        let has_moved = window != self.window;
        self.window = window;
        self.most_window = self.most_window.max(window);
        self.window_seq = segment.seq;
        self.window_ack = segment.ack;
        has_moved
    }

    /// Takes SACK blocks. The result counts bytes that are new.
    fn take_sacks(&mut self, segment: &Segment, cx: &mut Cx<'_>) -> u64 {
        if !self.has_sack {
            return 0;
        }
        let (now, least) = (cx.now, self.rtt.least());
        let mut newly = 0;
        for (start, end) in segment.options.sack_blocks() {
            let is_sane = start.is_before(end) && !end.is_after(self.nxt);
            if is_sane && !end.is_after(segment.ack) {
                self.recovery.was_too_hasty();
            } else if is_sane && start.is_after(self.una) {
                let recovery = &mut self.recovery;
                newly += self.queue.sack(start, end, |delivered| {
                    recovery.deliver(delivered, now, least);
                });
                self.recovery.sacked_to(end);
            }
        }
        newly
    }

    /// Our FIN, if it was sent, may have been acknowledged.
    fn pass_fin_acknowledgement(&mut self, cx: &mut Cx<'_>) {
        if !self.fin_sent || self.una != self.nxt {
            return;
        }
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                self.limit_fin_wait(cx);
                cx.wake |= Readiness::OUT;
            }
            State::Closing => self.wait(cx),
            State::LastAck => self.end(None, cx),
            _ => {}
        }
    }

    /// Both sides are done; late segments are still answered.
    fn wait(&mut self, cx: &mut Cx<'_>) {
        self.end(None, cx);
        self.state = State::TimeWait;
    }

    fn receive_data(&mut self, mut segment: Segment, cx: &mut Cx<'_>) {
        if !self.state.receives() {
            if !segment.payload.is_empty() && !matches!(self.state, State::Closed | State::TimeWait)
            {
                self.send_ack(cx);
            }
            return;
        }
        if self.is_orphan && (segment.seq.plus(segment.payload.len())).is_after(self.rcv_nxt) {
            // Nobody will ever read it (RFC 9293, 3.10.7.4, and RFC 2525, 2.17).
            self.send_reset(cx);
            self.end(None, cx);
            return;
        }
        if !self.trim(&mut segment) {
            self.send_ack(cx);
            return;
        }
        if !segment.payload.is_empty() && !self.keep(&segment, cx) {
            return;
        }
        if segment.has(Flags::FIN) {
            self.fin_place = Some(segment.seq.plus(segment.payload.len()));
        }
        let len = segment.payload.len();
        self.receive_mss = self.receive_mss.max(u32_of(len).min(self.setup.path_mss));
        let had_early = self.receive.has_early();
        let is_in_order = segment.seq == self.rcv_nxt;
        if len > 0 {
            self.store(segment.seq, segment.payload, cx);
        }
        if self.fin_place == Some(self.rcv_nxt) {
            self.take_fin(cx);
        } else if had_early || !is_in_order {
            self.send_ack(cx);
        } else {
            self.acknowledge_later(cx);
        }
    }

    /// Cuts off what came before and what the window has no room for. False if nothing is left.
    fn trim(&mut self, segment: &mut Segment) -> bool {
        if segment.seq.is_before(self.rcv_nxt) {
            let known = usize_of(self.rcv_nxt.since(segment.seq));
            if known >= segment.payload.len() + usize::from(segment.has(Flags::FIN)) {
                return false;
            }
            segment
                .payload
                .split_front(known.min(segment.payload.len()));
            segment.seq = self.rcv_nxt;
        }
        let edge = self.rcv_nxt + self.current_window();
        let room = if edge.is_before(segment.seq) {
            0
        } else {
            usize_of(edge.since(segment.seq))
        };
        if segment.payload.len() > room {
            segment.payload.truncate(room);
            segment.flags.remove(Flags::FIN);
            return room > 0;
        }
        true
    }

    /// Whether there is memory for what a segment brings.
    fn keep(&mut self, segment: &Segment, cx: &mut Cx<'_>) -> bool {
        let is_early = segment.seq != self.rcv_nxt;
        let limit = cx
            .options
            .receive_buffer
            .saturating_mul(if is_early { 1 } else { 2 });
        let weight = segment.payload.weight();
        if self.receive.weight() + weight > limit.max(usize_of(self.current_window()) + weight) {
            if is_early {
                return false;
            }
            self.receive.prune();
        }
        self.reserve(weight, cx.account)
    }

    fn store(&mut self, seq: Seq, payload: Payload, cx: &mut Cx<'_>) {
        let before = self.rcv_nxt;
        if seq == self.rcv_nxt {
            self.rcv_nxt = self.rcv_nxt.plus(payload.len());
            self.receive.push(payload);
            if self.receive.has_early() {
                self.rcv_nxt = self.receive.join(self.rcv_nxt);
            }
        } else {
            self.receive.push_early(seq, payload);
        }
        if self.rcv_nxt != before {
            self.stats.bytes_received = self
                .stats
                .bytes_received
                .wrapping_add(self.rcv_nxt.since(before).into());
            self.take_urgent(cx);
            if self.receive.len() >= cx.options.receive_low_water {
                cx.wake |= Readiness::IN;
            }
        }
    }

    /// The peer sends no more.
    fn take_fin(&mut self, cx: &mut Cx<'_>) {
        self.rcv_nxt += 1;
        self.got_fin = true;
        cx.wake |= Readiness::IN | Readiness::READ_HANGUP;
        self.send_ack(cx);
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.wait(cx),
            _ => {}
        }
        if self.is_write_shut {
            cx.wake |= Readiness::HANGUP;
        }
    }

    /// Acknowledges each second full segment at once, and others a little later, with data if there are any (RFC 9293, 3.8.6.3).
    fn acknowledge_later(&mut self, cx: &mut Cx<'_>) {
        let unacknowledged = self.rcv_nxt.since(self.acknowledged);
        let is_quick = cx.tcp.quick_ack || (self.quick_acks > 0 && !self.is_interactive);
        if unacknowledged > self.receive_mss || is_quick {
            self.quick_acks = self.quick_acks.saturating_sub(1);
            self.send_ack(cx);
        } else if self.timers.delayed_ack.is_none() {
            self.timers.delayed_ack = Some(cx.now + DELAY);
        }
    }
}
