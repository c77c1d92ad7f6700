//! UDP (RFC 768, `man 7 udp`).

mod message;
mod receive;
mod send;
mod socket;

pub(crate) use message::Datagram;
pub use message::{Received, SendTo};
pub use socket::Socket;

#[cfg(test)]
mod tests;
