//! Everything outside the sandbox: bundles and their specs, the state directory, hooks, consoles,
//! and the processes of a container.
//!
//! [`lifecycle`] has one function per verb of the command line; [`launch`] starts the gofer and the
//! sandbox; [`state`] is what is known of a container between commands; [`gofer_process`] is what
//! runs as `runsc gofer`. This crate never links the kernel.

pub mod bundle;
pub mod cgroups;
pub mod clock;
pub mod console;
pub mod debug_log;
mod error;
pub mod events;
pub mod exec;
mod exit_code;
pub mod foreground;
pub mod gofer_process;
pub mod hooks;
pub mod host_user;
pub mod id;
pub mod launch;
pub mod lifecycle;
mod mount_info;
mod mount_points;
mod namespaces;
mod notices;
mod notify;
pub mod process_ref;
mod program;
pub mod settings;
pub mod signal;
pub mod spec;
pub mod state;

pub use error::ContainerError;
pub use exit_code::exit_code;
pub use oci_spec;
pub use settings::Settings;

/// What the verbs return.
pub type Result<T> = std::result::Result<T, ContainerError>;
