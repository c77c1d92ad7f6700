//! The ptrace platform with real stub processes: small pieces of machine code run in them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod faults;
mod guest;
mod hostile;
mod interrupts;
mod lifetimes;
mod put_off;
mod registers;
