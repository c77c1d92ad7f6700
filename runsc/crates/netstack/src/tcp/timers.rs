//! The timers of a connection (RFC 6298, RFC 8985; RFC 9293, 3.8.4 and 3.8.6).

use std::time::Duration;

use abi::Errno;

use super::State;
use super::connection::{Connection, Cx};
use super::recovery::Phase;
use super::rtt;
use super::seq::usize_of;

/// What an unanswered probe adds if a single segment is on its way, for the peer's delayed acknowledgement.
const ALONE: Duration = Duration::from_millis(200);
/// Least wait for a probe (Linux's `TCP_TIMEOUT_MIN`).
const LEAST_PROBE: Duration = Duration::from_millis(2);
/// How often the SYN of a connection is acknowledged in vain (`tcp_synack_retries`).
const ORPHAN_RETRIES: u8 = 8;

/// When what is due.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    /// Nothing was acknowledged.
    pub(super) retransmit: Option<Duration>,
    /// The last segment is sent again, to learn of a loss at the end.
    pub(super) probe: Option<Duration>,
    /// What came out of order should have come by now.
    pub(super) reorder: Option<Duration>,
    /// The window is closed.
    pub(super) persist: Option<Duration>,
    pub(super) delayed_ack: Option<Duration>,
    pub(super) keepalive: Option<Duration>,
    /// The peer does not send its FIN.
    pub(super) fin_wait: Option<Duration>,
    pub(super) cork: Option<Duration>,
    /// Time-outs in a row.
    pub(super) backoff: u32,
    pub(super) retransmits: u8,
    /// When the first of these segments was sent.
    since: Option<Duration>,
    /// Probes without an answer, of a closed window or an idle connection.
    pub(super) probes: u8,
    /// A probe for loss is on its way.
    is_probing: bool,
}

impl Timers {
    pub(super) fn deadline(&self) -> Option<Duration> {
        let all = [
            self.retransmit,
            self.probe,
            self.reorder,
            self.persist,
            self.delayed_ack,
            self.keepalive,
            self.fin_wait,
            self.cork,
        ];
        all.into_iter().flatten().min()
    }

    /// Something new was acknowledged.
    pub(super) fn acknowledged(&mut self) {
        self.backoff = 0;
        self.retransmits = 0;
        self.since = None;
        self.is_probing = false;
    }

    /// The peer is there, or `SO_KEEPALIVE` changed.
    pub(super) fn heard(&mut self, cx: &Cx<'_>) {
        self.keepalive = cx.options.keep_alive.then(|| cx.now + cx.tcp.keep_idle);
    }
}

fn is_due(timer: &mut Option<Duration>, now: Duration) -> bool {
    timer.take_if(|at| *at <= now).is_some()
}

