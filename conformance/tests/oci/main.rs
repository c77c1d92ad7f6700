//! OCI runtime cases, valid on runc too.

#![expect(clippy::unwrap_used, reason = "test code")]

mod cgroupfs;
mod console;
mod environment;
mod errors;
mod events;
mod exec;
mod growth;
mod lifecycle;
mod memory;
mod mounts;
mod notify;
mod pause;
mod programs;
mod stdio;
