//! vCPUs, lent to contexts.
//!
//! A context keeps its vCPU between runs as long as fewer than half of all are kept; above that,
//! every vCPU comes back after a run. So however many threads there are, and however long they
//! stay in the Sentry, a vCPU comes free as soon as somebody's run ends.

use super::machine::Machine;
use super::vcpu::Vcpu;
use crate::Result;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The pool.
#[derive(Debug)]
pub(super) struct Pool {
    most: usize,
    state: Mutex<State>,
    returned: Condvar,
    nr_kept: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Vcpu>,
    nr_made: usize,
}

impl Pool {
    /// A pool of at most so many.
    pub(super) fn new(most: usize) -> Pool {
        Pool {
            most: most.max(1),
            state: Mutex::default(),
            returned: Condvar::new(),
            nr_kept: AtomicUsize::new(0),
        }
    }

    /// Puts the first vCPU in.
    pub(super) fn begin_with(&self, vcpu: Vcpu) {
        let mut state = self.state.lock();
        state.nr_made = 1;
        state.idle.push(vcpu);
    }

    /// How many there can be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Lends a vCPU; waits for one if all are lent. `None` when `give_up` says so.
    ///
    /// # Errors
    /// KVM's, when there is none and none can be made.
    pub(super) fn take(
        &self,
        machine: &Machine,
        give_up: impl Fn() -> bool,
    ) -> Result<Option<Vcpu>> {
        /// How often `give_up` is asked.
        const PATIENCE: Duration = Duration::from_millis(5);
        let mut state = self.state.lock();
        loop {
            if let Some(vcpu) = state.idle.pop() {
                return Ok(Some(vcpu));
            }
            if state.nr_made < self.most {
                let number = state.nr_made;
                match machine.new_vcpu(number) {
                    Ok(vcpu) => {
                        state.nr_made += 1;
                        return Ok(Some(vcpu));
                    }
                    Err(error) if number == 0 => return Err(error),
                    // The host gives no more than these.
                    Err(_) => {}
                }
            }
            if give_up() {
                return Ok(None);
            }
            self.returned.wait_for(&mut state, PATIENCE);
        }
    }

    /// Takes a vCPU back.
    pub(super) fn give_back(&self, vcpu: Vcpu) {
        self.state.lock().idle.push(vcpu);
        self.returned.notify_one();
    }

    /// Whether a context may keep its vCPU; it says so with [`unkeep`](Pool::unkeep) when it no
    /// longer does.
    pub(super) fn keep(&self) -> bool {
        let may = self.nr_kept.fetch_add(1, Ordering::Relaxed) < self.most / 2;
        if !may {
            self.unkeep();
        }
        may
    }

    pub(super) fn unkeep(&self) {
        self.nr_kept.fetch_sub(1, Ordering::Relaxed);
    }
}
