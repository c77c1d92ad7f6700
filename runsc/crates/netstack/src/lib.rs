//! A TCP/IP stack for one network namespace.
//!
//! A [`Stack`] knows nothing of tasks, descriptors or system calls. It is driven by frames ([`Stack::receive`]), by time
//! ([`Stack::advance`]) and by its sockets ([`tcp::Socket`], [`udp::Socket`]), and it has no thread. An
//! [`Embedder`] gives it clocks, chance and memory; a [`Link`] carries its frames; an [`Observer`] hears of a socket's
//! readiness. No operation waits: what would is `EAGAIN`.
//!
//! Packets inside are structures (`packet`): only those that leave by a link, or come from one, are bytes (`wire`, on
//! `smoltcp::wire`). What sockets of the stack send to each other therefore has no checksums and is not copied: its bytes are
//! pieces of the buffer that the sender filled (`payload`).
//!
//! # Locks
//!
//! Each socket has one, the *socket lock*. Tables (connections, ports, interfaces and routes, the timer wheel, the output
//! queue) have one each, and are leaves: they are taken for a moment, below a socket lock or alone, and no two at once. No two
//! socket locks are held at once. What a socket sends is put into the output queue below its lock, which keeps the order, and
//! is delivered when no lock is held, by whoever comes first (`output`); readiness is told then too.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod account;
mod address;
mod arp;
mod config;
mod core;
mod counters;
mod embedder;
mod errors;
mod fragment;
mod groups;
mod hash;
mod icmp;
mod input;
mod interface;
mod link;
#[cfg(test)]
mod link_tests;
mod listing;
mod ndp;
mod neighbor;
mod options;
mod output;
mod packet;
mod path_mtu;
mod payload;
mod ports;
mod reach;
mod route;
#[cfg(test)]
mod sim;
mod stack;
pub mod tcp;
#[cfg(test)]
mod tests;
mod timers;
pub mod udp;
mod wheel;
mod wire;

pub use config::{Config, Congestion};
pub use counters::Statistics;
pub use embedder::{Embedder, Family, Observer, Queued, Readiness, Shutdown, Take};
pub use errors::{Origin, QueuedError};
pub use interface::{Address, Counters, Frame, Gso, Interface, InterfaceChange, Link};
pub use listing::{SocketEntry, SocketKind};
pub use neighbor::Neighbor;
pub use options::{Group, Multicast, PathMtu, SocketOptions};
pub use payload::Payload;
pub use route::Route;
pub use stack::{Checksums, Stack};
