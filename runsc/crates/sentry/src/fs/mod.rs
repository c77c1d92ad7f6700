//! The file systems.

pub mod anon;
pub mod cgroup;
pub mod devpts;
pub mod devtmpfs;
pub mod eventfd;
pub mod gofer;
pub mod host_fd;
pub mod inotify;
pub mod memfd;
pub mod mqueue;
pub mod nsfs;
pub mod overlay;
pub mod page_store;
pub mod pidfd;
pub mod pipe;
pub mod proc;
pub mod ring;
pub mod shared_memory;
pub mod signalfd;
pub mod synthetic;
pub mod sysfs;
pub mod timerfd;
pub mod tmpfs;
pub mod tty;
pub mod types;
