//! System calls: the table, and one file per subject.
//!
//! A handler decodes its arguments, checks them, makes one call into a kernel object, and encodes the
//! result. Each file exports its `CALLS`; [`table`] puts them together.

pub mod args;
mod at;
mod attributes;
mod clock;
mod descriptor;
mod directory;
mod epoll;
mod eventfd;
mod futex;
mod install;
pub mod io;
mod kill;
mod names;
mod open;
mod pidfd;
mod pipe;
mod poll;
mod read_write;
mod restart;
mod select;
mod signal;
mod signalfd;
mod size;
mod sleep;
mod stat;
pub mod table;
mod timeout;
mod timer;
mod timerfd;

pub use args::SyscallArgs;
pub use table::{Call, Support};
