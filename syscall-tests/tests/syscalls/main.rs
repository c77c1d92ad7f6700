//! Runs the guest program of behaviour tests on the host kernel and inside the runtime under test.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod harness;
mod native;
mod report;
mod runtime;
