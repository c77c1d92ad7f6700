//! The kernel proper: tasks and what they do to each other.

mod accounts;
pub mod aio;
pub mod blocking;
pub mod cgroup;
pub mod clone;
pub mod cpu_time;
pub mod credentials;
pub mod exec;
mod exec_credentials;
pub mod exit;
pub mod freezer;
pub mod fs_context;
pub mod futex;
pub(crate) mod io_count;
pub mod ipc;
pub mod job_control;
#[expect(
    clippy::module_inception,
    reason = "the folder is named for its chief object"
)]
pub mod kernel;
pub mod limits;
pub mod log;
pub mod namespaces;
pub mod oom;
pub mod pids;
pub mod process;
pub mod program;
pub mod ptrace;
mod run;
pub mod seccomp;
pub mod setns;
pub mod signal;
pub mod task;
pub mod thread_group;
pub mod timers;
pub mod user_count;
pub mod user_namespace;
pub(crate) mod version;
mod vsyscall;
pub mod wait;
pub mod wait_queue;

pub use kernel::{Kernel, KernelConfig};
pub use process::{ProcessSpec, StartError};
pub use task::Task;
