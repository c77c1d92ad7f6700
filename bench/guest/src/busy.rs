//! Eight threads that compute and make a call now and then: how much of the machine's processors they get.

use std::hint::black_box;
use std::io;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::call;
use crate::rows::Place;

const NR_THREADS: u32 = 8;
/// Multiplications between two calls: about 200 µs.
const WORK: u64 = 120_000;
const BATCHES: u32 = 5;

/// The time of all threads together for one piece of work and a call by each, divided by their number: what one such
/// piece takes as long as every processor is busy.
pub(crate) fn eight_threads(place: &Place) -> io::Result<Vec<f64>> {
    let alone = Instant::now();
    piece()?;
    let rounds = rounds(place.timer.budget(), alone.elapsed());
    (0..BATCHES).map(|_| batch(rounds)).collect()
}

/// How often each thread works in a batch, so that it works for about `budget` in all: long beside its start.
fn rounds(budget: Duration, piece: Duration) -> u32 {
    let pieces = budget.as_nanos() / (piece.as_nanos().max(1) * u128::from(BATCHES));
    u32::try_from(pieces).unwrap_or(u32::MAX).max(4)
}

fn batch(rounds: u32) -> io::Result<f64> {
    let ready = Barrier::new(9);
    let work = || {
        ready.wait();
        (0..rounds).try_for_each(|_| piece())
    };
    let elapsed = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..NR_THREADS).map(|_| scope.spawn(work)).collect();
        ready.wait();
        let start = Instant::now();
        for thread in threads {
            let done = thread.join();
            done.map_err(|_| io::Error::other("a thread panicked"))??;
        }
        io::Result::Ok(start.elapsed())
    })?;
    Ok(elapsed.as_secs_f64() * 1e9 / f64::from(rounds * NR_THREADS))
}

/// A piece of work and a call.
fn piece() -> io::Result<()> {
    let mut value = black_box(1_u64);
    for index in 0..WORK {
        value = value.wrapping_mul(6_364_136_223_846_793_005) ^ index;
    }
    black_box(value);
    call::getppid()
}
