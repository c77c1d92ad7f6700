//! The median of some samples and how far they spread.

/// What is said of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many there are.
    pub count: usize,
    /// The median.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The lower quartile.
    pub lower: f64,
    /// The upper quartile.
    pub upper: f64,
    /// What 95 of 100 don't exceed.
    pub p95: f64,
    /// The largest.
    pub max: f64,
    /// Half the distance between the quartiles.
    pub spread: f64,
}

impl Summary {
    /// The summary of at least one sample.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (lower, upper) = (quantile(&sorted, 25)?, quantile(&sorted, 75)?);
        Some(Self {
            count: sorted.len(),
            median: quantile(&sorted, 50)?,
            min,
            lower,
            upper,
            p95: quantile(&sorted, 95)?,
            max,
            spread: (upper - lower) / 2.0,
        })
    }

    /// The spread in per cent of the median.
    pub fn spread_percent(self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        self.spread / self.median * 100.0
    }
}

/// The value that `percent` of the sorted samples lie below, between two samples if need be.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let position = sorted.len().checked_sub(1)? * percent;
    let (index, rest) = (position / 100, u8::try_from(position % 100).ok()?);
    let low = *sorted.get(index)?;
    let high = sorted.get(index + 1).copied().unwrap_or(low);
    Some(low + (high - low) * f64::from(rest) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn median_of_an_even_number_lies_between() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((summary.median, summary.min, summary.max), (2.5, 1.0, 4.0));
    }

    #[test]
    fn spread_is_half_the_distance_of_the_quartiles() {
        let summary = Summary::of(&[10.0, 20.0, 30.0, 40.0, 50.0]).unwrap();
        assert_eq!((summary.median, summary.spread), (30.0, 10.0));
        assert_eq!((summary.lower, summary.upper), (20.0, 40.0));
        assert_eq!(summary.p95, 48.0);
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Summary::of(&[]), None);
    }
}
