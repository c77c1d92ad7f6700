//! OCI runtime cases, valid on runc too.

#![expect(clippy::unwrap_used, reason = "test code")]

mod cgroupfs;
mod console;
mod environment;
mod errors;
mod exec;
mod lifecycle;
mod memory;
mod mounts;
mod programs;
mod stdio;
