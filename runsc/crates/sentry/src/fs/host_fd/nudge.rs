//! Host calls on terminals, which may block although the host said that they would not: a terminal that has room
//! for one byte blocks on two. Nobody could end such a call, so a thread nudges those that take long, with the
//! signal that this process reserves: they return, and whoever made them looks whether to go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use abi::Errno;
use host::kick::Thread;
use locks::{Condvar, Mutex};

use crate::error::Result;

/// How long a call is let alone, at least.
const PERIOD: Duration = Duration::from_millis(100);

/// Nudges calls for one kernel.
#[derive(Debug)]
pub(super) struct Nudger {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// Who is in a call now.
    calls: HashMap<u64, Call>,
    ends: bool,
}

#[derive(Debug)]
struct Call {
    thread: Thread,
    /// It was there a period ago.
    is_old: bool,
}

impl Nudger {
    /// Starts the thread.
    pub(super) fn new() -> Result<Nudger> {
        let shared = Arc::<Shared>::default();
        let worker = shared.clone();
        std::thread::Builder::new()
            .name("nudger".into())
            .stack_size(64 << 10)
            .spawn(move || worker.run())
            .map_err(|_| Errno::EAGAIN)?;
        Ok(Nudger { shared })
    }

    /// Makes a call that may block; it returns EINTR, or what was done by then, if it takes long.
    pub(super) fn watch<T>(&self, call: impl FnOnce() -> T) -> T {
        let number = self.shared.begin(Thread::current());
        let result = call();
        self.shared.state.lock().calls.remove(&number);
        result
    }
}

impl Drop for Nudger {
    fn drop(&mut self) {
        self.shared.state.lock().ends = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn begin(&self, thread: Thread) -> u64 {
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        let call = Call {
            thread,
            is_old: false,
        };
        state.calls.insert(number, call);
        if state.calls.len() == 1 {
            self.changed.notify_one();
        }
        number
    }

    fn run(&self) {
        let mut state = self.state.lock();
        while !state.ends {
            if state.calls.is_empty() {
                self.changed.wait(&mut state);
                continue;
            }
            let since = std::time::Instant::now();
            while !state.ends
                && !self
                    .changed
                    .wait_until(&mut state, since + PERIOD)
                    .timed_out()
            {}
            for call in state.calls.values_mut() {
                if std::mem::replace(&mut call.is_old, true) {
                    // Under the lock, without which the thread might be in another call by now.
                    call.thread.kick();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::Nudger;

    #[test]
    fn a_call_that_blocks_is_interrupted() {
        host::kick::install().unwrap();
        let nudger = Nudger::new().unwrap();
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        for _ in 0..3 {
            let outcome = nudger.watch(|| rustix::io::read(reader.as_fd(), &mut [0; 1]));
            assert_eq!(outcome, Err(rustix::io::Errno::INTR));
        }
    }
}
