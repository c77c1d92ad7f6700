//! On which processor stub threads run: on their tracer's, for a wake-up across processors costs
//! several times as much as one on the same; but one that runs for long may go anywhere.
//!
//! Before a run the tracer binds its stub thread to the processor that it is on itself, if that has
//! changed ([`Follower::follow`]). The tracer sleeps during the run, so nobody would move a thread
//! that does not stop again: the [`Balancer`], ticking on the keeper's thread while any bound
//! thread runs, unbinds those that have run for a whole tick.
//!
//! On an idle machine the host likes to wake the tracer on another processor than it went to sleep
//! on, and the stub thread follows, again and again. So a tracer that was moved during a run, and
//! during one shortly before, stays where it is for the next ones ([`Stay`]), unless the thread runs for
//! long.

use parking_lot::Mutex;
use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the balancer looks.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// Runs that a thread which had to be unbound makes before it is bound again.
const FREE_RUNS: u32 = 8;
/// Runs for which a tracer that is being moved about is bound to its own processor.
const STAY_RUNS: u32 = 64;
/// A tracer that is moved a second time within so many runs is being moved about.
const RESTLESS_RUNS: u32 = 32;
/// In [`Follower::cpu`]: not bound.
const ANYWHERE: i32 = -1;

/// A stub thread's processor.
#[derive(Debug)]
pub(super) struct Follower {
    tid: i32,
    /// The processor it is bound to, or [`ANYWHERE`].
    cpu: AtomicI32,
    /// Goes up at the start and at the end of each run: odd while the thread runs.
    runs: AtomicU32,
    /// Runs to go until an unbound thread is bound again, plus 1; written by the tracer only.
    free_runs: AtomicU32,
    /// Where its tracer may go, and it if it is not bound.
    allowed: Mutex<CpuSet>,
}

impl Follower {
    /// For a thread that is bound to `cpu`, as far as is known.
    pub(super) fn new(tid: i32, cpu: Option<i32>, allowed: CpuSet) -> Follower {
        Follower {
            tid,
            cpu: AtomicI32::new(cpu.unwrap_or(ANYWHERE)),
            runs: AtomicU32::new(0),
            free_runs: AtomicU32::new(1),
            allowed: Mutex::new(allowed),
        }
    }

    /// Changes where it may go.
    pub(super) fn allow(&self, processors: CpuSet) {
        *self.allowed.lock() = processors;
    }

    /// The processor that the thread is bound to.
    pub(super) fn cpu(&self) -> Option<i32> {
        let cpu = self.cpu.load(Ordering::Relaxed);
        (cpu != ANYWHERE).then_some(cpu)
    }

    /// Binds the thread, which is stopped, to its tracer's processor: the calling thread's.
    pub(super) fn follow(&self) {
        let (cpu, bound) = (current_cpu(), self.cpu.load(Ordering::Relaxed));
        if cpu == bound || (bound == ANYWHERE && !self.is_due()) {
            return;
        }
        bind(Pid::from_raw(self.tid), cpu);
        self.cpu.store(cpu, Ordering::Relaxed);
    }

    /// Whether an unbound thread is to be bound again; counts this run.
    fn is_due(&self) -> bool {
        let left = match self.free_runs.load(Ordering::Relaxed) {
            0 => FREE_RUNS,
            left => left - 1,
        };
        self.free_runs.store(left, Ordering::Relaxed);
        left == 0
    }

    /// Notes that the thread starts or stops running.
    fn step(&self) {
        let runs = self.runs.load(Ordering::Relaxed);
        self.runs.store(runs.wrapping_add(1), Ordering::SeqCst);
    }

    fn is_running(runs: u32) -> bool {
        runs % 2 == 1
    }

    fn unbind(&self) {
        // A thread that is gone needs no processor.
        let _gone = sched_setaffinity(Pid::from_raw(self.tid), &self.allowed.lock());
        // After the call: if the tracer has bound the thread again meanwhile, it does so once more.
        self.cpu.store(ANYWHERE, Ordering::Relaxed);
    }
}

/// Keeps a tracer on its processor. It belongs to that tracer's thread.
#[derive(Debug, Default)]
pub(super) struct Stay {
    /// Runs to go until the tracer is free again, and where it could go before.
    bound: Option<(u32, CpuSet)>,
    /// Runs in which a move counts as a second one.
    restless: u32,
}

impl Stay {
    /// Takes note of a run: whether the tracer was moved meanwhile, and whether the stub thread was let
    /// go anywhere.
    pub(super) fn after_run(&mut self, moved: bool, free: bool) {
        match &mut self.bound {
            Some((left, _)) if *left > 0 && !free => *left -= 1,
            Some(_) => self.end(),
            None => self.look(moved && !free),
        }
    }

    fn look(&mut self, moved: bool) {
        self.restless = self.restless.saturating_sub(1);
        if !moved || std::mem::replace(&mut self.restless, RESTLESS_RUNS) == 0 {
            return;
        }
        if let Ok(anywhere) = sched_getaffinity(None) {
            bind(None, current_cpu());
            self.bound = Some((STAY_RUNS, anywhere));
        }
    }

