//! System calls: the table, and one file per subject.
//!
//! A handler decodes its arguments, checks them, makes one call into a kernel object, and encodes the
//! result. Each file exports its `CALLS`; [`table`] puts them together.

mod aio;
pub mod args;
mod at;
mod attributes;
mod capability;
mod clock;
mod control_message;
mod credential;
mod descriptor;
mod directory;
mod epoll;
mod eventfd;
mod fcntl;
mod futex;
mod ids;
mod inotify;
mod install;
pub mod io;
mod ioctl;
mod kcmp;
mod kill;
mod limit;
mod madvise;
mod memfd;
mod mempolicy;
mod mlock;
mod mmap;
mod mount;
mod mqueue;
mod names;
mod namespace;
mod open;
mod pidfd;
mod pipe;
mod poll;
mod prctl;
mod priority;
mod privileged;
mod process;
mod process_vm;
mod ptrace;
mod read_write;
mod resource_usage;
mod restart;
mod scheduler;
mod seccomp;
mod select;
mod signal;
mod signalfd;
mod size;
mod sleep;
mod socket;
mod socket_message;
mod socket_options;
mod stat;
mod syslog;
pub(crate) mod system;
mod sysv;
mod sysv_msg;
mod sysv_sem;
mod sysv_shm;
pub mod table;
mod timeout;
mod timer;
mod timerfd;
mod transfer;
mod xattr;

use abi::Errno;
use abi::raw::general;

pub use args::SyscallArgs;
pub use table::{Call, Support};

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::path::Path;

/// The longest path with its NUL (`PATH_MAX`).
const PATH_MAX: usize = 4096;

/// Reads a path; ENOENT if it is empty, ENAMETOOLONG.
fn read_path(task: &Task, address: usize) -> Result<Vec<u8>> {
    let path = read_path_or_empty(task, address)?;
    if path.is_empty() {
        Err(Errno::ENOENT)
    } else {
        Ok(path)
    }
}

/// Reads a path that may be empty (`AT_EMPTY_PATH`).
fn read_path_or_empty(task: &Task, address: usize) -> Result<Vec<u8>> {
    task.mm().read_string(address, PATH_MAX)
}

/// Where the resolution of `path` starts for a call with a directory descriptor: none for `AT_FDCWD` and
/// absolute paths.
fn start_directory(task: &Task, fd: i32, path: &[u8]) -> Result<Option<Path>> {
    if fd == general::AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    Ok(Some(task.files().get(fd)?.path().clone()))
}
