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
    /// What for.
    pub reason: &'static str,
}

macro_rules! host_calls {
    ($($name:ident, $number:ident, $reason:literal;)*) => {
        &[$(HostCall { name: stringify!($name), number: libc::$number, reason: $reason },)*]
    };
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
