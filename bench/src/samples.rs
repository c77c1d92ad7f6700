//! The numbers that were measured, by row and subject.

use std::collections::BTreeMap;

use crate::rows::{self, Row};
use crate::stats::Summary;

/// Values by row and subject.
type Values = BTreeMap<(&'static str, String), Vec<f64>>;

/// All samples of a run.
#[derive(Debug)]
pub struct Samples {
    subjects: Vec<String>,
    values: Values,
    single: Values,
    probe: Vec<f64>,
}

impl Samples {
    /// None yet, of these subjects, the host first.
    pub(crate) fn new(subjects: Vec<String>) -> Self {
        Self {
            subjects,
            values: Values::new(),
            single: Values::new(),
            probe: Vec::new(),
        }
    }

    /// The subjects' names.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// What all others are compared with: the host.
    pub(crate) fn native(&self) -> &str {
        self.subjects.first().map_or("", String::as_str)
    }

    /// What the other runtimes are compared with: the first one.
    pub(crate) fn first_runtime(&self) -> &str {
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

    /// One more measurement of KVM's bare mechanism, in microseconds.
    pub(crate) fn add_probe(&mut self, microseconds: f64) {
        self.probe.push(microseconds);
    }

    /// A call by KVM's bare mechanism, in microseconds; none where there is no KVM.
    pub fn probe(&self) -> Option<Summary> {
        Summary::of(&self.probe)
    }

    /// What an empty call takes on KVM, in terms of the bare mechanism, for each subject on that platform.
    pub(crate) fn ratios_to_probe(&self) -> impl Iterator<Item = (&str, f64)> {
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
    pub(crate) fn get(&self, row: Row, subject: &str) -> &[f64] {
        self.values
            .get(&(row.key, subject.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// Their summary; none if there are none.
    pub(crate) fn summary(&self, row: Row, subject: &str) -> Option<Summary> {
        Summary::of(self.get(row, subject))
    }

    /// The ratio of a subject's median to another's.
    pub(crate) fn ratio(&self, row: Row, subject: &str, base: &str) -> Option<f64> {
        let base = self.summary(row, base)?.median;
        let median = self.summary(row, subject)?.median;
        (base > 0.0).then(|| median / base)
    }

    /// Every pair of a row and a subject, rows first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Row, &str)> {
        rows::ALL
            .into_iter()
            .flat_map(|row| self.subjects.iter().map(move |name| (row, name.as_str())))
    }
}
