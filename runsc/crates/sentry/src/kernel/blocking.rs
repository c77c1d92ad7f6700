//! The one way a task sleeps: until an attempt succeeds, a deadline passes, or a signal arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

use crate::error::{Restart, SysError};
use crate::kernel::task::{RunState, Task};
use crate::kernel::wait_queue::{Events, Registration, WaitQueue, Waiter, Wakeup};
use crate::time::Deadline;

/// Why a sleep ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unslept {
    /// The deadline passed.
    TimedOut,
    /// A signal is to be handled, or the task is to stop or exit.
    Interrupted,
}

impl Unslept {
    /// For calls that report a time-out as `errno` and restart as `restart` says.
    #[must_use]
    pub fn into_error(self, timed_out: abi::Errno, restart: Restart) -> SysError {
        match self {
            Unslept::TimedOut => SysError::Errno(timed_out),
            Unslept::Interrupted => SysError::Restart(restart),
        }
    }
}

/// Wakes one sleeping task.
#[derive(Debug)]
pub struct TaskWaker {
    woken: AtomicBool,
    thread: Thread,
}

impl TaskWaker {
    /// A waker for the calling host thread.
    #[must_use]
    pub fn current() -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            woken: AtomicBool::new(false),
            thread: std::thread::current(),
        })
    }

    /// Wakes the task; sticky until the sleep looks.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Waiter for TaskWaker {
    fn notify(&self, _events: Events) -> bool {
        // An exclusive wake-up is used up by a waiter that was still asleep.
        let first = !self.woken.swap(true, Ordering::AcqRel);
        self.thread.unpark();
        first
    }
}

impl Task {
    /// Where a long operation ends if the task is to exit: EINTR, which nobody sees then. A loop whose length is
    /// the application's choice passes one each round, with no lock held.
    pub(crate) fn interruption_point(&self) -> crate::error::Result<()> {
        if self.is_exiting() {
            return Err(abi::Errno::EINTR);
        }
        Ok(())
    }

    /// Runs `attempt` until it gives a value, sleeping in between until one of `queues` reports one of
    /// its events. No lock may be held. Must be called on the task's own thread.
    pub fn wait_for<T>(
        &self,
        queues: &[(&WaitQueue, Events)],
        deadline: Option<Deadline>,
        attempt: impl FnMut() -> Option<T>,
    ) -> Result<T, Unslept> {
        let waker = TaskWaker::current();
        let _registrations: Vec<Registration> = queues
            .iter()
            .map(|(queue, mask)| queue.register(waker.clone(), *mask, Wakeup::Shared))
            .collect();
        self.sleep_until(&waker, deadline, attempt)
    }

    /// As [`Task::wait_for`] without a deadline, ended by nothing but the task's own exit.
    pub(crate) fn wait_unless_exiting<T>(
        &self,
        queues: &[&WaitQueue],
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Result<T, Unslept> {
        self.wait_regardless(queues, || {
            if let Some(value) = attempt() {
                return Some(Ok(value));
            }
            self.is_exiting().then_some(Err(Unslept::Interrupted))
        })
    }

    /// As [`Task::wait_for`] without a deadline, ended by nothing but `attempt`: for steps of exit itself.
    pub(crate) fn wait_regardless<T>(
        &self,
        queues: &[&WaitQueue],
        mut attempt: impl FnMut() -> Option<T>,
    ) -> T {
        let waker = TaskWaker::current();
        let _registrations: Vec<Registration> = queues
            .iter()
            .map(|queue| queue.register(waker.clone(), Events::IN, Wakeup::Shared))
            .collect();
        loop {
            waker.woken.store(false, Ordering::Release);
            if let Some(value) = attempt() {
                return value;
            }
            if !waker.woken.load(Ordering::Acquire) {
                self.nap(None);
            }
        }
    }

    /// As [`Task::wait_for`] for a waker that the caller has already made known to whoever wakes it.
    pub fn sleep_until<T>(
        &self,
        waker: &TaskWaker,
        deadline: Option<Deadline>,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Result<T, Unslept> {
        loop {
            waker.woken.store(false, Ordering::Release);
            if let Some(value) = attempt() {
                return Ok(value);
            }
            if self.is_interrupted() {
                return Err(Unslept::Interrupted);
            }
            match deadline {
                None => {
                    if !waker.woken.load(Ordering::Acquire) {
                        self.nap(None);
                    }
                }
                Some(deadline) => {
                    let left = self.kernel().clock().until(deadline);
                    if left.is_zero() {
                        return Err(Unslept::TimedOut);
                    }
                    if !waker.woken.load(Ordering::Acquire) {
                        self.nap(Some(deadline.nap(left)));
                    }
                }
            }
        }
    }

    /// Parks the host thread; the time does not count as the task's.
    pub(crate) fn nap(&self, at_most: Option<std::time::Duration>) {
        locks::assert_none_held();
        crate::strace::sleeps(self);
        let clock = self.kernel().clock();
        self.cpu.enter_idle(clock.monotonic_ns());
        self.change_state(RunState::Running, RunState::Sleeping);
        match at_most {
            None => std::thread::park(),
            Some(at_most) => std::thread::park_timeout(at_most),
        }
        self.change_state(RunState::Sleeping, RunState::Running);
        self.cpu.enter_system(clock.monotonic_ns());
    }

    /// A task that sleeps while stopped or exiting stays shown as that.
    fn change_state(&self, from: RunState, to: RunState) {
        let mut state = self.state.lock();
        if *state == from {
            *state = to;
        }
    }
}