    /// Lets the tracer go wherever it could before. Whoever wants to bind it himself calls this first.
    pub(super) fn end(&mut self) {
        if let Some((_, anywhere)) = self.bound.take() {
            // It was its own a moment ago; refused, the tracer is only slower.
            let _slower = sched_setaffinity(None, &anywhere);
        }
    }
}

/// Binds a sleeping or stopped stub thread to the calling thread's processor, if it was bound to
/// another.
pub(super) fn follow(tid: i32, bound: &mut Option<i32>) {
    let cpu = current_cpu();
    if *bound != Some(cpu) {
        bind(Pid::from_raw(tid), cpu);
        *bound = Some(cpu);
    }
}

/// Where the calling thread may go.
pub(super) fn anywhere() -> CpuSet {
    sched_getaffinity(None).unwrap_or_default()
}

/// Lets the calling thread go to these processors. A new one begins where the thread that made it was
/// bound to.
pub(super) fn allow(processors: &CpuSet) {
    // Refused, as for processors that there are not, it stays as it was.
    let _unchanged = sched_setaffinity(None, processors);
}

/// The processor that the calling thread is on.
pub(super) fn current_cpu() -> i32 {
    i32::try_from(host::cpu::current()).unwrap_or_default()
}

fn bind(thread: Option<Pid>, cpu: i32) {
    if let Ok(cpu) = u32::try_from(cpu) {
        host::cpu::bind(thread, cpu);
    }
}

/// Unbinds threads that run for long.
#[derive(Debug, Default)]
pub(super) struct Balancer {
    watched: Mutex<Vec<Watched>>,
    /// Nobody ticks: the next run has to wake the keeper.
    parked: AtomicBool,
}

#[derive(Debug)]
struct Watched {
    follower: Weak<Follower>,
    /// [`Follower::runs`] at the last tick.
    seen: u32,
}

impl Balancer {
    /// Watches a thread until it is dropped.
    pub(super) fn watch(&self, follower: &Arc<Follower>) {
        let follower = Arc::downgrade(follower);
        self.watched.lock().push(Watched { follower, seen: 0 });
    }

    /// Notes that a run starts; whether the keeper has to be woken.
    #[must_use]
    pub(super) fn start(&self, follower: &Follower) -> bool {
        follower.step();
        self.parked.load(Ordering::SeqCst) && self.parked.swap(false, Ordering::SeqCst)
    }

    /// Notes that a run ends.
    pub(super) fn stop(&self, follower: &Follower) {
        follower.step();
    }

    /// One tick; whether there has to be another.
    pub(super) fn tick(&self) -> bool {
        let mut watched = self.watched.lock();
        let mut busy = false;
        watched.retain_mut(|watched| {
            let Some(follower) = watched.follower.upgrade() else {
                return false;
            };
            busy |= watched.look(&follower);
            true
        });
        busy
    }

    /// Stops ticking, unless a run started meanwhile.
    pub(super) fn park(&self) -> bool {
        self.parked.store(true, Ordering::SeqCst);
        let parked = !self.tick();
        if !parked {
            self.parked.store(false, Ordering::SeqCst);
        }
        parked
    }
}

impl Watched {
    /// Unbinds the thread if it runs since the last look; whether another look is needed.
    fn look(&mut self, follower: &Follower) -> bool {
        let runs = follower.runs.load(Ordering::SeqCst);
        let before = std::mem::replace(&mut self.seen, runs);
        if !Follower::is_running(runs) || follower.cpu().is_none() {
            return false;
        }
        if runs == before {
            follower.unbind();
        }
        runs != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_runs_through_two_ticks_is_unbound() {
        let balancer = Balancer::default();
        let follower = Arc::new(Follower::new(0, None, anywhere()));
        balancer.watch(&follower);
        assert!(balancer.park());
        assert!(follower.cpu().is_none());
        follower.cpu.store(0, Ordering::Relaxed);
        assert!(balancer.start(&follower));
        assert!(balancer.tick());
        balancer.stop(&follower);
        assert!(!balancer.start(&follower));
        assert!(balancer.tick(), "another run is another start");
        assert!(!balancer.tick());
        assert!(follower.cpu().is_none());
    }

    #[test]
    fn a_restless_tracer_is_bound_for_some_runs() {
        let anywhere = sched_getaffinity(None).expect("own affinity").count();
        let mut stay = Stay::default();
        stay.after_run(true, false);
        assert!(stay.bound.is_none(), "one move is nothing");
        stay.after_run(true, false);
        let bound = || sched_getaffinity(None).expect("own affinity").count();
        assert_eq!(bound(), 1);
        for _ in 0..=STAY_RUNS {
            stay.after_run(false, false);
        }
        assert_eq!(bound(), anywhere);
    }

    #[test]
    fn an_unbound_thread_is_bound_again_after_some_runs() {
        let follower = Follower::new(0, None, anywhere());
        follower.follow();
        assert!(follower.cpu().is_some(), "a new thread is bound at once");
        follower.cpu.store(ANYWHERE, Ordering::Relaxed);
        for _ in 0..FREE_RUNS {
            follower.follow();
            assert!(follower.cpu().is_none());
        }
        follower.follow();
        assert!(follower.cpu().is_some());
    }
}
