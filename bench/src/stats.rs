//! The median of some samples and how far they spread.

/// What is said of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// How many there are.
    pub(crate) count: usize,
    /// The median.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
    /// Half the distance between the quartiles.
    pub(crate) spread: f64,
}

impl Summary {
    /// The summary of at least one sample.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self {
            count: sorted.len(),
            median: quantile(&sorted, 2)?,
            min,
            max,
            spread: (quantile(&sorted, 3)? - quantile(&sorted, 1)?) / 2.0,
        })
    }

    /// The spread in per cent of the median.
    pub(crate) fn spread_percent(self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        self.spread / self.median * 100.0
    }
}

/// The value that `quarters` quarters of the sorted samples lie below, between two samples if need be.
fn quantile(sorted: &[f64], quarters: usize) -> Option<f64> {
    let position = sorted.len().checked_sub(1)? * quarters;
    let (index, rest) = (position / 4, position % 4);
    let low = *sorted.get(index)?;
    let high = sorted.get(index + 1).copied().unwrap_or(low);
    let part = [0.0, 0.25, 0.5, 0.75].get(rest).copied()?;
    Some(low + (high - low) * part)
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
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Summary::of(&[]), None);
    }
}
