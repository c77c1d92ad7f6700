//! Which host system calls each process of a sandbox may make: lists as data, a reason per line.
//!
//! [`sandbox::ENTRIES`], [`gofer::ENTRIES`], [`watcher::ENTRIES`] and [`oom_victim::ENTRIES`] are the
//! lists; [`Filter`] compiles one, with what the platform adds, and installs it in every thread. A call outside the
//! list raises SIGSYS, which ends the process with a report; a call in a *refusal* list fails with
//! an errno, for what library code tries and does well without. The lists do not depend on logging.

mod entry;
mod filter;
pub mod gofer;
pub mod oom_victim;
pub mod sandbox;
pub mod watcher;

pub use entry::{Argument, Entry, Refusal, Rule};
pub use filter::{Filter, FilterError};
