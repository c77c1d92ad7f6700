//! System calls: the table, and one file per subject.
//!
//! A handler decodes its arguments, checks them, makes one call into a kernel object, and encodes the
//! result. Each file exports its `CALLS`; [`table`] puts them together.

pub mod args;
mod epoll;
mod eventfd;
mod clock;
mod futex;
mod install;
mod kill;
mod pipe;
mod poll;
mod restart;
mod select;
mod signal;
mod sleep;
pub mod table;
mod timeout;
mod timer;

pub use args::SyscallArgs;
pub use table::{Call, Support};
