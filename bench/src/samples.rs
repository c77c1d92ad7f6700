//! The numbers that were measured, by row and subject.

use std::collections::BTreeMap;

use crate::rows::{self, Row};
use crate::stats::Summary;

/// All samples of a run.
#[derive(Debug)]
pub(crate) struct Samples {
    subjects: Vec<String>,
    values: BTreeMap<(&'static str, String), Vec<f64>>,
}

impl Samples {
    /// None yet, of these subjects, the host first.
    pub(crate) fn new(subjects: Vec<String>) -> Self {
        Self {
            subjects,
            values: BTreeMap::new(),
        }
    }

    /// The subjects' names.
    pub(crate) fn subjects(&self) -> &[String] {
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

    /// One more sample, in the row's unit.
    pub(crate) fn add(&mut self, row: Row, subject: &str, value: f64) {
        let key = (row.key, subject.to_owned());
        self.values.entry(key).or_default().push(value);
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
