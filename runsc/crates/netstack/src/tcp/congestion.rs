//! How much of a stream may be on its way: slow start, congestion avoidance by CUBIC (RFC 9438) or Reno (RFC 5681).
//!
//! The window counts bytes. A segment is `mss` bytes.

use std::time::Duration;

use crate::Congestion;

/// Segments that may be sent at first (RFC 6928).
const INITIAL: u64 = 10;
/// CUBIC's C, and what is left of the window after a loss, in thousandths.
const C: f64 = 0.4;
const BETA: f64 = 0.7;

/// The congestion window of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    algorithm: Congestion,
    window: u64,
    threshold: u64,
    mss: u64,
    /// Bytes that were acknowledged and did not add a segment to the window yet.
    acknowledged: u64,
    cubic: Cubic,
}

/// What CUBIC knows.
#[derive(Clone, Debug, Default)]
struct Cubic {
    /// The window before the last loss, in segments.
    before: f64,
    /// When the growth since the last loss began.
    began: Option<Duration>,
    /// Seconds from there to the window before the loss.
    k: f64,
    /// What Reno's window would be, in segments.
    reno: f64,
}

impl Control {
    pub(crate) fn new(algorithm: Congestion, mss: u32) -> Control {
        Control {
            algorithm,
            window: INITIAL * u64::from(mss),
            threshold: u64::MAX,
            mss: mss.into(),
            acknowledged: 0,
            cubic: Cubic::default(),
        }
    }

    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    pub(crate) fn threshold(&self) -> u64 {
        self.threshold
    }

    pub(crate) fn set_algorithm(&mut self, algorithm: Congestion) {
        self.algorithm = algorithm;
    }

    /// The size of segments changed.
    pub(crate) fn set_mss(&mut self, mss: u32) {
        let segments = (self.window / self.mss.max(1)).max(1);
        self.mss = u64::from(mss.max(1));
        self.window = segments * self.mss;
    }

    fn is_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    /// `bytes` were acknowledged while the window was used up.
    pub(crate) fn acknowledge(&mut self, mut bytes: u64, now: Duration, rtt: Duration) {
        if self.is_slow_start() {
            let grown = self
                .window
                .saturating_add(bytes)
                .min(self.threshold.max(self.window));
            bytes = bytes.saturating_sub(grown - self.window);
            self.window = grown;
        }
        if bytes == 0 {
            return;
        }
        match self.algorithm {
            Congestion::Reno => self.grow_by_segment_per(bytes, self.window),
            Congestion::Cubic => {
                let per = self.bytes_per_segment(bytes, now, rtt);
                self.grow_by_segment_per(bytes, per);
            }
        }
    }

    /// Adds a segment to the window for each `per` bytes.
    fn grow_by_segment_per(&mut self, bytes: u64, per: u64) {
        self.acknowledged += bytes;
        let per = per.max(self.mss);
        self.window = self
            .window
            .saturating_add(self.acknowledged / per * self.mss);
        self.acknowledged %= per;
    }

    /// For how many acknowledged bytes CUBIC adds a segment.
    fn bytes_per_segment(&mut self, bytes: u64, now: Duration, rtt: Duration) -> u64 {
        let segments = float(self.window) / float(self.mss);
        let cubic = &mut self.cubic;
        let began = *cubic.began.get_or_insert_with(|| {
            if cubic.before < segments {
                (cubic.before, cubic.k) = (segments, 0.0);
            } else {
                cubic.k = ((cubic.before - segments) / C).cbrt();
            }
            cubic.reno = segments;
            now
        });
        let elapsed = now.saturating_sub(began) + rtt;
        let ahead = elapsed.as_secs_f64() - cubic.k;
        let target = (C * ahead.powi(3) + cubic.before).clamp(segments, segments * 1.5);
        // The window that Reno would have; CUBIC is never slower (RFC 9438, 4.3).
        cubic.reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) * float(bytes) / float(self.window);
        let target = target.max(cubic.reno);
        let per = if target > segments {
            segments / (target - segments)
        } else {
            100.0 * segments
        };
        whole(per * float(self.mss))
    }

    /// Loss was seen: the window shrinks (RFC 9438, 4.6).
    pub(crate) fn reduce(&mut self) {
        let segments = float(self.window) / float(self.mss);
        let kept = match self.algorithm {
            Congestion::Reno => self.window / 2,
            Congestion::Cubic => {
                // Fast convergence: a flow that lost before it reached its last window leaves room.
                let is_less = segments < self.cubic.before;
                self.cubic.before = if is_less {
                    segments * (1.0 + BETA) / 2.0
                } else {
                    segments
                };
                whole(float(self.window) * BETA)
            }
        };
        self.cubic.began = None;
        self.threshold = kept.max(2 * self.mss);
        self.window = self.threshold;
        self.acknowledged = 0;
    }

    /// Nothing was acknowledged in time: all starts again with one segment.
    pub(crate) fn collapse(&mut self) {
        self.reduce();
        self.window = self.mss;
    }

    /// The loss was none.
    pub(crate) fn undo(&mut self, window: u64, threshold: u64) {
        self.window = self.window.max(window);
        self.threshold = threshold;
    }

    /// Nothing was sent for a while: the window is what it was at first (RFC 2861, RFC 5681, 4.1).
    pub(crate) fn restart(&mut self) {
        self.window = self.window.min(INITIAL * self.mss);
        self.cubic.began = None;
    }
}

#[expect(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is meant"
)]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Control;
    use crate::Congestion;

    const RTT: Duration = Duration::from_millis(100);

    #[test]
    fn slow_start_doubles() {
        let mut control = Control::new(Congestion::Cubic, 1000);
        control.acknowledge(10_000, RTT, RTT);
        assert_eq!(control.window(), 20_000);
    }

    #[test]
    fn reno_halves_and_adds_a_segment_each_round() {
        let mut control = Control::new(Congestion::Reno, 1000);
        control.reduce();
        assert_eq!(control.window(), 5000);
        control.acknowledge(5000, RTT, RTT);
        assert_eq!(control.window(), 6000);
    }

    #[test]
    fn cubic_comes_back_to_the_window_before_the_loss() {
        let mut control = Control::new(Congestion::Cubic, 1000);
        control.acknowledge(90_000, RTT, RTT);
        control.reduce();
        assert_eq!(control.window(), 70_000);
        // K is the cube root of 30 / 0.4: 4.2 seconds.
        let mut now = RTT;
        let mut at_k = 0;
        for _ in 0..80 {
            now += RTT;
            control.acknowledge(control.window(), now, RTT);
            if now < Duration::from_millis(4300) {
                at_k = control.window();
            }
        }
        assert!((95_000..=105_000).contains(&at_k), "{at_k}");
        assert!(control.window() > 110_000);
    }

    #[test]
    fn a_timeout_leaves_one_segment() {
        let mut control = Control::new(Congestion::Cubic, 1000);
        control.collapse();
        assert_eq!((control.window(), control.threshold()), (1000, 7000));
    }
}
