//! Answering on the CPU that the client waits on.
//!
//! Waking a thread on another CPU costs several times as much as all the rest of a request, and the
//! client's CPU has nothing else to do for it meanwhile. So requests say where they come from, and the
//! thread that serves a connection moves there; the client prefers a connection that is there already.

use host::rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

/// The CPU that the calling thread runs on now.
pub(crate) fn current() -> u32 {
    u32::try_from(sched_getcpu()).unwrap_or(0)
}

/// Where a serving thread has moved.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    at: Option<u32>,
}

impl Follower {
    /// Moves the calling thread to `cpu`, if it is not there. A CPU that it may not use, or that does not
    /// exist, leaves it where it is.
    pub(crate) fn follow(&mut self, cpu: u32) {
        if self.at == Some(cpu) {
            return;
        }
        self.at = Some(cpu);
        let Some(cpu) = usize::try_from(cpu)
            .ok()
            .filter(|cpu| *cpu < CpuSet::MAX_CPU)
        else {
            return;
        };
        let mut set = CpuSet::new();
        set.set(cpu);
        // A hint: without it answers are slower, and that is all.
        let _ = sched_setaffinity(None, &set);
    }
}
