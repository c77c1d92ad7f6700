//! Address spaces: VMAs, faults, copy-on-write, access to user memory.
//!
//! - [`AddressSpace`] is Linux's `mm_struct`: what tasks made with `CLONE_VM` share.
//! - [`mappable::Mappable`] is what a file offers to be mapped; [`mapping_set::MappingSet`] is the way
//!   back from a file to the address spaces that map it (truncation, first writable open).
//! - [`user_ptr::UserPtr`] and [`user_io::UserIo`] are the only ways in and out of user memory.
//!
//! It knows no task, no file and no process: those who map give it what they map, and hand over the limits that count.
//!
//! Inside: [`vma`] is what the application asked for, `areas` all of it; `pages` is what backs it now
//! and what the platform has mapped; `fault`,
//! `ahead` and `copy_on_write` make pages; `map`, `protect`, `remap`,
//! `advise`, `lock`, `brk` are the calls of those names; `access`, `pin` and [`user_io`] move bytes.
//!
//! Locks: the areas (*mappings*) before the active pages (*active*); [`locks::rank`] has the order.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
pub mod address_space;
mod advise;
mod ahead;
mod areas;
mod brk;
mod copy_on_write;
mod fault;
mod forced;
mod fork;
mod huge;
mod invalidate;
mod lock;
mod map;
pub mod mappable;
pub mod mapping_set;
mod pages;
mod pin;
mod place;
mod protect;
mod range_map;
mod remap;
pub mod report;
mod settings;
mod statistics;
pub mod user_io;
pub mod user_ptr;
pub mod vma;

#[cfg(test)]
mod tests;

pub use address_space::AddressSpace;
pub use advise::Advice;
pub use pin::Pinned;
pub use remap::RemapRequest;
pub use statistics::MmStatistics;

/// What it returns: the error is one that Linux documents for the call.
pub type Result<T> = core::result::Result<T, abi::Errno>;
