//! The file systems.

pub mod pipe;
pub mod tty;
