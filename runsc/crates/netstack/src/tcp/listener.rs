//! Handshakes of connections that others open, and the queue of those that wait for `accept` (`man 2 listen`).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Socket;
use super::connection::{Peer, Setup};
use super::rtt::{INITIAL_RTO, MAX_RTO};
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::table::Tuple;
use crate::hash::Secret;
use crate::route::Path;

/// What a handshake costs.
pub(super) const WEIGHT: usize = 512;

/// What a listening socket has.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(super) backlog: u32,
    pub(super) requests: HashMap<Tuple, Request, Secret>,
    pub(super) ready: VecDeque<Arc<Socket>>,
    /// Handshakes that are over, and not in the queue yet.
    pub(super) coming: usize,
}

/// A handshake that is not over.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) setup: Setup,
    pub(super) peer: Peer,
    pub(super) path: Path,
    pub(super) since: Duration,
    pub(super) due: Duration,
    pub(super) retries: u8,
    /// What a SYN-ACK says beside numbers.
    pub(super) answer: Answer,
}

/// Our side of a handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) max_segment: u16,
    pub(super) scale: Option<u8>,
    pub(super) has_sack: bool,
    pub(super) has_timestamps: bool,
    pub(super) window: u16,
}

impl Listener {
    pub(super) fn new(backlog: u32, secret: Secret) -> Listener {
        Listener {
            backlog,
            requests: HashMap::with_hasher(secret),
            ready: VecDeque::new(),
            coming: 0,
        }
    }

    /// Whether the queue for `accept` is full: Linux takes one more than the backlog.
    pub(super) fn is_full(&self) -> bool {
        self.ready.len() + self.coming > usize::try_from(self.backlog).unwrap_or(usize::MAX)
    }

    /// Whether no more handshakes are remembered.
    pub(super) fn is_crowded(&self) -> bool {
        self.requests.len() >= usize::try_from(self.backlog).unwrap_or(usize::MAX)
    }

    /// When a SYN-ACK has to be sent again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.requests.values().map(|request| request.due).min()
    }
}

impl Request {
    /// The SYN-ACK.
    pub(super) fn syn_ack(&self, now: Duration) -> Segment {
        let mut segment = Segment {
            source_port: self.setup.local_port,
            destination_port: self.setup.peer_port,
            seq: self.setup.iss,
            ack: self.peer.irs + 1,
            flags: Flags::SYN | Flags::ACK,
            window: self.answer.window,
            ..Segment::default()
        };
        segment.options.max_segment = Some(self.answer.max_segment);
        segment.options.window_scale = self.answer.scale.filter(|_| self.peer.scale.is_some());
        segment.options.sack_permitted = self.answer.has_sack && self.peer.has_sack;
        if let Some(recent) = self.peer.timestamp.filter(|_| self.answer.has_timestamps) {
            segment.options.timestamps = Some((self.clock(now), recent));
        }
        segment
    }

    pub(super) fn clock(&self, now: Duration) -> u32 {
        let ms = u32::try_from(now.as_millis() & u128::from(u32::MAX)).unwrap_or_default();
        ms.wrapping_add(self.setup.clock_offset)
    }

    /// It was not answered: the next try, or none after so many.
    pub(super) fn retry(&mut self, now: Duration, most: u8) -> bool {
        if self.retries >= most {
            return false;
        }
        self.retries += 1;
        self.due = now
            + INITIAL_RTO
                .saturating_mul(1 << self.retries.min(16))
                .min(MAX_RTO);
        true
    }

    /// Whether a segment is the acknowledgement of the SYN-ACK.
    pub(super) fn is_answered_by(&self, segment: &Segment) -> bool {
        let edge: Seq = self.peer.irs + 1 + u32::from(self.answer.window);
        segment.ack == self.setup.iss + 1 && segment.seq.is_within(self.peer.irs + 1, edge)
    }
}
