//! The keeper: the OS thread that is the parent of every stub process. It makes the master, then
//! reaps the stubs that are handed to it, and ticks for the [`Balancer`]. Stubs die with it.
//!
//! It does not wait for stubs in general: the kernel shows the stops of a child that another thread
//! of this process traces to its parent too. A stub that ended unasked stays a zombie until its
//! space goes, which also keeps its id from being reused.

use super::affinity::{Balancer, TICK};
use super::master::{self, Master};
use crate::SetupError;
use abi::Errno;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};

/// Enough for a loop that makes system calls.
const STACK_BYTES: usize = 128 << 10;

/// How to reach the keeper; it ends when this is dropped and everything is reaped.
#[derive(Debug)]
pub(super) struct Keeper {
    requests: Sender<Request>,
    balancer: Arc<Balancer>,
}

/// What the keeper is asked for.
#[derive(Clone, Copy, Debug)]
enum Request {
    /// Take the status of this process, which was killed.
    Reap(i32),
    /// Tick: a thread runs.
    Tick,
}

impl Keeper {
    /// Starts the thread and has it make the master.
    pub(super) fn start(oom_score_step: i32) -> Result<(Keeper, Master), SetupError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (requests, inbox) = mpsc::channel();
        let balancer = Arc::new(Balancer::default());
        let ticked = Arc::clone(&balancer);
        let failed = |step, errno| SetupError {
            platform: crate::PTRACE,
            step,
            errno,
        };
        std::thread::Builder::new()
            .name("keeper".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let made = master::make(oom_score_step);
                if sender.send(made).is_ok() {
                    serve(&inbox, &ticked);
                }
            })
            .map_err(|error| failed("start the keeper thread", Errno::from(error)))?;
        let master = receiver
            .recv()
            .unwrap_or_else(|_| Err(failed("make the master stub", Errno::EIO)))?;
        Ok((Keeper { requests, balancer }, master))
    }

    /// Has a stub process reaped that was killed and that nobody uses any more.
    pub(super) fn reap(&self, pid: i32) {
        self.request(Request::Reap(pid));
    }

    /// Who unbinds threads that run for long.
    pub(super) fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    /// Makes the balancer tick.
    #[cold]
    pub(super) fn wake(&self) {
        self.request(Request::Tick);
    }

    fn request(&self, request: Request) {
        if self.requests.send(request).is_err() {
            tracing::warn!(?request, "the keeper is gone");
        }
    }
}

fn serve(inbox: &Receiver<Request>, balancer: &Balancer) {
    loop {
        match next(inbox, balancer) {
            Ok(Request::Reap(pid)) => {
                if let Err(error) = host::wait::reap(pid) {
                    tracing::warn!(pid, %error, "a stub process that ended could not be reaped");
                }
            }
            Ok(Request::Tick) => {}
            Err(_) => return,
        }
    }
}

/// The next request, after as many ticks as there is need for.
fn next(inbox: &Receiver<Request>, balancer: &Balancer) -> Result<Request, mpsc::RecvError> {
    while !balancer.park() {
        match inbox.recv_timeout(TICK) {
            Ok(request) => return Ok(request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(mpsc::RecvError),
        }
    }
    inbox.recv()
}
