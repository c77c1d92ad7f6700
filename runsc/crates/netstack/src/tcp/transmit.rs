//! What is sent, and when: windows, Nagle's rule, retransmissions.

use abi::Errno;

use super::State;
use super::connection::{Connection, Cx};
use super::segment::Flags;
use super::send_queue::Sent;
use super::seq::{Seq, u32_of, usize_of};
use crate::Payload;

/// How long `TCP_CORK` holds a short segment back (`man 7 tcp`).
const CORKED: std::time::Duration = std::time::Duration::from_millis(200);

impl Connection {
    /// Sends what may be sent: what was lost first, then what is new.
    pub(super) fn transmit(&mut self, cx: &mut Cx<'_>) {
        if !self.state.sends() {
            return;
        }
        let before = cx.out.len();
        self.transmit_lost(cx);
        if !self.queue.has_lost() {
            self.transmit_new(cx);
        }
        if cx.out.len() > before {
            self.arm(cx);
        }
        self.watch_window(cx);
    }

    fn transmit_lost(&mut self, cx: &mut Cx<'_>) {
        let most = usize_of(self.mss);
        while self.queue.has_lost()
            && (self.queue.flight() == 0 || self.queue.flight() < self.control.window())
        {
            let Some(sent) = self.queue.repeat_lost(most, cx.now) else {
                break;
            };
            self.send_again(sent, cx);
        }
    }

    /// Sends a segment that was sent before.
    pub(super) fn send_again(&mut self, sent: Sent, cx: &mut Cx<'_>) {
        self.stats.repeated = self.stats.repeated.wrapping_add(1);
        if sent.flags.contains(Flags::SYN) {
            let syn = self.syn(cx);
            cx.out.push(syn);
            return;
        }
        let segment = self.segment(
            sent.seq,
            sent.flags | Flags::ACK | Flags::PSH,
            sent.payload,
            cx,
        );
        cx.out.push(segment);
    }

    fn transmit_new(&mut self, cx: &mut Cx<'_>) {
        let is_idle = self.queue.sent.is_empty();
        if is_idle && cx.now.saturating_sub(self.stats.last_sent) > self.rtt.timeout(0) {
            self.control.restart();
        }
        while !self.queue.unsent.is_empty() {
            let Some(len) = self.next_len(cx) else {
                return;
            };
            let payload = self.queue.unsent.split_front(len);
            let is_last = self.queue.unsent.is_empty();
            let with_fin = is_last && self.fin_wanted && !self.fin_sent;
            self.send_new(payload, with_fin, cx);
        }
        if self.fin_wanted && !self.fin_sent {
            self.send_new(Payload::default(), true, cx);
        }
    }

    fn send_new(&mut self, payload: Payload, with_fin: bool, cx: &mut Cx<'_>) {
        let len = u32_of(payload.len());
        let mut flags = Flags::ACK;
        if self.queue.unsent.is_empty() {
            flags |= Flags::PSH;
        }
        if with_fin {
            flags |= Flags::FIN;
            self.fin_sent = true;
        }
        let seq = self.nxt;
        self.nxt += len + u32::from(with_fin);
        if len > 0 && len < self.mss {
            self.short_end = self.nxt;
        }
        if cx.now.saturating_sub(self.stats.last_received) < super::arrive::DELAY {
            self.is_interactive = true;
        }
        self.stats.last_sent = cx.now;
        self.queue.send(seq, payload.clone(), flags, cx.now);
        let segment = self.segment(seq, flags, payload, cx);
        cx.out.push(segment);
    }

    /// How many bytes the next new segment has; `None` if none may be sent now.
    fn next_len(&mut self, cx: &mut Cx<'_>) -> Option<usize> {
        let unsent = self.queue.unsent.len();
        let mss = usize_of(self.mss);
        let window = self.window_left();
        let flight = self.queue.flight();
        if flight >= self.control.window() {
            return None;
        }
        let congestion = usize::try_from(self.control.window() - flight)
            .unwrap_or(usize::MAX)
            .max(mss);
        let wanted = unsent.min(mss);
        if window < wanted {
            // The rest of a small window is used only if nothing is on its way and it is large for this peer.
            let is_large = self.queue.sent.is_empty()
                && window > 0
                && window >= usize_of(self.most_window / 2);
            return is_large.then_some(window);
        }
        let largest = usize_of(self.setup.largest).max(mss);
        let most = window.min(congestion).min(largest);
        if unsent > mss || unsent > most {
            let whole = most.min(unsent);
            let rest = if whole == unsent && self.may_send_short(unsent % mss, cx) {
                0
            } else {
                whole % mss
            };
            return Some(if whole > mss { whole - rest } else { whole });
        }
        self.may_send_short(unsent, cx).then_some(unsent)
    }

    /// Whether a last segment of `len` bytes may go: Nagle's rule (RFC 9293, 3.7.4) as Minshall has it, `TCP_NODELAY`, `TCP_CORK`.
    fn may_send_short(&mut self, len: usize, cx: &Cx<'_>) -> bool {
        if len == 0 || len >= usize_of(self.mss) || self.fin_wanted {
            return true;
        }
        if self.is_pushed || self.urgent_is_waiting() {
            return true;
        }
        if cx.tcp.cork || self.has_more {
            self.timers.cork.get_or_insert(cx.now + CORKED);
            return false;
        }
        let has_short = self.short_end.is_after(self.una) && !self.short_end.is_after(self.nxt);
        cx.tcp.no_delay || !has_short
    }

    fn urgent_is_waiting(&self) -> bool {
        self.urgent.is_sending_after(self.nxt)
    }

    /// Bytes that the peer still takes.
    fn window_left(&self) -> usize {
        let edge = self.una + self.window;
        if edge.is_before(self.nxt) {
            0
        } else {
            usize_of(edge.since(self.nxt))
        }
    }

    /// The peer takes nothing and nothing is on its way: it is asked from time to time.
    fn watch_window(&mut self, cx: &mut Cx<'_>) {
        let waits = !self.queue.unsent.is_empty()
            && self.queue.sent.is_empty()
            && self.timers.cork.is_none();
        if !waits || self.window_left() >= self.queue.unsent.len().min(usize_of(self.mss)) {
            self.timers.persist = None;
        } else if self.timers.persist.is_none() {
            self.timers.persist = Some(cx.now + self.rtt.timeout(self.timers.backoff));
        }
    }

    /// A segment that the peer answers with its window: it lies before what it expects.
    pub(super) fn send_probe(&mut self, cx: &mut Cx<'_>) {
        let seq: Seq = self.una - 1;
        let segment = self.segment(seq, Flags::ACK, Payload::default(), cx);
        cx.out.push(segment);
    }

    /// What a program that writes hears.
    pub(super) fn check_writing(&mut self) -> Result<(), Errno> {
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        match self.state {
            State::SynSent | State::SynReceived => Err(Errno::EAGAIN),
            _ if self.is_write_shut || !self.state.writes() => Err(Errno::EPIPE),
            _ => Ok(()),
        }
    }
}
