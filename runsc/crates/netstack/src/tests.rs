//! What the crate's tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use locks::Mutex;

use crate::{Config, Embedder, Observer, Readiness, Stack};

/// Simulated time, chance from a seed, and a count of memory.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    now_us: AtomicU64,
    seed: AtomicU64,
    pub(crate) charged: AtomicUsize,
    pub(crate) refuse: AtomicBool,
    deadline: Mutex<Option<Duration>>,
}

impl Clock {
    pub(crate) fn seeded(seed: u64) -> Clock {
        Clock {
            seed: AtomicU64::new(seed),
            ..Clock::default()
        }
    }

    pub(crate) fn set(&self, now: Duration) {
        self.now_us
            .store(u64::try_from(now.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock {
    /// Lets time pass, with all that is due on the way.
    pub(crate) fn pass(&self, stack: &Stack, time: Duration) {
        let end = self.now() + time;
        while let Some(next) = self.deadline().filter(|next| *next <= end) {
            self.set(next.max(self.now()));
            stack.advance();
        }
        self.set(end);
        stack.advance();
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        *self.deadline.lock()
    }
}

impl Stack {
    /// Timers that wait.
    pub(crate) fn timers(&self) -> usize {
        self.core.timers.len()
    }

    /// Connections, those in `TIME_WAIT` too.
    pub(crate) fn connections(&self) -> usize {
        self.core.tcp.all().len()
    }
}

impl Embedder for Clock {
    fn now(&self) -> Duration {
        Duration::from_micros(self.now_us.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Duration {
        self.now() + Duration::from_secs(1 << 30)
    }

    fn random_u64(&self) -> u64 {
        let turn = self
            .seed
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (turn ^ (turn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    fn deadline(&self, earliest: Option<Duration>) {
        *self.deadline.lock() = earliest;
    }

    fn charge(&self, bytes: usize) -> bool {
        if self.refuse.load(Ordering::Relaxed) {
            return false;
        }
        self.charged.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    fn release(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Notes what it hears.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    heard: Mutex<Readiness>,
}

impl Observer for Ear {
    fn changed(&self, readiness: Readiness) {
        *self.heard.lock() |= readiness;
    }
}

impl Ear {
    /// What it heard since it was asked last.
    pub(crate) fn heard(&self) -> Readiness {
        std::mem::take(&mut *self.heard.lock())
    }
}

pub(crate) fn stack() -> (Arc<Stack>, Arc<Clock>) {
    let clock = Arc::new(Clock::default());
    (Stack::new(clock.clone(), Config::default()), clock)
}

/// What writes `bytes` into a socket.
pub(crate) fn from(bytes: &[u8]) -> impl FnMut(&mut [u8]) -> Result<usize, abi::Errno> {
    let mut at = 0;
    move |to| {
        let len = to.len().min(bytes.len() - at);
        to[..len].copy_from_slice(&bytes[at..at + len]);
        at += len;
        Ok(len)
    }
}
