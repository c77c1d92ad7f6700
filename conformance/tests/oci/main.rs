//! OCI runtime cases, valid on runc too.

#![expect(clippy::unwrap_used, reason = "test code")]

mod cgroupfs;
mod console;
mod denied_calls;
mod environment;
mod errors;
mod events;
mod exec;
mod growth;
mod killability;
mod lifecycle;
mod locks;
mod memory;
mod mounts;
mod notices;
mod notify;
mod pause;
mod process_table;
mod programs;
mod renamed_by_host;
mod settings;
mod stdio;
