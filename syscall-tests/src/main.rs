//! Behaviour tests of system calls, as one static guest program.
//!
//! `list` prints the names of all tests, one a line. `run [NAME…]` runs the named tests (all when none is named; a name
//! that ends in `::` stands for its family), each in a forked child with a time limit, and prints `ok NAME`,
//! `not ok NAME reason` or `skip NAME why`; the exit code is the number of failures, at most 100.
//! `helper MODE …` is what the tests execute (see [`helper`]); `grow KIND SECONDS` is no test (see [`growth`]).
//!
//! Linux is the oracle: every test passes on the host kernel. The program is built without the standard library's
//! start-up code, which would install handlers for SIGSEGV, SIGBUS and SIGPIPE before the tests look at them.

#![no_main]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the tests move values between the C library's integer types all the time"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the results go to standard output"
)]
#![expect(
    dead_code,
    reason = "some helpers wait for families that are still to come"
)]

#[macro_use]
mod case;
#[macro_use]
mod sys;

mod entry;
mod growth;
mod helper;
mod long;
mod operations;
mod runner;
mod settings;
mod support;
mod tests;
