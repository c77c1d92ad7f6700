//! What is due when: the stack's one timer wheel, and its embedder's one timer.

use std::sync::Arc;
use std::time::Duration;

use locks::Mutex;

use crate::core::Core;
use crate::tcp::{self, Tuple};
use crate::wheel::{Key, Wheel};

/// Who waits for a moment.
#[derive(Debug)]
pub(crate) enum Timer {
    Tcp(Arc<tcp::Socket>),
    /// A connection in `TIME_WAIT`, with the number of its socket.
    TimeWait(Tuple, u64),
    /// Questions to neighbors.
    Neighbors,
    /// Packets of which pieces are missing.
    Fragments,
    /// Answers to questions for groups.
    Groups,
}

/// A timer that somebody has in the wheel. It may fire too early, and is set again then: that is cheaper than moving it with
/// each packet.
#[derive(Debug, Default)]
pub(crate) struct Armed(Option<(Key, Duration)>);

/// The wheel, and what the embedder was told.
#[derive(Debug)]
pub(crate) struct Timers {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    wheel: Wheel<Timer>,
    told: Option<Duration>,
}

impl Timers {
    pub(crate) fn new(now: Duration) -> Timers {
        Timers {
            state: Mutex::new(State {
                wheel: Wheel::new(now),
                told: None,
            }),
        }
    }

    /// Forgets all timers.
    pub(crate) fn clear(&self) -> Wheel<Timer> {
        let mut state = self.state.lock();
        std::mem::replace(&mut state.wheel, Wheel::new(Duration::ZERO))
    }
}

#[cfg(test)]
impl Timers {
    pub(crate) fn len(&self) -> usize {
        self.state.lock().wheel.len()
    }
}

impl Core {
    /// Makes `timer` fire at `moment`, unless it fires before that anyway.
    pub(crate) fn arm(
        &self,
        armed: &mut Armed,
        moment: Option<Duration>,
        timer: impl FnOnce() -> Timer,
    ) {
        let Some(moment) = moment else {
            return;
        };
        if armed.0.is_some_and(|(_, at)| at <= moment) {
            return;
        }
        let mut state = self.timers.state.lock();
        let old = armed.0.take().and_then(|(key, _)| state.wheel.remove(key));
        let key = state.wheel.insert(moment, old.unwrap_or_else(timer));
        armed.0 = Some((key, moment));
        if state.told.is_none_or(|told| moment < told) {
            state.told = Some(moment);
            self.embedder.deadline(state.told);
        }
    }

    /// Makes a timer not fire.
    pub(crate) fn disarm(&self, armed: &mut Armed) {
        let removed = armed
            .0
            .take()
            .and_then(|(key, _)| self.timers.state.lock().wheel.remove(key));
        // It may be the last owner of its socket, which is not dropped below the wheel's lock.
        drop(removed);
    }

    /// Does what is due. No lock is held.
    pub(crate) fn advance(&self) {
        let now = self.now();
        let due = {
            let mut state = self.timers.state.lock();
            let due = state.wheel.expire(now);
            state.told = state.wheel.next();
            self.embedder.deadline(state.told);
            due
        };
        for timer in due {
            match timer {
                Timer::Tcp(socket) => socket.fire(),
                Timer::TimeWait(tuple, id) => self.end_time_wait(&tuple, id),
                Timer::Neighbors => self.repeat_questions(),
                Timer::Groups => self.answer_queries(),
                Timer::Fragments => self.expire_fragments(),
            }
        }
    }
}

impl Armed {
    /// It fired.
    pub(crate) fn fired(&mut self) {
        self.0 = None;
    }
}
