//! The results as comma-separated values: every sample, and a summary.

use std::fmt::Write as _;

use crate::samples::Samples;

/// Every sample in the order of measurement.
pub(crate) fn samples(samples: &Samples) -> String {
    let mut text = "row,unit,runtime,repetition,value\n".to_owned();
    for (row, subject) in samples.pairs() {
        for (index, value) in samples.get(row, subject).iter().enumerate() {
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "{},{},{subject},{},{value}",
                row.key,
                row.unit.symbol(),
                index + 1
            );
        }
    }
    text
}

/// A line for each row and runtime; a field without a value is empty. The ratios are of costs, as in
/// [`Samples::ratio`].
pub(crate) fn summary(samples: &Samples) -> String {
    let mut text =
        "row,unit,runtime,samples,median,min,max,spread,ratio_to_native,ratio_to_first_runtime\n"
            .to_owned();
    for (row, subject) in samples.pairs() {
        let ratio = |base: &str| {
            let ratio = samples.ratio(row, subject, base);
            ratio.map_or_else(String::new, |ratio| ratio.to_string())
        };
        let numbers = samples.summary(row, subject).map_or_else(
            || "0,,,,".to_owned(),
            |it| {
                format!(
                    "{},{},{},{},{}",
                    it.count, it.median, it.min, it.max, it.spread
                )
            },
        );
        let _ = writeln!(
            text,
            "{},{},{subject},{numbers},{},{}",
            row.key,
            row.unit.symbol(),
            ratio(samples.native()),
            ratio(samples.first_runtime())
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::summary;
    use crate::rows::{self, Stage};
    use crate::samples::Samples;

    #[test]
    fn every_line_of_the_summary_has_all_fields() {
        let mut samples = Samples::new(
            vec!["native".to_owned(), "ours".to_owned()],
            &[Stage::Guest],
        );
        samples.add(rows::ALL[0], "native", &[1.0]);
        for line in summary(&samples).lines() {
            assert_eq!(line.split(',').count(), 10, "{line}");
        }
    }
}
