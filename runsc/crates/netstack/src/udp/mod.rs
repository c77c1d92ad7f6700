//! UDP (RFC 768, `man 7 udp`), and the other sockets that send messages: ping sockets, and raw ones (`man 7 icmp`, `man 7 raw`).

mod message;
mod ping;
mod raw;
mod receive;
mod send;
mod socket;

pub(crate) use message::Datagram;
pub use message::{Kind, Received, SendTo};
pub(crate) use raw::RawTable;
pub use socket::Socket;

#[cfg(test)]
mod tests;
