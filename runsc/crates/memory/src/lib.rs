//! The guest's physical memory: one memfd, its allocator, reference counts, and the Sentry's own
//! mapping of it; fallible copies to and from any memory that the application or the host can take away.
//!
//! - [`MemoryFile`] owns the memfd and hands out [`FrameRange`]s, page-aligned ranges of it that are
//!   zero when allocated and go back to the host soon after their last reference is gone.
//! - [`GuestBytes`] is a range of Sentry addresses over such memory, or over a window of a host file
//!   ([`WindowCache`]). It never becomes a Rust reference: every access goes through routines that
//!   survive a fault ([`install_fault_handler`]) and report how far they came.
//! - [`CountedHeap`] counts what the Sentry itself allocates, so that [`MemoryFile`] can hold both against one limit.
//! - [`io`] moves bytes between host descriptors and such memory without a bounce buffer.
//!
//! Locks: the allocator's lock and the window cache's lock are leaves; nothing is called under them.
#![warn(missing_docs)]

mod access;
mod allocator;
mod bytes;
mod fault;
mod file;
mod frame;
mod free;
mod heap;
mod host_room;
mod huge;
pub mod io;
mod runs;
mod window;

pub use allocator::{Kind, Placement, SLOT, Usage};
pub use bytes::{Faulted, GuestBytes};
pub use fault::install_fault_handler;
pub use file::{MakeRoom, MemoryFile, Reserved, Shortage};
pub use frame::FrameRange;
pub use heap::{CountedHeap, Held, KernelMemory};
pub use host::{Errno, Result};
pub use host_room::{GroupFiles, HostMemory};
pub use huge::{HUGE_PAGE, HugePages};
pub use window::{HostFile, WINDOW, WindowAccess, WindowCache, WindowPin};
