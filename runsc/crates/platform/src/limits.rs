//! What a platform offers to application code, and what it asks of the host.

use std::ffi::c_long;
use std::ops::Range;

/// What application code may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The addresses that may be mapped: from the lowest the host allows to the platform's own
    /// region near the top.
    pub user_range: Range<usize>,
    /// How many contexts can run at the same time; more wait their turn.
    pub max_vcpus: usize,
    /// Whether preemption is seen, so that restartable sequences can be honoured.
    pub rseq: bool,
}

/// A host system call that a platform makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// The name, as in `man 2 syscalls`.
    pub name: &'static str,
    /// The number on x86-64.
    pub number: c_long,
    /// Which argument, from 0, takes only which values; no values mean that any argument will do.
    pub argument: u8,
    /// The values.
    pub values: &'static [u32],
    /// What for.
    pub reason: &'static str,
}

const fn any(name: &'static str, number: c_long, reason: &'static str) -> HostCall {
    HostCall {
        name,
        number,
        argument: 0,
        values: &[],
        reason,
    }
}

/// What the ptrace platform calls after its set-up, besides what every process here may: locks, its
/// own descriptors (`F_DUPFD_CLOEXEC`, `close`), writing to files, and the CPUs that a thread may use.
pub const PTRACE_HOST_CALLS: &[HostCall] = &[
    // Some for each call of the application: the host answers a call that no argument is checked of without the filter.
    any(
        "ptrace",
        libc::SYS_ptrace,
        "run, stop and inspect stub threads, and map in them",
    ),
    any(
        "wait4",
        libc::SYS_wait4,
        "wait for a stub thread to stop; reap one that ended",
    ),
    any("tgkill", libc::SYS_tgkill, "interrupt a stub thread"),
    HostCall {
        name: "kill",
        number: libc::SYS_kill,
        argument: 1,
        values: &[libc::SIGKILL.cast_unsigned()],
        reason: "end stub processes",
    },
];

/// Requests that the KVM platform makes of its virtual machine and vCPUs (`linux/kvm.h`).
const KVM_REQUESTS: &[u32] = &[
    0xae80,      // KVM_RUN
    0xae41,      // KVM_CREATE_VCPU
    0x4020_ae46, // KVM_SET_USER_MEMORY_REGION
    0x9000_aea4, // KVM_GET_XSAVE
    0x5000_aea5, // KVM_SET_XSAVE
    0x8040_ae9f, // KVM_GET_VCPU_EVENTS
    0x8138_ae83, // KVM_GET_SREGS
    0x4138_ae84, // KVM_SET_SREGS
    0x4008_ae90, // KVM_SET_CPUID2
    0x4008_ae89, // KVM_SET_MSRS
    0x4188_aea7, // KVM_SET_XCRS
    0x4018_aee1, // KVM_SET_DEVICE_ATTR
];

/// What the KVM platform calls after its set-up, besides what every process here may: mapping files
/// without execution, giving pages back (`madvise`), `fstat` and `fcntl` of its descriptors, and `tgkill` of its own
/// threads.
pub const KVM_HOST_CALLS: &[HostCall] = &[HostCall {
    name: "ioctl",
    number: libc::SYS_ioctl,
    argument: 1,
    values: KVM_REQUESTS,
    reason: "run vCPUs, make more of them, and give the machine memory",
}];
