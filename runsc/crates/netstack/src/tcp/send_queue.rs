//! What was written and not acknowledged: bytes that were not sent yet, and the scoreboard of segments that were.

use std::collections::VecDeque;
use std::time::Duration;

use super::segment::Flags;
use super::seq::{Seq, u32_of};
use crate::Payload;

/// A segment that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) seq: Seq,
    pub(crate) payload: Payload,
    /// SYN and FIN.
    pub(crate) flags: Flags,
    /// When it was sent last.
    pub(crate) at: Duration,
    /// How often it was sent again.
    pub(crate) repeats: u32,
    pub(crate) is_sacked: bool,
    pub(crate) is_lost: bool,
    /// It was lost, and sent again since.
    pub(crate) is_repeated: bool,
}

impl Sent {
    pub(crate) fn len(&self) -> u32 {
        u32_of(self.payload.len()) + u32_of(self.flags.iter().count())
    }

    pub(crate) fn end(&self) -> Seq {
        self.seq + self.len()
    }

    /// Whether it counts as being on its way.
    fn in_flight(&self) -> bool {
        !self.is_sacked && (!self.is_lost || self.is_repeated)
    }

    /// Whether it was lost and has to be sent again.
    fn is_missing(&self) -> bool {
        self.is_lost && !self.is_repeated && !self.is_sacked
    }

    /// Takes what is behind `at` off.
    fn split_off(&mut self, at: Seq) -> Sent {
        let mut tail = self.clone();
        let head = self
            .payload
            .split_front(super::seq::usize_of(at.since(self.seq)));
        tail.payload = std::mem::replace(&mut self.payload, head);
        tail.seq = at;
        self.flags.remove(Flags::FIN);
        tail.flags.remove(Flags::SYN);
        tail
    }
}

/// Bytes from the first that was not acknowledged to the last that was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct SendQueue {
    pub(crate) unsent: Payload,
    pub(crate) sent: VecDeque<Sent>,
    /// Bytes on their way.
    flight: u64,
    /// Whether any segment is marked as lost and not repeated.
    lost: usize,
    sacked: u64,
    /// Bytes of data in all.
    bytes: usize,
}

/// What an acknowledgement said about one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) at: Duration,
    pub(crate) end: Seq,
    pub(crate) is_repeat: bool,
}

