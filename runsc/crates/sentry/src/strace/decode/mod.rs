//! Structures in user memory as text, a file for each subject.
//!
//! Each function prints what is at an address; what can't be read is printed as the address.

pub(super) mod directory;
pub(super) mod event;
pub(super) mod file;
pub(super) mod id;
pub(super) mod process;
pub(super) mod siginfo;
pub(super) mod signal;
pub(super) mod socket;
pub(super) mod system;
pub(super) mod terminal;
pub(super) mod time;
