//! How long one operation takes: batches that grow until the clock's own cost is nothing beside them.

use std::io;
use std::time::{Duration, Instant};

/// Batches that count.
const BATCHES: u32 = 7;
/// The most operations in a batch, so that a clock that stands still does not hang the bench.
const MOST: u32 = 1 << 28;

/// Measures operations for about a given time each.
#[derive(Debug)]
pub(crate) struct Timer {
    batch: Duration,
}

impl Timer {
    /// Spends about `budget` on a row, and as much on finding the size of a batch.
    pub(crate) fn new(budget: Duration) -> Self {
        Self {
            batch: budget / BATCHES,
        }
    }

    /// What is spent on a row.
    pub(crate) fn budget(&self) -> Duration {
        self.batch * BATCHES
    }

    /// The nanoseconds that one operation takes, of each batch.
    ///
    /// # Errors
    /// The operation's.
    pub(crate) fn measure(
        &self,
        mut operation: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Vec<f64>> {
        let mut count = 1_u32;
        while count < MOST && time(count, &mut operation)? < self.batch {
            count *= 2;
        }
        let mut batches = Vec::new();
        for _ in 0..BATCHES {
            let elapsed = time(count, &mut operation)?;
            batches.push(elapsed.as_secs_f64() * 1e9 / f64::from(count));
        }
        Ok(batches)
    }
}

fn time(count: u32, operation: &mut impl FnMut() -> io::Result<()>) -> io::Result<Duration> {
    let start = Instant::now();
    for _ in 0..count {
        operation()?;
    }
    Ok(start.elapsed())
}
