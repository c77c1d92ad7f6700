//! The one crate that makes host system calls: descriptors owned, [`Errno`] out.
//!
//! Thin over `rustix`; what rustix lacks is a raw call in a module that opts into `unsafe`.
#![warn(missing_docs)]

pub mod at;
pub mod barrier;
pub mod cpu;
pub mod denied_call;
pub mod empty_root;
pub mod file_lock;
pub mod kick;
pub mod malloc;
pub mod oom_victim;
pub mod privilege;
pub mod ptrace;
pub mod signal_fd;
pub mod spawn;
pub mod stub;
pub mod terminal;
pub mod tsc;
pub mod wait;

pub use abi::Errno;

/// What a host call returns.
pub type Result<T> = std::result::Result<T, Errno>;

/// Turns rustix's error into ours.
#[must_use]
pub fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}
