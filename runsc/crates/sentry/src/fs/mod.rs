//! The file systems.

pub mod pidfd;
pub mod pipe;
pub mod tty;
