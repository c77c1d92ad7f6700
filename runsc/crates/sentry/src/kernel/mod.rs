//! The kernel proper: tasks and what they do to each other.

pub mod blocking;
pub mod credentials;
pub mod fs_context;
pub mod futex;
pub mod kernel;
pub mod limits;
pub mod namespaces;
pub mod pids;
pub mod signal;
pub mod task;
pub mod thread_group;
pub mod timers;
pub mod wait_queue;

pub use kernel::Kernel;
pub use task::Task;
