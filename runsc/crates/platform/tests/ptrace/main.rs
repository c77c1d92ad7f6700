//! The ptrace platform with real stub processes: small pieces of machine code run in them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod failures;
mod faults;
mod guest;
mod hostile;
mod interrupts;
mod lifetimes;
mod put_off;
mod registers;
mod stubs;

/// The platform under test.
fn platform() -> std::sync::Arc<platform::Platform> {
    platform::Platform::ptrace(platform::PtraceConfig::default()).unwrap()
}
