//! The keeper: the OS thread that is the parent of every stub process. It makes the master, then
//! reaps the stubs that are handed to it. Stubs die with it.
//!
//! It does not wait for stubs in general: the kernel shows the stops of a child that another thread
//! of this process traces to its parent too. A stub that ended unasked stays a zombie until its
//! space goes, which also keeps its id from being reused.

use super::master::{self, Master};
use crate::SetupError;
use abi::Errno;
use std::sync::mpsc;

/// Enough for a loop that makes system calls.
const STACK_BYTES: usize = 128 << 10;

/// How to reach the keeper; it ends when this is dropped and everything is reaped.
#[derive(Debug)]
pub(super) struct Keeper {
    ended: mpsc::Sender<i32>,
}

impl Keeper {
    /// Starts the thread and has it make the master.
    pub(super) fn start(oom_score_step: i32) -> Result<(Keeper, Master), SetupError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (ended, to_reap) = mpsc::channel();
        let failed = |step, errno| SetupError {
            platform: "ptrace",
            step,
            errno,
        };
        std::thread::Builder::new()
            .name("keeper".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let made = master::make(oom_score_step);
                if sender.send(made).is_ok() {
                    reap_all(&to_reap);
                }
            })
            .map_err(|error| failed("start the keeper thread", Errno::from(error)))?;
        let master = receiver
            .recv()
            .unwrap_or_else(|_| Err(failed("make the master stub", Errno::EIO)))?;
        Ok((Keeper { ended }, master))
    }

    /// Has a stub process reaped that was killed and that nobody uses any more.
    pub(super) fn reap(&self, pid: i32) {
        if self.ended.send(pid).is_err() {
            tracing::warn!(pid, "the keeper is gone: a stub process is not reaped");
        }
    }
}

fn reap_all(pids: &mpsc::Receiver<i32>) {
    for pid in pids {
        if let Err(error) = host::wait::reap(pid) {
            tracing::warn!(pid, %error, "a stub process that ended could not be reaped");
        }
    }
}
