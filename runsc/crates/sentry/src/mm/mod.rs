//! Address spaces: VMAs, faults, copy-on-write, access to user memory.
//!
//! - [`AddressSpace`] is Linux's `mm_struct`: what tasks made with CLONE_VM share.
//! - [`mappable::Mappable`] is what a file offers to be mapped; [`mapping_set::MappingSet`] is the way
//!   back from a file to the address spaces that map it (truncation, first writable open).
//! - [`user_ptr::UserPtr`] and [`user_io::UserIo`] are the only ways in and out of user memory.

pub mod address_space;
pub mod mappable;
pub mod mapping_set;
pub mod user_io;
pub mod user_ptr;

pub use address_space::AddressSpace;
