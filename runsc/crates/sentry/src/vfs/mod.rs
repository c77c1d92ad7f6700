//! The virtual file system: how names become inodes, and descriptors become files.
//!
//! - [`inode::Inode`] is what a file system offers for one file; [`inode::FileSystem`] is a mounted
//!   instance of one.
//! - [`dentry::Dentry`] gives an inode its place in a tree; [`mount::Mount`] puts trees together;
//!   [`path::Path`] is a (mount, dentry) pair; [`walk`] resolves names (`man 7 path_resolution`).
//! - [`file::OpenFile`] is an open file description; [`file::File`] is what a kind of file does when
//!   read, written, polled, mapped; [`fd_table::FdTable`] maps descriptors to open file descriptions.
//!
//! File systems check that an operation makes sense; the walker and the system calls check permissions
//! ([`permission`]), so that every file system has the same ones.

pub mod async_io;
pub mod attr;
pub mod attributes;
pub(crate) mod blocking;
pub mod command;
pub mod dentry;
pub mod device;
pub mod edit;
pub mod epoll;
pub mod fd_table;
pub mod file;
pub(crate) mod file_capabilities;
pub(crate) mod file_count;
pub mod inode;
pub mod io;
pub mod list;
pub mod locks;
pub mod mount;
pub mod notify;
pub mod offset;
pub mod open;
pub mod owner;
pub mod path;
pub mod permission;
pub mod poll;
pub(crate) mod read_write;
pub mod seals;
pub mod setup;
pub mod shared;
pub mod state;
pub mod transfer;
pub mod walk;
pub mod xattr;

pub use state::Vfs;