impl SendQueue {
    /// Bytes that were written and not acknowledged.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn flight(&self) -> u64 {
        self.flight
    }

    pub(crate) fn sacked(&self) -> u64 {
        self.sacked
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.lost > 0
    }

    pub(crate) fn write(&mut self, payload: Payload) {
        self.bytes += payload.len();
        self.unsent.append(payload);
    }

    /// Notes that a segment was sent for the first time.
    pub(crate) fn send(&mut self, seq: Seq, payload: Payload, flags: Flags, at: Duration) {
        let sent = Sent {
            seq,
            payload,
            flags: flags & (Flags::SYN | Flags::FIN),
            at,
            repeats: 0,
            is_sacked: false,
            is_lost: false,
            is_repeated: false,
        };
        self.flight += u64::from(sent.len());
        self.sent.push_back(sent);
    }

    /// Takes off what is before `una`. Says for each segment when it was sent, through `delivered`; the result counts bytes of
    /// data.
    pub(crate) fn acknowledge(&mut self, una: Seq, mut delivered: impl FnMut(Delivered)) -> usize {
        let mut bytes = 0;
        while let Some(first) = self.sent.front_mut() {
            if !first.seq.is_before(una) {
                break;
            }
            if first.end().is_after(una) {
                let tail = first.split_off(una);
                let head = std::mem::replace(first, tail);
                // Both parts are lost if the whole was.
                self.lost += usize::from(head.is_missing());
                self.forget(&head);
                bytes += head.payload.len();
                delivered(Delivered {
                    at: head.at,
                    end: head.end(),
                    is_repeat: head.repeats > 0,
                });
                break;
            }
            let Some(head) = self.sent.pop_front() else {
                break;
            };
            self.forget(&head);
            bytes += head.payload.len();
            if !head.is_sacked {
                delivered(Delivered {
                    at: head.at,
                    end: head.end(),
                    is_repeat: head.repeats > 0,
                });
            }
        }
        self.bytes -= bytes;
        bytes
    }

    fn forget(&mut self, sent: &Sent) {
        let len = u64::from(sent.len());
        self.flight -= if sent.in_flight() { len } else { 0 };
        self.sacked -= if sent.is_sacked { len } else { 0 };
        self.lost -= usize::from(sent.is_missing());
    }

    /// Marks what a range of a SACK option covers. The result counts bytes that were not marked before.
    pub(crate) fn sack(
        &mut self,
        start: Seq,
        end: Seq,
        mut delivered: impl FnMut(Delivered),
    ) -> u64 {
        self.cut(start);
        self.cut(end);
        let mut newly = 0;
        let from = self.sent.partition_point(|sent| sent.seq.is_before(start));
        for sent in self.sent.range_mut(from..) {
            if sent.end().is_after(end) {
                break;
            }
            if sent.is_sacked {
                continue;
            }
            let len = u64::from(sent.len());
            self.flight -= if sent.in_flight() { len } else { 0 };
            self.lost -= usize::from(sent.is_lost && !sent.is_repeated);
            self.sacked += len;
            newly += len;
            sent.is_sacked = true;
            delivered(Delivered {
                at: sent.at,
                end: sent.end(),
                is_repeat: sent.repeats > 0,
            });
        }
        newly
    }

    /// Makes `at` a border between two segments.
    fn cut(&mut self, at: Seq) {
        let behind = self.sent.partition_point(|sent| sent.seq.is_before(at));
        let Some(index) = behind.checked_sub(1) else {
            return;
        };
        let Some(sent) = self.sent.get_mut(index) else {
            return;
        };
        // A FIN is not cut off its data.
        if sent.is_sacked || !sent.seq.plus(sent.payload.len()).is_after(at) {
            return;
        }
        let is_lost = sent.is_lost && !sent.is_repeated;
        let tail = sent.split_off(at);
        self.lost += usize::from(is_lost);
        self.sent.insert(behind, tail);
    }

    /// Marks a segment as lost.
    pub(crate) fn lose(&mut self, index: usize) {
        let Some(sent) = self.sent.get_mut(index) else {
            return;
        };
        if sent.is_sacked || (sent.is_lost && !sent.is_repeated) {
            return;
        }
        self.flight -= u64::from(sent.len());
        self.lost += 1;
        sent.is_lost = true;
        sent.is_repeated = false;
    }

    /// Marks all that was not received out of order as lost.
    pub(crate) fn lose_all(&mut self) {
        (0..self.sent.len()).for_each(|index| self.lose(index));
    }

    /// The receiver dropped what it had out of order: nothing of what it said counts.
    pub(crate) fn forget_sacks(&mut self) {
        for sent in &mut self.sent {
            if std::mem::take(&mut sent.is_sacked) {
                (sent.is_lost, sent.is_repeated) = (true, false);
                self.lost += 1;
            }
        }
        self.sacked = 0;
    }

    /// Nothing is lost after all.
    pub(crate) fn find_all(&mut self) {
        for sent in &mut self.sent {
            if sent.is_missing() {
                self.flight += u64::from(sent.len());
            }
            (sent.is_lost, sent.is_repeated) = (false, false);
        }
        self.lost = 0;
    }

    /// The next segment to send again, at most `most` bytes of it, and a note that it was sent.
    pub(crate) fn repeat_lost(&mut self, most: usize, at: Duration) -> Option<Sent> {
        let index = self
            .sent
            .iter()
            .position(|sent| sent.is_lost && !sent.is_repeated && !sent.is_sacked)?;
        self.repeat(index, most, at)
    }

    /// Sends the segment at `index` again.
    pub(crate) fn repeat(&mut self, index: usize, most: usize, at: Duration) -> Option<Sent> {
        let sent = self.sent.get(index)?;
        if sent.payload.len() > most {
            self.cut(sent.seq.plus(most));
        }
        let sent = self.sent.get_mut(index)?;
        if sent.is_lost && !sent.is_repeated {
            self.lost -= 1;
            self.flight += u64::from(sent.len());
            sent.is_repeated = true;
        }
        sent.repeats = sent.repeats.saturating_add(1);
        sent.at = at;
        Some(sent.clone())
    }

    /// The first segment that was not received out of order.
    pub(crate) fn first_missing(&self) -> Option<usize> {
        self.sent.iter().position(|sent| !sent.is_sacked)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::SendQueue;
    use crate::tcp::segment::Flags;
    use crate::tcp::seq::Seq;

    fn queue(segments: u32) -> SendQueue {
        let mut queue = SendQueue::default();
        for number in 0..segments {
            queue.write(vec![0; 10].into());
            let payload = queue.unsent.split_front(10);
            queue.send(
                Seq(number * 10),
                payload,
                Flags::ACK,
                Duration::from_secs(number.into()),
            );
        }
        queue
    }

    #[test]
    fn an_acknowledgement_can_cut_a_segment() {
        let mut queue = queue(3);
        assert_eq!(queue.acknowledge(Seq(15), |_| {}), 15);
        assert_eq!(
            (queue.bytes(), queue.flight(), queue.sent.len()),
            (15, 15, 2)
        );
        assert_eq!(queue.sent[0].seq, Seq(15));
    }

    #[test]
    fn a_lost_segment_stays_lost_when_it_is_cut() {
        let mut queue = queue(1);
        queue.lose_all();
        queue.acknowledge(Seq(4), |_| {});
        assert!(queue.has_lost());
        assert_eq!(queue.repeat_lost(100, Duration::ZERO).unwrap().len(), 6);
        assert!(!queue.has_lost());
    }

    #[test]
    fn ranges_cut_segments() {
        let mut queue = queue(4);
        assert_eq!(queue.sack(Seq(15), Seq(35), |_| {}), 20);
        assert_eq!((queue.flight(), queue.sacked()), (20, 20));
        assert_eq!(queue.sack(Seq(10), Seq(40), |_| {}), 10);
        assert_eq!(queue.sack(Seq(10), Seq(40), |_| {}), 0);
        let missing = queue.first_missing().unwrap();
        assert_eq!(queue.sent[missing].seq, Seq(0));
        queue.acknowledge(Seq(40), |_| {});
        assert_eq!((queue.bytes(), queue.flight(), queue.sacked()), (0, 0, 0));
    }

    #[test]
    fn lost_segments_are_repeated_once() {
        let mut queue = queue(3);
        queue.lose_all();
        assert_eq!(queue.flight(), 0);
        let first = queue.repeat_lost(4, Duration::from_secs(9)).unwrap();
        assert_eq!(
            (first.seq, first.payload.len(), queue.flight()),
            (Seq(0), 4, 4)
        );
        let rest: Vec<u32> = std::iter::from_fn(|| queue.repeat_lost(100, Duration::from_secs(9)))
            .map(|sent| sent.len())
            .collect();
        assert_eq!(rest, [6, 10, 10]);
        assert!(!queue.has_lost());
        assert_eq!(queue.flight(), 30);
    }

    #[test]
    fn a_liar_is_not_believed_for_ever() {
        let mut queue = queue(3);
        queue.sack(Seq(0), Seq(30), |_| {});
        queue.forget_sacks();
        assert_eq!((queue.sacked(), queue.flight()), (0, 0));
        assert!(queue.has_lost());
    }
}
