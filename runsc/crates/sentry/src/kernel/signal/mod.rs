//! Signals (`man 7 signal`): sets, information, pending queues, dispositions, delivery.

pub mod info;
pub mod set;
pub mod state;

pub use info::SignalInfo;
pub use set::{Signal, SignalSet};
