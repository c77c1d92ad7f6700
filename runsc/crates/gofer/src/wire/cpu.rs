//! Answering on the CPU that the client waits on.
//!
//! Waking a thread on another CPU costs several times as much as all the rest of a request, and the
//! client's CPU has nothing else to do for it meanwhile. So requests say where they come from, and the
//! thread that serves a connection moves there; the client prefers a connection that is there already.
//!
//! On an idle machine the host likes to wake the client on another CPU than it went to sleep on, and
//! whoever it talks to next on the first one again, for ever. So a client that was moved in the middle
//! of a request stays where it is during the next ones.

pub(crate) use host::cpu::current;

use host::cpu::bind;
use rustix::thread::{sched_getaffinity, sched_setaffinity};

/// For how many requests a client that was moved stays on its CPU before it is tried without.
const STAYS: u32 = 64;

/// Whether a client stays on its CPU while it waits for an answer.
#[derive(Debug, Default)]
pub(crate) struct Stay {
    left: u32,
}

impl Stay {
    /// Makes a request with `ask` on the CPU `here`, which the calling thread runs on.
    pub(crate) fn during<T>(&mut self, here: u32, ask: impl FnOnce() -> T) -> T {
        let before = (self.left > 0)
            .then(|| sched_getaffinity(None).ok())
            .flatten();
        if before.is_some() {
            self.left -= 1;
            bind(None, here);
        }
        let answer = ask();
        match before {
            // It was the thread's own a moment ago; if it is refused, the thread is only slower.
            Some(before) => drop(sched_setaffinity(None, &before)),
            None if current() != here => self.left = STAYS,
            None => {}
        }
        answer
    }
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
        bind(None, cpu);
    }
}
