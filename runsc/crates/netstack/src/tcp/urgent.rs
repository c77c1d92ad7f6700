//! Urgent data (RFC 9293, 3.8.5), of which Linux makes one byte out of band (`man 7 tcp`, `SO_OOBINLINE`).

use super::connection::{Connection, Cx};
use super::segment::{Flags, Segment};
use super::seq::{Seq, u32_of, usize_of};
use crate::Readiness;

/// Urgent data of both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Urgent {
    /// The place behind the urgent byte that was sent last, until it is acknowledged.
    sent: Option<Seq>,
    /// The place of the urgent byte that comes or came.
    pub(super) place: Option<Seq>,
    /// The byte, taken out of the stream.
    pub(super) byte: Option<u8>,
    /// It was read.
    pub(super) is_read: bool,
}

impl Urgent {
    /// Says in a segment where urgent data end.
    pub(super) fn mark(&self, segment: &mut Segment) {
        if let Some(end) = self.sent.filter(|end| end.is_after(segment.seq)) {
            segment.flags |= Flags::URG;
            segment.urgent = u16::try_from(end.since(segment.seq)).unwrap_or(u16::MAX);
        }
    }

    pub(super) fn send(&mut self, end: Seq) {
        self.sent = Some(end);
    }

    /// Whether urgent data wait that were not sent yet.
    pub(super) fn is_sending_after(&self, nxt: Seq) -> bool {
        self.sent.is_some_and(|end| end.is_after(nxt))
    }

    pub(super) fn acknowledge(&mut self, una: Seq) {
        self.sent = self.sent.filter(|end| end.is_after(una));
    }
}

impl Connection {
    /// Looks for an urgent pointer in a segment that arrived.
    pub(super) fn note_urgent(&mut self, segment: &Segment, cx: &mut Cx<'_>) {
        if !segment.has(Flags::URG) || segment.urgent == 0 {
            return;
        }
        // Linux points behind the byte, as BSD does.
        let place = segment.seq + (u32::from(segment.urgent) - 1);
        let is_old = place.is_before(self.copied())
            || self
                .urgent
                .place
                .is_some_and(|known| !place.is_after(known));
        if is_old {
            return;
        }
        self.urgent = Urgent {
            place: Some(place),
            byte: None,
            is_read: false,
            ..self.urgent
        };
        cx.wake |= Readiness::PRIORITY;
    }

    /// Takes the urgent byte out of what arrived, if it is there.
    pub(super) fn take_urgent(&mut self, cx: &mut Cx<'_>) {
        let Some(place) = self.urgent.place else {
            return;
        };
        let copied = self.copied();
        let offset = place.since(copied);
        if self.urgent.byte.is_some()
            || self.urgent.is_read
            || place.is_before(copied)
            || offset >= u32_of(self.receive.len())
        {
            return;
        }
        let byte = self
            .receive
            .peek(usize_of(offset) + 1)
            .pieces()
            .last()
            .and_then(|piece| piece.last().copied());
        self.urgent.byte = byte;
        cx.wake |= Readiness::PRIORITY | Readiness::IN;
    }

    /// How far a program reads before it comes to the mark.
    pub(super) fn bytes_to_mark(&self) -> Option<usize> {
        let place = self.urgent.place?;
        let copied = self.copied();
        (!place.is_before(copied)).then(|| usize_of(place.since(copied)))
    }
}
