//! Linux's numbers, structures and error codes: data only, no behaviour and no I/O.
//!
//! One module per subject. Structures that cross the boundary to user memory are plain old data
//! (`zerocopy`), laid out as on x86-64; constants come from `linux-raw-sys` where it has them.
#![warn(missing_docs)]

pub mod elf;
mod errno;
pub mod fs;
pub mod futex;
pub mod poll;
pub mod signal;
pub mod socket;
pub mod syscall_names;
pub mod termios;
pub mod time;

pub use errno::Errno;
pub use linux_raw_sys as raw;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
