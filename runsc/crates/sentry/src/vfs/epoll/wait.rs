//! Collecting events: `epoll_wait(2)`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;

use super::{Epoll, Interest, Item, Mode};
use crate::error::SysError;
use crate::kernel::blocking::{TaskWaker, Unslept};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, Wakeup};
use crate::time::Deadline;

/// One event for the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What the file is ready for.
    pub events: Events,
    /// The application's own mark.
    pub data: u64,
}

impl Epoll {
    /// Waits until something is ready and gives at most `max` events; none after `deadline`. An
    /// interruption is EINTR, whatever the handler's flags (`man 7 signal`).
    pub fn wait(
        &self,
        task: &Task,
        max: usize,
        deadline: Option<Deadline>,
    ) -> Result<Vec<Ready>, SysError> {
        let found = self.collect(max);
        if !found.is_empty() {
            return Ok(found);
        }
        let waker = TaskWaker::current();
        let registration = self
            .sleepers
            .register(waker.clone(), Events::all(), Wakeup::Exclusive);
        let slept = task.sleep_until(&waker, deadline, || {
            let found = self.collect(max);
            (!found.is_empty()).then_some(found)
        });
        drop(registration);
        // What is left is for the next sleeper; this one may have used up its wake-up.
        if !self.ready.lock().is_empty() {
            self.sleepers.wake(Events::IN);
        }
        match slept {
            Ok(found) => Ok(found),
            Err(Unslept::TimedOut) => Ok(Vec::new()),
            Err(Unslept::Interrupted) => Err(Errno::EINTR.into()),
        }
    }

    /// Takes the ready items off the list, level-triggered ones back to its end.
    fn collect(&self, max: usize) -> Vec<Ready> {
        let listed = self.ready.lock().len();
        let mut found = Vec::new();
        let mut again = Vec::new();
        for _ in 0..listed {
            if found.len() >= max {
                break;
            }
            let Some(item) = self.take() else { break };
            let Some((events, interest)) = item.poll() else {
                continue;
            };
            if !settle(&item, interest, &mut again) {
                continue;
            }
            found.push(Ready {
                events,
                data: interest.data,
            });
        }
        let mut ready = self.ready.lock();
        for item in again {
            if !item.listed.swap(true, Ordering::AcqRel) {
                ready.push_back(item);
            }
        }
        found
    }

    /// The first of the list; events from now on list it again.
    fn take(&self) -> Option<Arc<Item>> {
        let mut ready = self.ready.lock();
        let item = ready.pop_front()?;
        item.listed.store(false, Ordering::Release);
        Some(item)
    }

    /// Whether an event could be collected; what is not ready leaves the list.
    pub(super) fn has_ready(&self) -> bool {
        let listed = self.ready.lock().len();
        for _ in 0..listed {
            let Some(item) = self.take() else { break };
            if item.poll().is_some() {
                let mut ready = self.ready.lock();
                if !item.listed.swap(true, Ordering::AcqRel) {
                    ready.push_front(item);
                }
                drop(ready);
                self.sleepers.wake(Events::IN);
                return true;
            }
        }
        false
    }
}

/// Does to an item that is reported what its mode says; false if another thread was first.
fn settle(item: &Arc<Item>, reported: Interest, again: &mut Vec<Arc<Item>>) -> bool {
    if reported.mode.contains(Mode::ONESHOT) {
        let mut interest = item.interest.lock();
        if interest.spent {
            return false;
        }
        interest.spent = true;
    } else if !reported.mode.contains(Mode::EDGE) {
        again.push(item.clone());
    }
    true
}
