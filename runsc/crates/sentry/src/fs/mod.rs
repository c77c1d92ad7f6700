//! The file systems.

pub mod gofer;
pub mod pidfd;
pub mod pipe;
pub mod tty;
