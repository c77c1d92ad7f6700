//! TCP (RFC 9293, `man 7 tcp`).
//!
//! A [`Socket`] is idle, listens, or has a connection. `connection` is the state machine, without locks and packets: `arrive`
//! takes segments, `transmit` sends them, `timers` and `recovery` find out what was lost, `congestion` says how much may be on its
//! way, `user` is what programs do. `listener` does handshakes, `time_wait` what comes after, `table` finds them all.

mod arrive;
mod congestion;
mod connection;
mod cookie;
mod deliver;
#[cfg(test)]
mod hostile_tests;
mod io;
mod listener;
mod open;
mod options;
mod receive_queue;
mod recovery;
mod rtt;
mod segment;
#[cfg(test)]
mod segment_tests;
mod send_queue;
mod seq;
mod socket;
mod state;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod thread_tests;
mod time_wait;
mod timers;
#[cfg(test)]
mod transfer_tests;
mod transmit;
mod urgent;
mod user;

pub use options::{Info, Options};
pub(crate) use segment::{Flags, Options as SegmentOptions, Segment};
pub(crate) use seq::Seq;
pub use socket::{SendFlags, Socket};
pub use state::State;
pub(crate) use table::{Owner, Table, Tuple};
