//! The sandbox's end: asked for once, and put off for a moment until those who wait have been told.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long answers may take to be sent.
const GRACE: Duration = Duration::from_millis(500);

/// The exit code, once there is one.
#[derive(Debug, Default)]
pub(crate) struct End {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    code: Option<u8>,
    answers_due: usize,
    not_before: Option<Instant>,
}

/// An answer that the end waits for.
#[derive(Debug)]
pub(crate) struct AnswerDue<'a> {
    end: &'a End,
}

impl End {
    /// The sandbox is to end with this code. Only the first call counts.
    pub(crate) fn with(&self, code: u8) {
        let mut state = self.state.lock();
        state.code.get_or_insert(code);
        self.changed.notify_all();
    }

    /// The sandbox is not to end before `time`: something else has to be seen first.
    pub(crate) fn not_before(&self, time: Instant) {
        self.state.lock().not_before = Some(time);
    }

    /// Waits for the end, and then for the answers that are due and the earliest time, but not for long.
    pub(crate) fn wait(&self) -> u8 {
        let mut state = self.state.lock();
        loop {
            let Some(code) = state.code else {
                self.changed.wait(&mut state);
                continue;
            };
            while state.answers_due > 0 {
                if self.changed.wait_for(&mut state, GRACE).timed_out() {
                    break;
                }
            }
            let left = state
                .not_before
                .map(|time| time.saturating_duration_since(Instant::now()));
            drop(state);
            std::thread::sleep(left.unwrap_or_default());
            return code;
        }
    }

    /// Someone is to be told of a process's end before the sandbox ends.
    pub(crate) fn answer_due(&self) -> AnswerDue<'_> {
        self.state.lock().answers_due += 1;
        AnswerDue { end: self }
    }
}

impl Drop for AnswerDue<'_> {
    fn drop(&mut self) {
        self.end.state.lock().answers_due -= 1;
        self.end.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::End;

    #[test]
    fn the_first_code_counts() {
        let end = End::default();
        end.with(3);
        end.with(4);
        assert_eq!(end.wait(), 3);
    }

    #[test]
    fn the_end_waits_for_its_earliest_time() {
        let end = End::default();
        let time = Instant::now() + Duration::from_millis(20);
        end.not_before(time);
        end.with(0);
        assert_eq!(end.wait(), 0);
        assert!(Instant::now() >= time);
    }

    #[test]
    fn the_end_waits_for_an_answer() {
        let end = End::default();
        let due = end.answer_due();
        end.with(0);
        std::thread::scope(|scope| {
            scope.spawn(move || drop(due));
            assert_eq!(end.wait(), 0);
        });
        assert_eq!(end.state.lock().answers_due, 0);
    }
}
