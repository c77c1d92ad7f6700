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
    /// The values of the second argument that it is made with; empty if any.
    pub requests: &'static [u32],
    /// What for.
    pub reason: &'static str,
}

macro_rules! host_calls {
    ($($name:ident, $number:ident, $([$requests:expr],)? $reason:literal;)*) => {
        &[$(HostCall {
            name: stringify!($name),
            number: libc::$number,
            requests: host_calls!(@ $($requests)?),
            reason: $reason,
        },)*]
    };
    (@) => { &[] };
    (@ $requests:expr) => { $requests };
}

/// What the ptrace platform calls after its set-up, besides what every process here may: locks, its
/// own descriptors (`F_DUPFD_CLOEXEC`, `close`), and writing to files.
pub(crate) const PTRACE_HOST_CALLS: &[HostCall] = host_calls! {
    ptrace, SYS_ptrace, "run, stop and inspect stub threads, and map in them";
    wait4, SYS_wait4, "wait for a stub thread to stop; reap one that ended";
    tgkill, SYS_tgkill, "interrupt a stub thread; kick an OS thread out of a host call";
    kill, SYS_kill, "end stub processes";
    sched_setaffinity, SYS_sched_setaffinity, "let a stub thread follow its tracer's processor";
    sched_getaffinity, SYS_sched_getaffinity, "learn where a stub thread that runs for long may go";
    getcpu, SYS_getcpu, "learn the tracer's processor, where the vDSO can't tell";
    sched_yield, SYS_sched_yield, "let a new stub process start";
};

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
/// without execution, giving pages back (`madvise`), and `fstat` and `fcntl` of its descriptors.
pub(crate) const KVM_HOST_CALLS: &[HostCall] = host_calls! {
    ioctl, SYS_ioctl, [KVM_REQUESTS], "run vCPUs, make more of them, and give the machine memory";
    tgkill, SYS_tgkill, "kick an OS thread out of a vCPU";
};