impl Connection {
    /// When [`Connection::fire`] has to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.timers.deadline()
    }

    /// Does what is due.
    pub(crate) fn fire(&mut self, cx: &mut Cx<'_>) {
        if is_due(&mut self.timers.delayed_ack, cx.now) {
            self.is_interactive = false;
            self.send_ack(cx);
        }
        if is_due(&mut self.timers.cork, cx.now) {
            self.is_pushed = true;
            self.transmit(cx);
            self.is_pushed = false;
        }
        if is_due(&mut self.timers.reorder, cx.now) && self.detect_loss(cx) {
            self.enter_recovery(cx);
            self.transmit(cx);
        }
        if is_due(&mut self.timers.probe, cx.now) {
            self.probe_loss(cx);
        }
        if is_due(&mut self.timers.retransmit, cx.now) {
            self.time_out(cx);
        }
        if is_due(&mut self.timers.persist, cx.now) {
            self.probe_window(cx);
        }
        if is_due(&mut self.timers.keepalive, cx.now) {
            self.keep_alive(cx);
        }
        if is_due(&mut self.timers.fin_wait, cx.now) && self.state == State::FinWait2 {
            self.end(None, cx);
        }
        self.recount(cx.account);
    }

    /// How long the peer took to answer our SYN-ACK.
    pub(crate) fn measure(&mut self, rtt: Duration, cx: &Cx<'_>) {
        self.rtt.sample(rtt, cx.now);
    }

    /// Something was sent: it has to be acknowledged in time.
    pub(super) fn arm(&mut self, cx: &mut Cx<'_>) {
        if self.queue.sent.is_empty() {
            return;
        }
        let timeout = cx.now + self.rtt.timeout(self.timers.backoff);
        let retransmit = *self.timers.retransmit.get_or_insert(timeout);
        self.timers.probe = self.probe_at(cx).map(|at| at.min(retransmit));
    }

    /// Something was acknowledged: the rest gets its time anew.
    pub(super) fn rearm(&mut self, cx: &mut Cx<'_>) {
        self.timers.retransmit = None;
        self.timers.probe = None;
        if self.queue.sent.is_empty() {
            self.timers.reorder = None;
        }
        self.arm(cx);
    }

    /// When the end of what was sent is probed for loss (RFC 8985, 7.2).
    fn probe_at(&self, cx: &Cx<'_>) -> Option<Duration> {
        let is_quiet =
            self.has_sack && self.recovery.phase == Phase::Open && self.queue.sacked() == 0;
        if !is_quiet || self.timers.is_probing || self.state.is_opening() {
            return None;
        }
        let smoothed = self.rtt.smoothed()?;
        let alone = if self.queue.sent.len() == 1 {
            ALONE
        } else {
            LEAST_PROBE
        };
        Some(cx.now + smoothed * 2 + alone)
    }

    fn probe_loss(&mut self, cx: &mut Cx<'_>) {
        let Some(last) = self.queue.sent.len().checked_sub(1) else {
            return;
        };
        self.timers.is_probing = true;
        self.timers.retransmit = Some(cx.now + self.rtt.timeout(self.timers.backoff));
        if let Some(sent) = self.queue.repeat(last, usize_of(self.mss), cx.now) {
            self.send_again(sent, cx);
        }
    }

    /// Nothing was acknowledged in time (RFC 6298, 5).
    fn time_out(&mut self, cx: &mut Cx<'_>) {
        let Some(first) = self.queue.sent.front() else {
            return;
        };
        let since = *self.timers.since.get_or_insert(first.at);
        if self.is_hopeless(since, cx) {
            self.give_up(cx);
            return;
        }
        self.timers.retransmits = self.timers.retransmits.saturating_add(1);
        self.timers.backoff += 1;
        self.timers.probe = None;
        if self.state.is_opening() {
            if let Some(sent) = self.queue.repeat(0, 0, cx.now) {
                self.send_again(sent, cx);
            }
        } else {
            self.enter_loss(cx);
            self.transmit_after_timeout(cx);
        }
        self.timers.retransmit = Some(cx.now + self.rtt.timeout(self.timers.backoff));
    }

    fn transmit_after_timeout(&mut self, cx: &mut Cx<'_>) {
        let missing = self.queue.first_missing();
        if let Some(sent) =
            missing.and_then(|index| self.queue.repeat(index, usize_of(self.mss), cx.now))
        {
            self.send_again(sent, cx);
        }
    }

    /// Whether the peer had its chances.
    fn is_hopeless(&self, since: Duration, cx: &Cx<'_>) -> bool {
        let elapsed = cx.now.saturating_sub(since);
        if let Some(most) = cx.tcp.user_timeout {
            return elapsed >= most;
        }
        if self.state.is_opening() {
            return self.timers.retransmits >= cx.tcp.syn_count;
        }
        let retries = if self.is_orphan {
            self.orphan_retries(cx)
        } else {
            cx.config.tcp_retries
        };
        self.timers.retransmits > 0 && elapsed >= rtt::patience(retries)
    }

    fn orphan_retries(&self, cx: &Cx<'_>) -> u8 {
        match cx.config.tcp_orphan_retries {
            0 => ORPHAN_RETRIES,
            retries => retries,
        }
    }

    fn give_up(&mut self, cx: &mut Cx<'_>) {
        let errno = self.soft_error.unwrap_or(Errno::ETIMEDOUT);
        self.end(Some(errno), cx);
    }

    /// The window is closed: asks for it, more and more rarely.
    fn probe_window(&mut self, cx: &mut Cx<'_>) {
        let most = if self.is_orphan {
            self.orphan_retries(cx)
        } else {
            cx.config.tcp_retries
        };
        let waited = self.timers.since.get_or_insert(cx.now);
        let is_over = cx
            .tcp
            .user_timeout
            .is_some_and(|most| cx.now.saturating_sub(*waited) >= most);
        if self.timers.probes >= most || is_over {
            self.give_up(cx);
            return;
        }
        self.timers.probes += 1;
        self.timers.backoff = (self.timers.backoff + 1).min(16);
        self.send_probe(cx);
        self.timers.persist = Some(cx.now + self.rtt.timeout(self.timers.backoff));
    }

    /// The connection may be idle for too long (`SO_KEEPALIVE`).
    fn keep_alive(&mut self, cx: &mut Cx<'_>) {
        if !cx.options.keep_alive
            || matches!(self.state, State::Closed | State::TimeWait | State::SynSent)
        {
            return;
        }
        let heard = self.stats.last_received.max(self.stats.last_ack);
        let quiet = cx.now.saturating_sub(heard);
        let is_busy = !self.queue.sent.is_empty() || !self.queue.unsent.is_empty();
        if is_busy || quiet < cx.tcp.keep_idle {
            self.timers.keepalive = Some(if is_busy { cx.now } else { heard } + cx.tcp.keep_idle);
            return;
        }
        let is_over = match cx.tcp.user_timeout {
            Some(most) => quiet >= most && self.timers.probes > 0,
            None => self.timers.probes >= cx.tcp.keep_count,
        };
        if is_over {
            self.send_reset(cx);
            self.give_up(cx);
            return;
        }
        self.timers.probes += 1;
        self.send_probe(cx);
        self.timers.keepalive = Some(cx.now + cx.tcp.keep_interval);
    }

    /// An orphan does not wait for the peer's FIN for ever (`tcp_fin_timeout`, `TCP_LINGER2`).
    pub(super) fn limit_fin_wait(&mut self, cx: &mut Cx<'_>) {
        if self.is_orphan && self.state == State::FinWait2 {
            let wait = cx.tcp.linger2.unwrap_or(cx.config.tcp_fin_timeout);
            if wait.is_zero() {
                self.send_reset(cx);
                self.end(None, cx);
                return;
            }
            self.timers.fin_wait = Some(cx.now + wait);
        }
    }
}
