//! SYN cookies: the handshake's state in the sequence number and the timestamp of a SYN-ACK, when there is no room to keep it
//! (RFC 4987, 3.6).

use std::time::Duration;

use super::connection::Peer;
use super::segment::Segment;
use super::seq::Seq;
use super::table::Tuple;
use crate::hash::{Purpose, Secret};

/// Sizes of segments that a cookie can tell.
const SIZES: [u32; 8] = [536, 1220, 1300, 1400, 1440, 1460, 8940, 65_483];
/// A cookie is good for so many stretches of time.
const STRETCHES: u32 = 2;
const STRETCH_SECONDS: u64 = 64;
/// The bits of the clock that tell the options: the window scale, and SACK.
const OPTION_BITS: u32 = 0x3f;
const NO_SCALE: u32 = 0xf;
const SACK: u32 = 0x10;

fn stretch(now: Duration) -> u32 {
    u32::try_from((now.as_secs() / STRETCH_SECONDS) & u64::from(u32::MAX)).unwrap_or_default()
}

fn hash(secret: &Secret, tuple: &Tuple, irs: Seq, stretch: u32, size: u32) -> u32 {
    let hash = secret.hash(Purpose::Cookie, (tuple, irs, stretch, size));
    u32::try_from(hash & 0x00ff_ffff).unwrap_or_default()
}

/// The sequence number of a SYN-ACK.
pub(super) fn make(secret: &Secret, tuple: &Tuple, peer: &Peer, now: Duration) -> Seq {
    let size = SIZES
        .iter()
        .rposition(|size| *size <= peer.mss)
        .unwrap_or(0);
    let size = u32::try_from(size).unwrap_or(0);
    let stretch = stretch(now) & 0x1f;
    Seq((((stretch << 3) | size) << 24) | hash(secret, tuple, peer.irs, stretch, size))
}

/// The clock of a SYN-ACK, with the peer's options in it.
pub(super) fn stamp(clock: u32, peer: &Peer) -> u32 {
    let scale = peer.scale.map_or(NO_SCALE, u32::from).min(NO_SCALE);
    let options = scale | if peer.has_sack { SACK } else { 0 };
    let stamp = (clock & !OPTION_BITS) | options;
    if stamp > clock {
        stamp.wrapping_sub(OPTION_BITS + 1)
    } else {
        stamp
    }
}

/// What the peer's SYN said, if an acknowledgement shows that it got a cookie.
pub(super) fn check(
    secret: &Secret,
    tuple: &Tuple,
    segment: &Segment,
    now: Duration,
) -> Option<(Seq, Peer)> {
    let iss = segment.ack - 1;
    let irs = segment.seq - 1;
    let made = iss.0 >> 27;
    let size = (iss.0 >> 24) & 7;
    let age = stretch(now).wrapping_sub(made) & 0x1f;
    if age >= STRETCHES || iss.0 & 0x00ff_ffff != hash(secret, tuple, irs, made, size) {
        return None;
    }
    let stamps = segment.options.timestamps.filter(|(_, echo)| *echo != 0);
    let options = stamps.map_or(NO_SCALE, |(_, echo)| echo & OPTION_BITS);
    let scale = options & NO_SCALE;
    let peer = Peer {
        irs,
        mss: *SIZES.get(usize::try_from(size).ok()?)?,
        scale: u8::try_from(scale)
            .ok()
            .filter(|scale| u32::from(*scale) != NO_SCALE),
        has_sack: options & SACK != 0,
        timestamp: stamps.map(|(value, _)| value),
        window: segment.window.into(),
    };
    Some((iss, peer))
}
