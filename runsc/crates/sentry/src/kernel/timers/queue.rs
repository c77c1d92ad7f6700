//! What the kernel's timer thread waits for: one host thread, made when the first timer is armed, that
//! sleeps until the earliest deadline and does not run while nothing is armed.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use locks::{Condvar, Mutex};

/// Something that is called when its time has come. It may arm itself again.
pub trait Expire: Send + Sync {
    /// Called on the timer thread, without locks.
    fn expire(self: Arc<Self>);
}

/// An armed deadline, to be disarmed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Armed {
    at: Instant,
    id: u64,
}

/// The armed deadlines of a kernel.
#[derive(Debug, Default)]
pub struct TimerQueue {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    armed: BTreeMap<Armed, Weak<dyn Expire>>,
    next_id: u64,
    has_thread: bool,
    closed: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("TimerQueue")
            .field("armed", &state.armed.len())
            .finish_non_exhaustive()
    }
}

/// Deadlines beyond this are as good as never.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl TimerQueue {
    /// Calls `target` in `delay` from now, unless it is disarmed or gone before.
    pub fn arm(&self, delay: Duration, target: Weak<dyn Expire>) -> Armed {
        let mut state = self.shared.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        let at = Instant::now() + delay.min(FAR);
        let armed = Armed { at, id };
        let first = state.armed.keys().next().is_none_or(|first| armed < *first);
        state.armed.insert(armed, target);
        if !state.has_thread {
            state.has_thread = self.start_thread();
        } else if first {
            self.shared.changed.notify_one();
        }
        armed
    }

    /// Undoes [`TimerQueue::arm`]; harmless once the time has come.
    pub fn disarm(&self, armed: Armed) {
        self.shared.state.lock().armed.remove(&armed);
    }

    /// If the host has no thread to give, the next armed deadline tries again.
    fn start_thread(&self) -> bool {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name("timers".to_owned());
        let started = thread.spawn(move || shared.run());
        if let Err(error) = &started {
            tracing::warn!(%error, "no host thread for timers: they are late");
        }
        started.is_ok()
    }
}

impl Drop for TimerQueue {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.closed {
            let now = Instant::now();
            match state.armed.first_key_value() {
                None => self.changed.wait(&mut state),
                Some((armed, _)) if armed.at > now => {
                    let at = armed.at;
                    self.changed.wait_until(&mut state, at);
                }
                Some(_) => {
                    let due = state.armed.pop_first();
                    drop(state);
                    if let Some(target) = due.and_then(|(_, target)| target.upgrade()) {
                        target.expire();
                    }
                    state = self.state.lock();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Bell(Mutex<Sender<u32>>, u32);

    impl Expire for Bell {
        fn expire(self: Arc<Self>) {
            self.0.lock().send(self.1).unwrap();
        }
    }

    #[test]
    fn earlier_deadlines_come_first_and_disarmed_ones_never() {
        let queue = TimerQueue::default();
        let (sender, rung) = channel();
        let bell = |number| Arc::new(Bell(Mutex::new(sender.clone()), number));
        let bells = [bell(1), bell(2), bell(3)];
        let arm = |at: usize, delay_ms| {
            let target: Arc<dyn Expire> = bells[at].clone();
            queue.arm(Duration::from_millis(delay_ms), Arc::downgrade(&target))
        };
        arm(0, 60);
        let disarmed = arm(1, 40);
        arm(2, 20);
        queue.disarm(disarmed);
        assert_eq!(rung.recv().unwrap(), 3);
        assert_eq!(rung.recv().unwrap(), 1);
    }
}
