//! Pending signals: one queue per task and one per thread group (`man 7 signal`, *Queueing*).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use locks::Mutex;

use super::info::Detail;
use super::{Signal, SignalInfo, SignalSet};

/// Signals that the processor raised: they go first (`man 7 signal`).
pub const SYNCHRONOUS: SignalSet = SignalSet::EMPTY
    .with(Signal::SIGSEGV)
    .with(Signal::SIGBUS)
    .with(Signal::SIGILL)
    .with(Signal::SIGTRAP)
    .with(Signal::SIGFPE)
    .with(Signal::SIGSYS);

/// How many signals each user has queued, against `RLIMIT_SIGPENDING` of the receiver.
#[derive(Debug, Default)]
pub struct QueuedByUser {
    users: Mutex<HashMap<u32, Arc<AtomicU64>>>,
}

/// One queued signal of a user; given back when dropped.
#[derive(Debug)]
pub struct Charge(Arc<AtomicU64>);

impl QueuedByUser {
    /// Counts one more for `uid`, none if that would be more than `limit`.
    pub fn charge(&self, uid: u32, limit: u64) -> Option<Charge> {
        let count = self.users.lock().entry(uid).or_default().clone();
        let before = count.fetch_add(1, Ordering::Relaxed);
        let charge = Charge(count);
        (before < limit).then_some(charge)
    }

