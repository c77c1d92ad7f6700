//! The verbs, one file for each. Those that change a container's state lock it for that time.

mod client;
mod create;
mod delete;
mod existing;
mod kill;
mod pause;
mod start;
mod update;
mod wait;

pub(crate) use client::not_running;
pub use client::{answer, ask, connect, tell_last_words};
pub(crate) use create::preserved;
pub use create::{Create, Created, create, write_pid_file};
pub use delete::delete;
pub use kill::kill;
pub use pause::{pause, resume};
pub use start::start;
pub use update::update;
pub use wait::wait;
