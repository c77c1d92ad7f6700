//! [`OomEvents`]: the events of the host's control group that go with the kills of the guest's OOM killer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use host::oom_victim::OomVictim;
use memory::MemoryFile;
use platform::Platform;
use sentry::kernel::oom::OomNotice;

use crate::end::End;

/// How long the host's OOM killer may take: on a busy machine there is much to be done until it acts.
const VICTIM_TIMEOUT_MS: u32 = 5_000;
/// How long those who watch the control group have to pass the event on. The end of a container overtakes it where
/// they do both at once, as containerd's shim does.
const LISTENERS_TIME: Duration = Duration::from_millis(100);

/// Makes them, one for each process that is about to be killed.
#[derive(Debug)]
pub(crate) struct OomEvents {
    victim: OomVictim,
    end: Arc<End>,
}

impl OomEvents {
    pub(crate) fn new(victim: OomVictim, end: &Arc<End>) -> OomEvents {
        OomEvents {
            victim,
            end: Arc::clone(end),
        }
    }

    /// What the OOM killer is to call: the group has its event before the process ends, and whoever watches the
    /// group has seen it before the sandbox ends.
    pub(crate) fn notice(self, memory: &Arc<MemoryFile>, platform: &Arc<Platform>) -> OomNotice {
        let (memory, platform) = (Arc::clone(memory), Arc::clone(platform));
        OomNotice(Arc::new(move || {
            memory.forget_view();
            platform.forget_view();
            if self.victim.offer(VICTIM_TIMEOUT_MS) {
                self.end.not_before(Instant::now() + LISTENERS_TIME);
            }
        }))
    }
}
