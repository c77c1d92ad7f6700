//! The KVM platform: the tests of the ptrace platform that are about no stub process, and its own.
//! Without a `/dev/kvm` that may be opened they run on ptrace once more.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../ptrace/faults.rs"]
mod faults;
#[path = "../ptrace/guest.rs"]
mod guest;
#[path = "../ptrace/hostile.rs"]
mod hostile;
#[path = "../ptrace/interrupts.rs"]
mod interrupts;
#[path = "../ptrace/lifetimes.rs"]
mod lifetimes;
mod machine;
#[path = "../ptrace/put_off.rs"]
mod put_off;
#[path = "../ptrace/registers.rs"]
mod registers;

/// The platform under test.
fn platform() -> std::sync::Arc<platform::Platform> {
    let device = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    match device {
        Ok(device) => platform::Platform::kvm(device.into()).unwrap(),
        Err(_) => platform::Platform::ptrace(platform::PtraceConfig::default()).unwrap(),
    }
}
