//! System calls: the table, and one file per subject.
//!
//! A handler decodes its arguments, checks them, makes one call into a kernel object, and encodes the
//! result. Each file exports its `CALLS`; [`table`] puts them together.

pub mod args;
mod futex;
mod kill;
mod restart;
mod signal;
pub mod table;

pub use args::SyscallArgs;
pub use table::{Call, Support};
