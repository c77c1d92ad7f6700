//! The numbers that were measured, by row and subject, and why others are missing.

use std::collections::BTreeMap;

use crate::rows::{self, Row, Stage};
use crate::stats::Summary;

/// Values by row and subject.
type Values = BTreeMap<(&'static str, String), Vec<f64>>;

/// All samples of a run.
#[derive(Debug)]
pub struct Samples {
    rows: Vec<Row>,
    subjects: Vec<String>,
    values: Values,
    single: Values,
    failures: BTreeMap<(&'static str, String), String>,
    probe: Vec<f64>,
}

impl Samples {
    /// None yet, of these subjects, the host first, and of the rows of these stages.
    pub(crate) fn new(subjects: Vec<String>, stages: &[Stage]) -> Self {
        let mut rows = rows::ALL.to_vec();
        rows.retain(|row| stages.contains(&row.stage));
        Self {
            rows,
            subjects,
            values: Values::new(),
            single: Values::new(),
            failures: BTreeMap::new(),
            probe: Vec::new(),
        }
    }

    /// The rows that were asked for.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The subjects' names.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// What all others are compared with: the host.
    pub fn native(&self) -> &str {
        self.subjects.first().map_or("", String::as_str)
    }

    /// What the other runtimes are compared with: the first one.
    pub fn first_runtime(&self) -> &str {
        self.subjects.get(1).map_or("", String::as_str)
    }

    /// One more sample, in the row's unit: the median of what was measured in a repetition.
    pub(crate) fn add(&mut self, row: Row, subject: &str, measured: &[f64]) {
        if let Some(summary) = Summary::of(measured) {
            let key = (row.key, subject.to_owned());
            self.single.entry(key.clone()).or_default().extend(measured);
            self.values.entry(key).or_default().push(summary.median);
        }
    }

    /// Notes why a sample is missing.
    pub(crate) fn fail(&mut self, row: Row, subject: &str, why: &str) {
        let key = (row.key, subject.to_owned());
        self.failures
            .entry(key)
            .or_insert_with(|| why.trim_end_matches([' ', ':']).to_owned());
    }

    /// Why the first sample that is missing is.
    pub fn failure(&self, row: Row, subject: &str) -> Option<&str> {
        let key = (row.key, subject.to_owned());
        self.failures.get(&key).map(String::as_str)
    }

    /// One more measurement of KVM's bare mechanism, in microseconds.
    pub(crate) fn add_probe(&mut self, microseconds: f64) {
        self.probe.push(microseconds);
    }

    /// A call by KVM's bare mechanism, in microseconds; none where there is no KVM.
    pub fn probe(&self) -> Option<Summary> {
        Summary::of(&self.probe)
    }

    /// What an empty call takes on KVM, in terms of the bare mechanism, for each subject on that platform.
    pub fn ratios_to_probe(&self) -> impl Iterator<Item = (&str, f64)> {
        let on_kvm = self.subjects.iter().filter(|name| name.ends_with("-kvm"));
        on_kvm.filter_map(|name| Some((name.as_str(), self.ratio_to_probe(name)?)))
    }

    fn ratio_to_probe(&self, subject: &str) -> Option<f64> {
        let empty = self.summary(rows::find("empty")?, subject)?;
        let probe = self.probe()?;
        (probe.median > 0.0).then(|| empty.median / probe.median)
    }

    /// The summary of what was measured before medians of repetitions were taken.
    pub fn spread(&self, row: Row, subject: &str) -> Option<Summary> {
        Summary::of(self.single.get(&(row.key, subject.to_owned()))?)
    }

    /// The samples of a row and subject in the order of measurement.
    pub fn get(&self, row: Row, subject: &str) -> &[f64] {
        self.values
            .get(&(row.key, subject.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// Their summary; none if there are none.
    pub fn summary(&self, row: Row, subject: &str) -> Option<Summary> {
        Summary::of(self.get(row, subject))
    }

    /// How many times another's cost a subject's is: of medians of time or memory, their ratio; of throughput, the
    /// inverse.
    pub fn ratio(&self, row: Row, subject: &str, base: &str) -> Option<f64> {
        let base = self.summary(row, base)?.median;
        let median = self.summary(row, subject)?.median;
        let (cost, base) = match row.unit.is_throughput() {
            true => (base, median),
            false => (median, base),
        };
        (base > 0.0).then(|| cost / base)
    }

    /// Every pair of a row and a subject, rows first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Row, &str)> {
        self.rows
            .iter()
            .flat_map(|row| self.subjects.iter().map(move |name| (*row, name.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;
    use crate::rows::{self, Stage};

    #[test]
    fn half_the_throughput_is_twice_the_cost() {
        let names = ["native", "ours"].map(str::to_owned);
        let mut samples = Samples::new(names.to_vec(), &Stage::ALL);
        for (key, value) in [("empty", 3.0), ("sha256sum", 0.5)] {
            let row = rows::find(key).unwrap();
            samples.add(row, "native", &[1.0]);
            samples.add(row, "ours", &[value]);
        }
        let ratio = |key| samples.ratio(rows::find(key).unwrap(), "ours", "native");
        assert_eq!(ratio("empty"), Some(3.0));
        assert_eq!(ratio("sha256sum"), Some(2.0));
    }
}
