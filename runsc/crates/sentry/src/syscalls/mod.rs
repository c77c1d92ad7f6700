//! System calls: the table, and one file per subject.
//!
//! A file declares its calls with `calls!` (see [`declare`]) and has their handlers. A handler is given typed
//! arguments ([`args`]), checks them, makes one call into a kernel object, and encodes the result. [`table`] puts
//! the declarations together; `runsc help syscalls`, the strace printer and the arguments' types come from them.

mod aio;
pub mod args;
mod at;
mod attributes;
mod capability;
mod clock;
mod control_message;
mod credential;
mod declare;
mod descriptor;
mod directory;
mod epoll;
mod eventfd;
mod fcntl;
mod futex;
mod ids;
mod inotify;
mod install;
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

pub use args::SyscallArgs;
pub use table::{Call, Support};
