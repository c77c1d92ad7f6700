//! How long an acknowledgement takes, and when it is overdue (RFC 6298, with Linux's bounds).

use std::collections::VecDeque;
use std::time::Duration;

/// Least time before a retransmission.
pub(crate) const MIN_RTO: Duration = Duration::from_millis(200);
/// Most time between two.
pub(crate) const MAX_RTO: Duration = Duration::from_secs(120);
/// The time before anything was measured.
pub(crate) const INITIAL_RTO: Duration = Duration::from_secs(1);
/// The least round trip is sought in such a stretch of time (`tcp_min_rtt_wlen`).
const MIN_WINDOW: Duration = Duration::from_secs(300);

/// Round trips of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    /// Candidates for the least one, each less than those after it, with their times.
    least: VecDeque<(Duration, Duration)>,
}

impl Rtt {
    /// Takes a measurement at `now`.
    pub(crate) fn sample(&mut self, rtt: Duration, now: Duration) {
        let rtt = rtt.max(Duration::from_micros(1));
        match self.smoothed {
            None => {
                self.smoothed = Some(rtt);
                self.variation = rtt / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(rtt)) / 4;
                self.smoothed = Some((smoothed * 7 + rtt) / 8);
            }
        }
        while self.least.back().is_some_and(|(least, _)| *least >= rtt) {
            self.least.pop_back();
        }
        while self.least.len() > 3
            || self
                .least
                .front()
                .is_some_and(|(_, at)| *at + MIN_WINDOW < now)
        {
            self.least.pop_front();
        }
        self.least.push_back((rtt, now));
    }

    /// The smoothed round trip; none was measured yet.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    pub(crate) fn variation(&self) -> Duration {
        self.variation
    }

    /// The least round trip of the last minutes.
    pub(crate) fn least(&self) -> Option<Duration> {
        self.least.front().map(|(least, _)| *least)
    }

    /// The time after which a segment counts as lost, after so many time-outs in a row.
    pub(crate) fn timeout(&self, backoff: u32) -> Duration {
        let base = match self.smoothed {
            None => INITIAL_RTO,
            // Linux adds at least the least time to the round trip itself.
            Some(smoothed) => smoothed + (self.variation * 4).max(MIN_RTO),
        };
        base.saturating_mul(1 << backoff.min(16)).min(MAX_RTO)
    }
}

/// How long Linux goes on with `retries` retransmissions (`tcp_retries2` in `Documentation/networking/ip-sysctl.rst`).
pub(crate) fn patience(retries: u8) -> Duration {
    const DOUBLINGS: u32 = 9;
    let retries = u32::from(retries);
    let doubled = MIN_RTO * ((2 << retries.min(DOUBLINGS)) - 1);
    doubled + MAX_RTO * retries.saturating_sub(DOUBLINGS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rtt, patience};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_timeout_follows_the_round_trip() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(0), ms(1000));
        assert_eq!(rtt.timeout(2), ms(4000));
        rtt.sample(ms(100), ms(0));
        assert_eq!((rtt.smoothed(), rtt.variation()), (Some(ms(100)), ms(50)));
        assert_eq!(rtt.timeout(0), ms(300));
        for at in 0..100 {
            rtt.sample(ms(100), ms(at));
        }
        assert_eq!(rtt.timeout(0), ms(300));
        assert_eq!(rtt.timeout(30), Duration::from_secs(120));
    }

    #[test]
    fn the_least_round_trip_is_forgotten() {
        let mut rtt = Rtt::default();
        rtt.sample(ms(10), ms(0));
        rtt.sample(ms(20), ms(1));
        assert_eq!(rtt.least(), Some(ms(10)));
        rtt.sample(ms(30), ms(300_001));
        assert_eq!(rtt.least(), Some(ms(20)));
    }

    #[test]
    fn patience_is_linuxs() {
        assert_eq!(patience(15), ms(924_600));
        assert_eq!(patience(3), ms(3000));
    }
}
