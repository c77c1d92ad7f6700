//! What was received: bytes in order, which a program can read, and ranges that came too early.

use super::segment::SACK_BLOCKS;
use super::seq::{Seq, usize_of};
use crate::Payload;
use crate::payload::{Chunk, OVERHEAD};

/// Data so short are copied together, so that each byte does not keep a buffer.
const SHORT: usize = 2048;
/// Room for short data that follow.
const ROOM: usize = 8192;

/// Received bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiveQueue {
    ready: Payload,
    /// Ranges out of order: they neither touch nor overlap, and are sorted.
    early: Vec<Early>,
    /// Pieces of these, which cost memory beside their bytes.
    early_pieces: usize,
    /// Where the last one was put, which a SACK option names first.
    latest: Option<Seq>,
}

#[derive(Clone, Debug)]
struct Early {
    seq: Seq,
    payload: Payload,
    pieces: usize,
}

impl Early {
    fn end(&self) -> Seq {
        self.seq.plus(self.payload.len())
    }
}

impl ReceiveQueue {
    /// Bytes that can be read.
    pub(crate) fn len(&self) -> usize {
        self.ready.len()
    }

    /// What the queue costs.
    pub(crate) fn weight(&self) -> usize {
        let early: usize = self.early.iter().map(|early| early.payload.len()).sum();
        self.ready.len() + early + self.early_pieces * OVERHEAD
    }

    pub(crate) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Takes data that begin at `next`.
    pub(crate) fn push(&mut self, payload: Payload) {
        if payload.len() > SHORT {
            self.ready.append(payload);
            return;
        }
        for piece in payload.pieces() {
            let done = self.ready.extend_in_place(piece);
            let rest = piece.get(done..).unwrap_or_default();
            if !rest.is_empty() {
                self.ready
                    .append(Chunk::with_room(rest, ROOM).into_payload());
            }
        }
    }

    /// Takes data that begin at `seq`, behind `next`.
    pub(crate) fn push_early(&mut self, mut seq: Seq, mut payload: Payload) {
        self.latest = Some(seq);
        let at = self
            .early
            .partition_point(|early| early.end().is_before(seq));
        let mut pieces = 1;
        // Joined with all that it touches: what is there already stays, and the new data fill the gaps.
        while let Some(early) = self.early.get(at) {
            let end = seq.plus(payload.len());
            if early.seq.is_after(end) {
                break;
            }
            let mut early = self.early.remove(at);
            pieces += early.pieces;
            self.early_pieces -= early.pieces;
            let (early_end, early_seq) = (early.end(), early.seq);
            let mut joined = Payload::default();
            if seq.is_before(early_seq) {
                joined.append(payload.slice(0, usize_of(early_seq.since(seq))));
            }
            joined.append(std::mem::take(&mut early.payload));
            if end.is_after(early_end) {
                joined.append(payload.slice(usize_of(early_end.since(seq)), usize::MAX));
            }
            seq = seq.min(early_seq);
            payload = joined;
        }
        self.early_pieces += pieces;
        self.early.insert(
            at,
            Early {
                seq,
                payload,
                pieces,
            },
        );
    }

    /// Moves what follows `next` without a gap to what can be read. The result is the place behind it.
    pub(crate) fn join(&mut self, next: Seq) -> Seq {
        let mut next = next;
        while let Some(first) = self.early.first() {
            if first.seq.is_after(next) {
                break;
            }
            let mut first = self.early.remove(0);
            self.early_pieces -= first.pieces;
            if first.end().is_after(next) {
                let known = usize_of(next.since(first.seq));
                first.payload.split_front(known);
                next = next.plus(first.payload.len());
                self.ready.append(first.payload);
            }
        }
        if self.early.is_empty() {
            self.latest = None;
        }
        next
    }

    /// The ranges for a SACK option: the one that changed last first (RFC 2018, 4).
    pub(crate) fn ranges(&self) -> [(Seq, Seq); SACK_BLOCKS] {
        let mut ranges = [(Seq(0), Seq(0)); SACK_BLOCKS];
        let latest = self.latest.and_then(|seq| {
            self.early
                .iter()
                .find(|early| seq.is_within(early.seq, early.end()))
        });
        let others = self
            .early
            .iter()
            .filter(|early| latest.is_none_or(|latest| latest.seq != early.seq));
        for (range, early) in ranges.iter_mut().zip(latest.into_iter().chain(others)) {
            *range = (early.seq, early.end());
        }
        ranges
    }

    /// Takes up to `max` bytes to read.
    pub(crate) fn take(&mut self, max: usize) -> Payload {
        self.ready.split_front(max)
    }

    /// The first `max` bytes, which stay.
    pub(crate) fn peek(&self, max: usize) -> Payload {
        self.ready.slice(0, max)
    }

    /// Puts bytes back that were taken and not read.
    pub(crate) fn put_back(&mut self, mut payload: Payload) {
        payload.append(std::mem::take(&mut self.ready));
        self.ready = payload;
    }

    /// Takes the byte at `offset` out of what can be read.
    pub(crate) fn remove(&mut self, offset: usize) -> Option<u8> {
        let head = self.ready.split_front(offset);
        let byte = self.ready.split_front(1);
        self.put_back(head);
        byte.pieces()
            .next()
            .and_then(|piece| piece.first().copied())
    }

    /// Drops what came too early, for which there is no memory.
    pub(crate) fn prune(&mut self) {
        self.early.clear();
        self.early_pieces = 0;
        self.latest = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ReceiveQueue;
    use crate::tcp::seq::Seq;

    proptest! {
        #[test]
        fn ranges_in_any_order_make_the_stream(
            start in any::<u32>(),
            parts in prop::collection::vec((0usize..300, 1usize..60), 1..80),
        ) {
            let stream: Vec<u8> = (0..400u32).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
            let mut queue = ReceiveQueue::default();
            let mut known = vec![false; stream.len()];
            let mut next = Seq(start);
            for (at, len) in parts {
                known[at..at + len].fill(true);
                let (seq, end) = (Seq(start).plus(at), Seq(start).plus(at + len));
                if end.is_after(next) {
                    let skip = if seq.is_before(next) { next.since(seq) as usize } else { 0 };
                    queue.push_early(seq.plus(skip), stream[at + skip..at + len].to_vec().into());
                    next = queue.join(next);
                }
                let reach = known.iter().position(|known| !known).unwrap();
                prop_assert_eq!(next, Seq(start).plus(reach));
                prop_assert_eq!(queue.len(), reach);
                for (one, two) in queue.ranges().iter().filter(|(one, two)| one != two) {
                    let (one, two) = (one.since(Seq(start)) as usize, two.since(Seq(start)) as usize);
                    prop_assert!(known[one..two].iter().all(|known| *known));
                    prop_assert!(!known[two] && !known[one - 1]);
                }
            }
            let len = queue.len();
            prop_assert_eq!(queue.take(len).to_vec(), &stream[..len]);
        }
    }

    #[test]
    fn short_data_share_a_buffer() {
        let mut queue = ReceiveQueue::default();
        for byte in 0..200 {
            queue.push(vec![byte].into());
        }
        assert_eq!(queue.peek(500).pieces().count(), 1);
        assert_eq!(queue.remove(7), Some(7));
        assert_eq!(queue.take(9).to_vec(), [0, 1, 2, 3, 4, 5, 6, 8, 9]);
    }
}
