//! The processor time of a task: where it is now, and what it has used (`man 2 getrusage`).

use locks::Mutex;

/// User and system time of one task. The time that it sleeps counts as neither.
#[derive(Debug, Default)]
pub struct CpuTime {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    user_ns: u64,
    system_ns: u64,
    /// Since when it has been where it is.
    since: Since,
}

#[derive(Clone, Copy, Debug, Default)]
enum Since {
    /// It sleeps, is stopped, or has not started.
    #[default]
    Idle,
    User(u64),
    System(u64),
}

impl State {
    /// Counts the time up to `now_ns`, and goes on from there as `next`.
    fn turn(&mut self, now_ns: u64, next: Since) {
        match self.since {
            Since::Idle => {}
            Since::User(since) => self.user_ns += now_ns.saturating_sub(since),
            Since::System(since) => self.system_ns += now_ns.saturating_sub(since),
        }
        self.since = next;
    }
}

impl CpuTime {
    /// It runs application code from now on.
    pub(crate) fn enter_user(&self, now_ns: u64) {
        self.state.lock().turn(now_ns, Since::User(now_ns));
    }

    /// It runs kernel code from now on.
    pub(crate) fn enter_system(&self, now_ns: u64) {
        self.state.lock().turn(now_ns, Since::System(now_ns));
    }

    /// It sleeps from now on.
    pub(crate) fn enter_idle(&self, now_ns: u64) {
        self.state.lock().turn(now_ns, Since::Idle);
    }

    /// Whether it sleeps.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state.lock().since, Since::Idle)
    }

    /// Whether it runs application code.
    #[must_use]
    pub fn is_user(&self) -> bool {
        matches!(self.state.lock().since, Since::User(_))
    }

    /// User and system time up to `now_ns`.
    #[must_use]
    pub fn at(&self, now_ns: u64) -> (u64, u64) {
        let mut state = *self.state.lock();
        state.turn(now_ns, Since::Idle);
        (state.user_ns, state.system_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_counts_as_neither() {
        let time = CpuTime::default();
        time.enter_user(10);
        time.enter_system(30);
        time.enter_idle(35);
        time.enter_system(1000);
        assert_eq!(time.at(1002), (20, 7));
        time.enter_user(1003);
        assert_eq!(time.at(1013), (30, 8));
    }
}
