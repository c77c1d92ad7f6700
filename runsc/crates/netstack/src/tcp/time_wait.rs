//! `TIME_WAIT`: what is left of a connection while late segments may come (RFC 9293, 3.6; RFC 6191).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use locks::Mutex;

use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::table::{TIME_WAIT, Tuple};
use crate::core::Core;
use crate::packet::{Cutting, Packet, Transport};
use crate::route::Path;
use crate::timers::{Armed, Timer};

/// Most acknowledgements of late segments: one in this time.
const ANSWER_INTERVAL: Duration = Duration::from_millis(500);
/// What is added to the last sequence number for a connection that follows.
const STEP: u32 = 65_535 + 2;

/// What a connection leaves behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remains {
    pub(crate) nxt: Seq,
    pub(crate) rcv_nxt: Seq,
    pub(crate) window: u16,
    pub(crate) recent_timestamp: Option<u32>,
    pub(crate) clock_offset: u32,
}

/// A connection that only answers late segments.
#[derive(Debug)]
pub(crate) struct TimeWait {
    pub(crate) remains: Remains,
    pub(crate) tuple: Tuple,
    pub(crate) path: Path,
    pub(crate) ttl: u8,
    /// The number of the socket, which the port is claimed by.
    pub(crate) id: u64,
    pub(crate) since: Duration,
    pub(crate) expires: Duration,
    pub(crate) answered: Option<Duration>,
    pub(crate) timer: Armed,
}

/// What a segment does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    /// It is gone.
    End,
    /// It is gone, and the segment opens a new connection, with at least this sequence number.
    Reopen(Seq),
}

impl TimeWait {
    /// The first sequence number of a connection that takes its place.
    pub(crate) fn next_iss(&self) -> Seq {
        self.remains.nxt + STEP
    }

    fn arrive(&mut self, segment: &Segment, now: Duration, out: &mut Vec<Segment>) -> Outcome {
        let remains = &self.remains;
        let stamp = segment.options.timestamps.map(|(value, _)| value);
        let is_older = match (stamp, remains.recent_timestamp) {
            (Some(value), Some(recent)) => Seq(value).is_before(Seq(recent)),
            _ => false,
        };
        if segment.has(Flags::SYN) && !segment.has(Flags::RST | Flags::ACK) && !is_older {
            let is_newer_clock = matches!((stamp, remains.recent_timestamp), (Some(value), Some(recent)) if Seq(value).is_after(Seq(recent)));
            if segment.seq.is_after(remains.rcv_nxt) || is_newer_clock {
                return Outcome::Reopen(self.next_iss());
            }
        }
        if segment.has(Flags::RST) {
            return if segment.seq == remains.rcv_nxt && !is_older {
                Outcome::End
            } else {
                Outcome::Nothing
            };
        }
        let is_late = segment.seq != remains.rcv_nxt || segment.len() > 0;
        let is_soon = self
            .answered
            .is_some_and(|at| now.saturating_sub(at) < ANSWER_INTERVAL);
        if is_late && !is_soon {
            self.answered = Some(now);
            out.push(self.acknowledgement(now));
        }
        if segment.has(Flags::FIN) {
            self.expires = now + TIME_WAIT;
        }
        Outcome::Nothing
    }

    fn acknowledgement(&self, now: Duration) -> Segment {
        let ms = u32::try_from(now.as_millis() & u128::from(u32::MAX)).unwrap_or_default();
        let clock = ms.wrapping_add(self.remains.clock_offset);
        let mut segment = Segment {
            source_port: self.tuple.local.port(),
            destination_port: self.tuple.peer.port(),
            seq: self.remains.nxt,
            ack: self.remains.rcv_nxt,
            flags: Flags::ACK,
            window: self.remains.window,
            ..Segment::default()
        };
        segment.options.timestamps = self.remains.recent_timestamp.map(|recent| (clock, recent));
        segment
    }
}

impl Core {
    /// Keeps what is left of a socket's connection, in its place.
    pub(super) fn begin_time_wait(&self, mut rest: TimeWait, socket: &super::Socket) {
        let (tuple, id) = (rest.tuple, rest.id);
        let count = self.tcp.time_waits.fetch_add(1, Ordering::Relaxed);
        if count >= self.config().tcp_max_time_wait {
            self.tcp.time_waits.fetch_sub(1, Ordering::Relaxed);
            self.tcp.remove(&tuple, socket);
            self.tcp
                .listeners
                .ports
                .lock()
                .release(tuple.local.port(), id);
            return;
        }
        self.arm(&mut rest.timer, Some(rest.expires), || {
            Timer::TimeWait(tuple, id)
        });
        self.tcp.leave(tuple, rest);
    }

    /// Its time is over, or was made longer.
    pub(crate) fn end_time_wait(&self, tuple: &Tuple, id: u64) {
        let now = self.now();
        if let Some(rest) = self
            .tcp
            .remove_time_wait(tuple, |rest| rest.id == id && rest.expires <= now)
        {
            self.forget_time_wait(&rest);
            return;
        }
        if let Some(super::table::Owner::TimeWait(rest)) = self.tcp.find(tuple) {
            let mut rest = rest.lock();
            if rest.id == id {
                rest.timer.fired();
                let expires = rest.expires;
                self.arm(&mut rest.timer, Some(expires), || {
                    Timer::TimeWait(*tuple, id)
                });
            }
        }
    }

    /// Gives back what a connection in `TIME_WAIT` had, which is in no table any more.
    pub(crate) fn forget_time_wait(&self, rest: &Mutex<TimeWait>) {
        let mut rest = rest.lock();
        self.disarm(&mut rest.timer);
        self.tcp.time_waits.fetch_sub(1, Ordering::Relaxed);
        self.tcp
            .listeners
            .ports
            .lock()
            .release(rest.tuple.local.port(), rest.id);
    }

    /// A segment for a connection in `TIME_WAIT`.
    pub(crate) fn arrive_in_time_wait(
        &self,
        rest: &Arc<Mutex<TimeWait>>,
        segment: &Segment,
    ) -> Outcome {
        let mut out = Vec::new();
        let (outcome, tuple, id) = {
            let mut rest = rest.lock();
            let outcome = rest.arrive(segment, self.now(), &mut out);
            for segment in out {
                let packet = Packet {
                    source: rest.tuple.local.ip(),
                    destination: rest.tuple.peer.ip(),
                    ttl: rest.ttl,
                    tos: 0,
                    cutting: Cutting::Forbidden,
                    transport: Transport::Tcp(segment),
                };
                self.output.push(packet, rest.path);
            }
            (outcome, rest.tuple, rest.id)
        };
        if outcome != Outcome::Nothing
            && let Some(rest) = self.tcp.remove_time_wait(&tuple, |rest| rest.id == id)
        {
            self.forget_time_wait(&rest);
        }
        outcome
    }
}
