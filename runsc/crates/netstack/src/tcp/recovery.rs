//! Finding out what was lost: RACK-TLP (RFC 8985) from SACK options, or repeated acknowledgements (RFC 6582) without them.

use std::time::Duration;

use super::connection::{Connection, Cx};
use super::send_queue::Delivered;
use super::seq::Seq;

/// Segments out of order after which the gap counts as lost without waiting.
const DUPLICATES: u64 = 3;

/// What a connection knows about loss.
#[derive(Clone, Debug, Default)]
pub(super) struct Recovery {
    pub(super) phase: Phase,
    /// The segment, of those that arrived, that was sent last.
    newest: Option<(Duration, Seq)>,
    /// Its round trip.
    newest_rtt: Duration,
    /// The end of what was received out of order.
    farthest: Seq,
    /// The end of what was received, in order or not.
    reached: Seq,
    is_reordered: bool,
    /// How often a wait turned out too short.
    patience: u32,
    pub(super) duplicates: u64,
    undo: Option<Undo>,
}

/// What a connection does about loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    /// Loss was seen; it ends when all up to the place is acknowledged.
    Recovery(Seq),
    /// Nothing came in time.
    Loss(Seq),
}

/// What to go back to if nothing was lost after all.
#[derive(Clone, Copy, Debug)]
struct Undo {
    window: u64,
    threshold: u64,
    /// The clock when something was sent again first.
    stamp: u32,
}

impl Recovery {
    pub(super) fn new(una: Seq) -> Recovery {
        Recovery {
            farthest: una,
            reached: una,
            ..Recovery::default()
        }
    }

    /// Notes a segment that arrived.
    pub(super) fn deliver(&mut self, delivered: Delivered, now: Duration, least: Option<Duration>) {
        let rtt = now.saturating_sub(delivered.at);
        // What was sent again and comes back too soon is the first copy's.
        if delivered.is_repeat && least.is_some_and(|least| rtt < least) {
            return;
        }
        if delivered.end.is_before(self.reached) && !delivered.is_repeat {
            self.is_reordered = true;
        }
        self.reached = self.reached.max(delivered.end);
        let is_newer = |(at, end): (Duration, Seq)| {
            at < delivered.at || (at == delivered.at && end.is_before(delivered.end))
        };
        if self.newest.is_none_or(is_newer) {
            self.newest = Some((delivered.at, delivered.end));
            self.newest_rtt = rtt;
        }
    }

    pub(super) fn sacked_to(&mut self, end: Seq) {
        self.farthest = self.farthest.max(end);
    }

    /// The peer got something twice: the next wait is longer (RFC 8985, 6.2).
    pub(super) fn was_too_hasty(&mut self) {
        self.patience = (self.patience + 1).min(16);
    }

    pub(super) fn number(&self) -> u8 {
        match self.phase {
            Phase::Open => 0,
            Phase::Recovery(_) => 3,
            Phase::Loss(_) => 4,
        }
    }
}

impl Connection {
    /// Marks what was sent before something that arrived, and should have arrived by now (RFC 8985, 6.2). Says whether anything is.
    pub(super) fn detect_loss(&mut self, cx: &mut Cx<'_>) -> bool {
        self.timers.reorder = None;
        let Some((newest_at, newest_end)) = self.recovery.newest else {
            return false;
        };
        let wait = self.recovery.newest_rtt + self.reordering_wait();
        let (farthest, una) = (self.recovery.farthest, self.una);
        let mut lost = Vec::new();
        let mut look_again: Option<Duration> = None;
        for (index, sent) in self.queue.sent.iter().enumerate() {
            if !sent.seq.is_before(farthest.max(una)) && sent.repeats == 0 {
                break;
            }
            let is_newer =
                sent.at > newest_at || (sent.at == newest_at && !sent.end().is_before(newest_end));
            if sent.is_sacked || (sent.is_lost && !sent.is_repeated) || is_newer {
                continue;
            }
            let due = sent.at + wait;
            if due <= cx.now {
                lost.push(index);
            } else {
                look_again = Some(look_again.map_or(due, |other| other.max(due)));
            }
        }
        lost.iter().for_each(|index| self.queue.lose(*index));
        self.timers.reorder = look_again;
        !lost.is_empty()
    }

    /// How much later than its successors a segment may come.
    fn reordering_wait(&self) -> Duration {
        let is_many = self.queue.sacked() >= DUPLICATES * u64::from(self.mss);
        if !self.recovery.is_reordered && (self.recovery.phase != Phase::Open || is_many) {
            return Duration::ZERO;
        }
        let least = self.rtt.least().unwrap_or_default();
        let most = self.rtt.smoothed().unwrap_or_default();
        (least / 4 * (self.recovery.patience + 1)).min(most)
    }

    /// Counts an acknowledgement that says nothing new, of a peer without SACK.
    pub(super) fn count_duplicate(&mut self, cx: &mut Cx<'_>) {
        self.recovery.duplicates += 1;
        if self.recovery.duplicates == DUPLICATES && self.recovery.phase == Phase::Open {
            self.queue.lose(0);
            self.enter_recovery(cx);
        }
    }

    /// Loss was seen: less is sent until what is on its way arrived.
    pub(super) fn enter_recovery(&mut self, cx: &Cx<'_>) {
        if self.recovery.phase != Phase::Open {
            return;
        }
        self.recovery.phase = Phase::Recovery(self.nxt);
        self.remember(cx);
        self.control.reduce();
    }

    /// Nothing came in time: what is on its way counts as lost.
    pub(super) fn enter_loss(&mut self, cx: &Cx<'_>) {
        if self.queue.sent.front().is_some_and(|first| first.is_sacked) {
            self.queue.forget_sacks();
        }
        if !matches!(self.recovery.phase, Phase::Loss(_)) {
            if self.recovery.phase == Phase::Open {
                self.remember(cx);
            }
            self.control.collapse();
        }
        self.recovery.phase = Phase::Loss(self.nxt);
        self.recovery.duplicates = 0;
        self.queue.lose_all();
    }

    fn remember(&mut self, cx: &Cx<'_>) {
        self.recovery.undo = Some(Undo {
            window: self.control.window(),
            threshold: self.control.threshold(),
            stamp: self.clock(cx.now),
        });
    }

    /// What an acknowledgement of something new means for a recovery. `echo` is the clock that the peer heard last.
    pub(super) fn leave_recovery(&mut self, echo: Option<u32>) {
        let (Phase::Recovery(end) | Phase::Loss(end)) = self.recovery.phase else {
            self.recovery.duplicates = 0;
            return;
        };
        // The peer answers what was sent before anything was sent again: nothing was lost (RFC 3522).
        let undo = self.recovery.undo.take_if(|undo| {
            echo.is_some_and(|echo| echo != 0 && Seq(echo).is_before(Seq(undo.stamp)))
        });
        if let Some(undo) = undo {
            self.control.undo(undo.window, undo.threshold);
            self.queue.find_all();
            self.recovery.phase = Phase::Open;
        } else if !self.una.is_before(end) {
            self.recovery.phase = Phase::Open;
            self.recovery.duplicates = 0;
        } else if !self.has_sack {
            // A partial acknowledgement: the next segment is lost too (RFC 6582).
            self.queue.lose(0);
        }
        self.recovery.undo = self
            .recovery
            .undo
            .filter(|_| self.recovery.phase != Phase::Open);
    }
}
