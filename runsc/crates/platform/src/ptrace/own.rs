//! Which stopped stub threads the calling OS thread has: those of the contexts bound to it.

use super::affinity::Follower;
use super::stub::{Claimed, Stub};
use super::tracee::Tracee;
use rustix::thread::CpuSet;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A context's stub thread. Outside of a context's run it is stopped.
#[derive(Debug)]
pub(super) struct Own {
    stub: Arc<Stub>,
    tracee: Tracee,
    follower: Arc<Follower>,
    /// Its registers are not what the context left in them.
    clobbered: AtomicBool,
    /// How many groups of mapping calls are open.
    nr_groups: AtomicU32,
}

thread_local! {
    static OWN: RefCell<Vec<Arc<Own>>> = const { RefCell::new(Vec::new()) };
}

impl Own {
    /// Takes note of a thread that the calling OS thread, which may go where `allowed` says, has claimed.
    pub(super) fn enter(stub: &Arc<Stub>, claimed: Claimed, allowed: CpuSet) -> Arc<Own> {
        let Claimed { tracee, cpu } = claimed;
        let own = Arc::new(Own {
            stub: Arc::clone(stub),
            follower: Arc::new(Follower::new(tracee.tid(), cpu, allowed)),
            tracee,
            clobbered: AtomicBool::new(true),
            nr_groups: AtomicU32::new(0),
        });
        OWN.with_borrow_mut(|all| all.push(Arc::clone(&own)));
        own
    }

    /// Gives the thread back to its stub.
    pub(super) fn leave(own: Arc<Own>) {
        // Without thread-local storage the OS thread is ending, and is not asked anything more.
        let _ending =
            OWN.try_with(|all| all.borrow_mut().retain(|other| !Arc::ptr_eq(other, &own)));
        if let Ok(Own {
            stub,
            tracee,
            follower,
            ..
        }) = Arc::try_unwrap(own)
        {
            let cpu = follower.cpu();
            stub.give_back(Claimed { tracee, cpu });
        }
    }

    /// The process that the thread is of.
    pub(super) fn stub(&self) -> &Arc<Stub> {
        &self.stub
    }

    /// The thread, stopped.
    pub(super) fn tracee(&self) -> &Tracee {
        &self.tracee
    }

    /// Which processor the thread is on.
    pub(super) fn follower(&self) -> &Arc<Follower> {
        &self.follower
    }

    /// Opens a group of mapping calls.
    pub(super) fn open_group(&self) {
        self.nr_groups.fetch_add(1, Ordering::Relaxed);
    }

    /// Closes a group of mapping calls; whether it was the outermost.
    pub(super) fn close_group(&self) -> bool {
        self.nr_groups.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Whether a group of mapping calls is open.
    pub(super) fn is_grouping(&self) -> bool {
        self.nr_groups.load(Ordering::Relaxed) > 0
    }

    /// Notes that the registers were used for something else.
    pub(super) fn mark_clobbered(&self) {
        self.clobbered.store(true, Ordering::Relaxed);
    }

    /// Whether they were, since the last time that this was asked.
    pub(super) fn take_clobbered(&self) -> bool {
        self.clobbered.load(Ordering::Relaxed) && self.clobbered.swap(false, Ordering::Relaxed)
    }

    /// Whether the calling OS thread is the thread's tracer.
    pub(super) fn is_mine(self: &Arc<Own>) -> bool {
        OWN.try_with(|all| all.borrow().iter().any(|other| Arc::ptr_eq(other, self)))
            .unwrap_or(false)
    }
}

/// The calling OS thread's own stopped thread in a stub.
pub(super) fn in_stub(stub: &Arc<Stub>) -> Option<Arc<Own>> {
    OWN.try_with(|all| {
        all.borrow()
            .iter()
            .find(|own| Arc::ptr_eq(&own.stub, stub))
            .cloned()
    })
    .ok()
    .flatten()
}
