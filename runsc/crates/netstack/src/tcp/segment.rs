//! Segments (RFC 9293, 3.1).

use bitflags::bitflags;

use super::seq::{Seq, u32_of};
use crate::Payload;

bitflags! {
    /// The control bits of a segment.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Flags: u8 {
        const FIN = 1;
        const SYN = 1 << 1;
        const RST = 1 << 2;
        const PSH = 1 << 3;
        const ACK = 1 << 4;
        const URG = 1 << 5;
        const ECE = 1 << 6;
        const CWR = 1 << 7;
    }
}

/// A segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// As it is on the wire: not scaled.
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) options: Options,
    pub(crate) payload: Payload,
    /// Bytes of payload that each packet carries if a link cuts the segment up.
    pub(crate) segment_size: u32,
}

/// The options of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) max_segment: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack_permitted: bool,
    /// The sender's clock, and what it heard last of the receiver's (RFC 7323).
    pub(crate) timestamps: Option<(u32, u32)>,
    /// Ranges that arrived out of order (RFC 2018); empty ones are none.
    pub(crate) sack: [(Seq, Seq); SACK_BLOCKS],
}

/// Ranges in one segment, beside timestamps.
pub(crate) const SACK_BLOCKS: usize = 3;

impl Options {
    pub(crate) fn sack_blocks(&self) -> impl Iterator<Item = (Seq, Seq)> {
        self.sack
            .iter()
            .copied()
            .filter(|(start, end)| start != end)
    }
}

impl Segment {
    /// How much of the sequence it takes: its data, and one each for SYN and FIN.
    pub(crate) fn len(&self) -> u32 {
        let controls = self
            .flags
            .intersection(Flags::SYN | Flags::FIN)
            .iter()
            .count();
        u32_of(self.payload.len()).saturating_add(u32_of(controls))
    }

    pub(crate) fn end(&self) -> Seq {
        self.seq + self.len()
    }

    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// The answer to a segment that belongs to no connection (RFC 9293, 3.10.7.1); none to a reset.
    pub(crate) fn reset(&self) -> Option<Segment> {
        if self.has(Flags::RST) {
            return None;
        }
        let (seq, ack, flags) = if self.has(Flags::ACK) {
            (self.ack, Seq(0), Flags::RST)
        } else {
            (Seq(0), self.end(), Flags::RST | Flags::ACK)
        };
        Some(Segment {
            source_port: self.destination_port,
            destination_port: self.source_port,
            seq,
            ack,
            flags,
            ..Segment::default()
        })
    }
}