    /// How many `uid` has queued (`SigQ` of `/proc/[pid]/status`).
    #[must_use]
    pub fn count(&self, uid: u32) -> u64 {
        let users = self.users.lock();
        users
            .get(&uid)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The signal of a POSIX timer: one instance is queued at most, further expiries are counted
/// (`man 2 timer_getoverrun`).
#[derive(Debug, Default)]
pub struct TimerSignal {
    state: Mutex<TimerSignalState>,
    last_overrun: AtomicI32,
}

#[derive(Debug, Default)]
struct TimerSignalState {
    queued: bool,
    overrun: i32,
}

impl TimerSignal {
    /// The timer expired `times` times. Whether the caller is to queue the signal.
    #[must_use]
    pub fn expired(&self, times: u64) -> bool {
        let mut state = self.state.lock();
        let more = i32::try_from(times).unwrap_or(i32::MAX);
        if state.queued {
            state.overrun = state.overrun.saturating_add(more);
            return false;
        }
        state.queued = true;
        state.overrun = more.saturating_sub(1);
        true
    }

    /// The overrun count of the signal that was taken last.
    #[must_use]
    pub fn last_overrun(&self) -> i32 {
        self.last_overrun.load(Ordering::Relaxed)
    }

    /// The signal that the caller was to queue was ignored.
    pub fn discard(&self) {
        self.taken();
    }

    fn taken(&self) -> i32 {
        let mut state = self.state.lock();
        state.queued = false;
        let overrun = std::mem::take(&mut state.overrun);
        self.last_overrun.store(overrun, Ordering::Relaxed);
        overrun
    }
}

/// One queued instance.
#[derive(Debug)]
pub struct Entry {
    info: SignalInfo,
    /// What it counts against; none for signals that the kernel always queues.
    _charge: Option<Charge>,
    timer: Option<Arc<TimerSignal>>,
}

impl Entry {
    /// An instance.
    #[must_use]
    pub fn new(info: SignalInfo, charge: Option<Charge>, timer: Option<Arc<TimerSignal>>) -> Entry {
        Entry {
            info,
            _charge: charge,
            timer,
        }
    }

    fn take(self) -> SignalInfo {
        let mut info = self.info;
        if let (Some(timer), Detail::Timer { overrun, .. }) = (&self.timer, &mut info.detail) {
            *overrun = timer.taken();
        }
        info
    }

    fn discard(self) {
        if let Some(timer) = &self.timer {
            timer.discard();
        }
    }
}

/// Signals that were sent and not yet taken.
#[derive(Debug, Default)]
pub struct Queue {
    set: SignalSet,
    entries: VecDeque<Entry>,
}

impl Queue {
    /// About how many bytes it takes.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        (self.entries.len() * size_of::<Entry>()) as u64
    }

    /// The signals in it.
    #[must_use]
    pub fn set(&self) -> SignalSet {
        self.set
    }

    /// Whether an instance of `signal` may be added: of a standard signal there is one at most.
    #[must_use]
    pub fn accepts(&self, signal: Signal) -> bool {
        signal.is_real_time() || !self.set.has(signal)
    }

    /// Adds an instance.
    pub fn push(&mut self, entry: Entry) {
        self.set = self.set.with(entry.info.signal);
        self.entries.push_back(entry);
    }

    /// Makes `signal` pending without information: what happens to `kill(2)` when the queue is full.
    pub fn push_bare(&mut self, signal: Signal) {
        self.set = self.set.with(signal);
    }

    /// Takes the next signal that is in `wanted`: faults first, then the lowest number.
    pub fn take(&mut self, wanted: SignalSet) -> Option<SignalInfo> {
        let candidates = self.set.and(wanted);
        let signal = candidates
            .and(SYNCHRONOUS)
            .first()
            .or_else(|| candidates.first())?;
        let at = self
            .entries
            .iter()
            .position(|entry| entry.info.signal == signal);
        let entry = at.and_then(|at| self.entries.remove(at));
        let more = self.entries.iter().any(|entry| entry.info.signal == signal);
        if !more {
            self.set = self.set.without(signal);
        }
        Some(entry.map_or_else(|| SignalInfo::user(signal, 0, 0), Entry::take))
    }

    /// The information of the instance that [`Queue::take`] would give, without taking it.
    #[must_use]
    pub fn peek(&self) -> Vec<SignalInfo> {
        self.entries.iter().map(|entry| entry.info).collect()
    }

    /// Drops every instance of the signals in `set`.
    pub fn flush(&mut self, set: SignalSet) {
        if self.set.and(set).is_empty() {
            return;
        }
        self.set = self.set.minus(set);
        let (gone, kept) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition::<VecDeque<_>, _>(|entry| set.has(entry.info.signal));
        self.entries = kept;
        gone.into_iter().for_each(Entry::discard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(number: u64, value: u64) -> SignalInfo {
        SignalInfo {
            signal: Signal::new(number).unwrap(),
            errno: 0,
            code: -1,
            detail: Detail::Value {
                pid: 1,
                uid: 0,
                value,
            },
        }
    }

    #[test]
    fn real_time_signals_keep_their_order_behind_lower_numbers() {
        let mut queue = Queue::default();
        for (number, value) in [(40, 1), (34, 2), (34, 3), (15, 4), (11, 5)] {
            queue.push(Entry::new(info(number, value), None, None));
        }
        let all = SignalSet(u64::MAX);
        let order: Vec<u8> = std::iter::from_fn(|| queue.take(all))
            .map(|info| info.signal.number())
            .collect();
        assert_eq!(order, [11, 15, 34, 34, 40]);
    }

    #[test]
    fn charge_is_given_back() {
        let users = QueuedByUser::default();
        let first = users.charge(7, 1);
        assert!(first.is_some());
        assert!(users.charge(7, 1).is_none());
        drop(first);
        assert_eq!(users.count(7), 0);
        assert!(users.charge(7, 1).is_some());
    }

    #[test]
    fn timer_counts_expiries_while_queued() {
        let timer = Arc::new(TimerSignal::default());
        assert!(timer.expired(1));
        assert!(!timer.expired(2));
        let detail = Detail::Timer {
            id: 3,
            overrun: 0,
            value: 0,
        };
        let mut queue = Queue::default();
        let info = SignalInfo {
            detail,
            ..info(34, 0)
        };
        queue.push(Entry::new(info, None, Some(timer.clone())));
        let taken = queue.take(SignalSet(u64::MAX)).unwrap();
        assert_eq!(
            taken.detail,
            Detail::Timer {
                id: 3,
                overrun: 2,
                value: 0
            }
        );
        assert_eq!(timer.last_overrun(), 2);
        assert!(timer.expired(1));
    }
}
