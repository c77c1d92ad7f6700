//! System calls: the table, and one file per subject.
//!
//! A handler decodes its arguments, checks them, makes one call into a kernel object, and encodes the
//! result. Each file exports its `CALLS`; [`table`] puts them together.

pub mod args;
mod at;
mod attributes;
mod descriptor;
mod directory;
mod epoll;
mod eventfd;
mod clock;
mod futex;
mod install;
pub mod io;
mod kill;
mod names;
mod open;
mod pipe;
mod poll;
mod read_write;
mod restart;
mod select;
mod signal;
mod sleep;
mod size;
mod stat;
pub mod table;
mod timeout;
mod timer;

pub use args::SyscallArgs;
pub use table::{Call, Support};
