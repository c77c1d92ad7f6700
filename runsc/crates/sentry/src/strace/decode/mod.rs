//! Structures in user memory as text, a file for each subject.
//!
//! Each function prints what is at an address; what can't be read is printed as the address.

pub(crate) mod clone;
pub(crate) mod directory;
pub(crate) mod event;
pub(crate) mod fcntl;
pub(crate) mod file;
pub(crate) mod id;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod siginfo;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod system;
pub(crate) mod terminal;
pub(crate) mod time;
