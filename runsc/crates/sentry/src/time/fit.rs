//! Fitting the time-stamp counter to the host's clocks: the numbers that the vDSO's page holds.
//!
//! A published clock never goes back: a new fit starts where the old one is now, and if that is ahead of
//! the host's clock, runs a little slower until the host has caught up.

use host::tsc::Sample;

/// What turns the counter into time: see [`vdso::parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) tsc_base: u64,
    /// Nanoseconds per tick, times 2³².
    pub(super) multiplier: u64,
    pub(super) monotonic_ns: u64,
    pub(super) realtime_ns: u64,
    pub(super) boottime_ns: u64,
}

/// A clock this far behind the host's, per second since the last fit, means that the counter is no clock.
const TOLERANCE_PPM: u64 = 200;

impl Fit {
    /// The line through two samples; none if they can't be told apart.
    pub(super) fn through(first: &Sample, now: &Sample) -> Option<Fit> {
        let ticks = now.tsc.checked_sub(first.tsc).filter(|ticks| *ticks > 0)?;
        let nanos = now.monotonic_ns.checked_sub(first.monotonic_ns)?;
        Some(Fit {
            tsc_base: now.tsc,
            multiplier: ratio(nanos, ticks)?,
            monotonic_ns: now.monotonic_ns,
            realtime_ns: now.realtime_ns,
            boottime_ns: now.boottime_ns,
        })
    }

    /// `CLOCK_MONOTONIC` as a reader computes it.
    pub(super) fn monotonic_at(&self, tsc: u64) -> u64 {
        let ticks = u128::from(tsc.saturating_sub(self.tsc_base));
        let nanos = (ticks * u128::from(self.multiplier)) >> vdso::parameters::SHIFT;
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.monotonic_ns.saturating_add(nanos)
    }

    /// This fit, made to go on from `old` without a step back: it meets the host's clock again in
    /// `horizon_ns`.
    pub(super) fn continuing(self, old: &Fit, horizon_ns: u64) -> Fit {
        let shown = old.monotonic_at(self.tsc_base);
        let ahead = shown.saturating_sub(self.monotonic_ns);
        if ahead == 0 {
            return self;
        }
        // Never slower than half.
        let slower = ahead.min(horizon_ns / 2);
        let part = u128::from(horizon_ns - slower);
        let multiplier = u128::from(self.multiplier) * part / u128::from(horizon_ns.max(1));
        Fit {
            multiplier: u64::try_from(multiplier).unwrap_or(self.multiplier),
            monotonic_ns: shown,
            realtime_ns: self.realtime_ns.saturating_add(ahead),
            boottime_ns: self.boottime_ns.saturating_add(ahead),
            ..self
        }
    }

    /// Whether the counter ran as this fit, made at `made`, said it would, up to `now`.
    pub(super) fn held(&self, now: &Sample) -> bool {
        let elapsed = now.monotonic_ns.saturating_sub(self.monotonic_ns);
        let error = self.monotonic_at(now.tsc).abs_diff(now.monotonic_ns);
        error <= 100_000 + elapsed / 1_000_000 * TOLERANCE_PPM
    }
}

fn ratio(nanos: u64, ticks: u64) -> Option<u64> {
    let scaled = (u128::from(nanos) << vdso::parameters::SHIFT) / u128::from(ticks);
    u64::try_from(scaled).ok().filter(|ratio| *ratio > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(tsc: u64, ns: u64) -> Sample {
        Sample {
            tsc,
            monotonic_ns: ns,
            realtime_ns: ns + 1_000_000_000,
            boottime_ns: ns,
        }
    }

    #[test]
    fn line_through_two_samples() {
        let fit = Fit::through(&sample(1000, 500), &sample(3_000_001_000, 1_000_000_500)).unwrap();
        assert_eq!(fit.monotonic_at(3_000_001_000), 1_000_000_500);
        let second_later = fit.monotonic_at(6_000_001_000);
        assert!(second_later.abs_diff(2_000_000_500) <= 1, "{second_later}");
    }

    #[test]
    fn never_goes_back() {
        let old = Fit::through(&sample(0, 0), &sample(1_000_000, 1_000_000)).unwrap();
        // The host's clock turned out to be slower.
        let fresh = Fit::through(&sample(0, 0), &sample(10_000_000, 9_990_000)).unwrap();
        let shown = old.monotonic_at(10_000_000);
        let next = fresh.continuing(&old, 1_000_000_000);
        assert!(next.monotonic_at(10_000_000) >= shown);
        // And they meet at the horizon.
        let host = fresh.monotonic_at(1_010_000_000);
        assert!(next.monotonic_at(1_011_000_000).abs_diff(host) < 2_000_000);
        assert!(next.multiplier < fresh.multiplier);
    }

    #[test]
    fn a_counter_that_jumps_does_not_hold() {
        let fit = Fit::through(&sample(0, 0), &sample(1_000_000, 1_000_000)).unwrap();
        assert!(fit.held(&sample(1_000_000_000, 1_000_000_000)));
        assert!(!fit.held(&sample(2_000_000_000, 1_000_000_000)));
    }
}
