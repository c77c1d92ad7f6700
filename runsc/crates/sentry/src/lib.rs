//! The Sentry: a Linux kernel in user space.
//!
//! An application thread is a [`kernel::task::Task`], bound to one host thread that alternates between
//! running application code (`platform::Context::run`) and kernel code (a system call, a fault, a
//! signal). Everything hangs from [`kernel::Kernel`]; there is no global mutable state.
//!
//! | folder | what it is |
//! | --- | --- |
//! | [`kernel`] | tasks, thread groups, signals, clone, exec, exit, wait, blocking, futexes, timers, credentials |
//! | [`loader`] | ELF, scripts, the initial stack |
//! | [`vfs`] | path walk, dentries, mounts, inodes, open files, descriptor tables |
//! | [`fs`] | the file systems |
//! | [`socket`] | sockets |
//! | [`syscalls`] | the table, and one file per subject: decode, call the object, encode |
//! | [`strace`] | prints calls from the same table |
//! | [`time`] | clocks and the vDSO's page |
//!
//! # Lock order
//! The ranks of [`locks::rank`] are the order, which builds with debug assertions check. None of the locks is held
//! while application code runs.
#![forbid(unsafe_code)]

pub mod error;
pub mod fs;
pub mod kernel;
pub mod loader;
pub mod socket;
pub mod strace;
pub mod syscalls;
pub mod time;
pub mod user_log;
pub mod vfs;

pub use abi::Errno;
pub use error::{Restart, Result, SysError, SyscallResult};
