//! The runtime specification, case by case: one file per topic, one case per sentence that can be checked, named for
//! what the specification says. Where a runtime differs, the case says so ([`common::differs`]), and asserts what that
//! runtime does instead.
//!
//! `RUNTIME=runc cargo test -p conformance --test validation` runs them on another runtime; [`table`] makes the table in
//! `conformance/README.md` and prints TAP.

#![expect(clippy::unwrap_used, reason = "test code")]
#![expect(clippy::print_stdout, reason = "the table is made of what cases say")]

mod annotations;
mod cgroups;
mod cgroups_v2;
mod common;
mod create;
mod delete;
mod devices;
mod hooks;
mod hooks_fail;
mod id_mappings;
mod kill;
mod linux_misc;
mod masked_paths;
mod mount_options;
mod mounts;
mod namespaces;
mod process;
mod process_capabilities;
mod process_rlimits;
mod process_user;
mod propagation;
mod root;
mod seccomp;
mod start;
mod state;
mod sysctl;
mod table;
