//! The time-stamp counter beside the host's clocks.

#![expect(unsafe_code, reason = "reads the time-stamp counter")]

use core::arch::x86_64::{__cpuid, _mm_lfence, _rdtsc};

use rustix::time::{ClockId, clock_gettime};

/// The counter and the clocks at one moment, as nearly as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The counter.
    pub tsc: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub monotonic_ns: u64,
    /// `CLOCK_REALTIME` in nanoseconds.
    pub realtime_ns: u64,
    /// `CLOCK_BOOTTIME` in nanoseconds.
    pub boottime_ns: u64,
}

/// The counter now.
#[must_use]
pub fn read() -> u64 {
    // SAFETY: both instructions exist on every x86-64 processor and touch no memory. Linux lets processes
    // read the counter unless they asked it not to (prctl PR_SET_TSC), which nothing here does.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// Whether the counter runs at one rate in every power state (CPUID `8000_0007h`, EDX bit 8).
#[must_use]
pub fn is_invariant() -> bool {
    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 0x100 != 0
}

/// Whether `rdtscp` exists (CPUID `8000_0001h`, EDX bit 27). Linux keeps the processor's number in what it
/// reads beside the counter.
#[must_use]
pub fn has_rdtscp() -> bool {
    __cpuid(0x8000_0000).eax >= 0x8000_0001 && __cpuid(0x8000_0001).edx & (1 << 27) != 0
}

fn nanos(id: ClockId) -> u64 {
    let now = clock_gettime(id);
    let sec = u64::try_from(now.tv_sec).unwrap_or(0);
    sec * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Reads counter and clocks several times and gives the reading that took least.
#[must_use]
pub fn sample() -> Sample {
    const TRIES: usize = 8;
    let readings = (0..TRIES).map(|_| {
        let before = read();
        let monotonic_ns = nanos(ClockId::Monotonic);
        let after = read();
        let took = after.wrapping_sub(before);
        // Read last: the offset between the clocks hardly changes meanwhile.
        let offset_from = nanos(ClockId::Monotonic);
        let (realtime_ns, boottime_ns) = (nanos(ClockId::Realtime), nanos(ClockId::Boottime));
        let late = offset_from.saturating_sub(monotonic_ns);
        let sample = Sample {
            tsc: before.wrapping_add(took / 2),
            monotonic_ns,
            realtime_ns: realtime_ns.saturating_sub(late),
            boottime_ns: boottime_ns.saturating_sub(late),
        };
        (took, sample)
    });
    let best = readings.min_by_key(|(took, _)| *took);
    best.map(|(_, sample)| sample)
        .expect("there was at least one reading")
}
