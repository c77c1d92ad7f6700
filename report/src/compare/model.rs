//! What a comparison holds. Its serialised form is the JSON, and the page shows nothing else.

use bench::Machine;
use serde::{Deserialize, Serialize};

use crate::compare::bare_metal::Expectation;
use crate::matrix::Matrix;

/// Everything.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// When and how it was made.
    pub(crate) run: Run,
    /// The machine.
    pub(crate) machine: Machine,
    /// What the runtime under test says of its platforms here, after trying each.
    pub(crate) platforms: Vec<SelfTest>,
    /// Who is compared, the host first.
    pub(crate) subjects: Vec<Subject>,
    /// Which is best for what, in words.
    pub(crate) reading: String,
    /// The classes of rows with what each subject costs in terms of the host.
    pub(crate) classes: Vec<Class>,
    /// What was measured.
    pub(crate) rows: Vec<Row>,
    /// A call by KVM's bare mechanism, in microseconds.
    pub(crate) probe: Option<Value>,
    /// What KVM should cost on bare metal.
    pub(crate) bare_metal: Option<Expectation>,
    /// The behaviour tests.
    pub(crate) tests: Matrix,
}

/// When and how a comparison was made.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The start in UTC, `2026-01-31T12:00:00Z`.
    pub(crate) date: String,
    /// How long it took, in seconds.
    pub(crate) seconds: u64,
    /// How often everything was measured.
    pub(crate) repetitions: u32,
    /// How long a row was measured in each repetition, in milliseconds.
    pub(crate) row_ms: u64,
    /// Whether it was brief, so that the figures are worth little.
    pub(crate) is_quick: bool,
    /// Only behaviour tests whose names contain this were run; all, if empty.
    pub(crate) only: String,
    /// The load averages at the end.
    pub(crate) load_at_end: String,
}

/// What the runtime says of a platform.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SelfTest {
    /// The platform's name.
    pub(crate) name: String,
    /// Whether it works here.
    pub(crate) works: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
}

/// Who is compared.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// The name.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// The program with its global flags; empty for the host.
    pub(crate) command: String,
    /// The first line of what it says of its version.
    pub(crate) version: String,
}

/// What a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The host itself.
    Host,
    /// A runtime whose containers share the host's kernel.
    SharedKernel,
    /// A runtime whose containers have a kernel of their own.
    Sandbox,
}

/// A class of rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Class {
    /// Its key, which its rows have.
    pub(crate) key: String,
    /// Its title.
    pub(crate) title: String,
    /// The rows that all subjects with any value in the class have: the means are of these.
    pub(crate) compared: Vec<String>,
    /// The geometric mean of each subject's costs in terms of the host; none without a value.
    pub(crate) cost: Vec<Option<f64>>,
}

/// A row with what was measured of each subject.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its key.
    pub(crate) key: String,
    /// Its title.
    pub(crate) title: String,
    /// The unit of its values.
    pub(crate) unit: String,
    /// Its class's key.
    pub(crate) class: String,
    /// Whether more is better.
    pub(crate) is_throughput: bool,
    /// A cell for each subject, in their order.
    pub(crate) cells: Vec<Cell>,
}

/// What was measured of a subject.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// The subject's name.
    pub(crate) subject: String,
    /// The value, if there is one.
    pub(crate) value: Option<Value>,
    /// The cost in terms of the host's.
    pub(crate) to_native: Option<f64>,
    /// The cost in terms of the first runtime's.
    pub(crate) to_first: Option<f64>,
    /// Why a sample is missing, or all.
    pub(crate) failure: Option<String>,
}

/// A value with its spread. Its samples are the medians of the repetitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Value {
    /// The median.
    pub(crate) median: f64,
    /// The lower quartile.
    pub(crate) lower: f64,
    /// The upper quartile.
    pub(crate) upper: f64,
    /// The smallest sample.
    pub(crate) min: f64,
    /// The largest sample.
    pub(crate) max: f64,
    /// How many samples there are.
    pub(crate) nr_samples: usize,
}

/// A number with six digits: as many as mean anything, and so few that reading them gives the same number back.
pub(crate) fn rounded(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

impl From<bench::Summary> for Value {
    fn from(summary: bench::Summary) -> Self {
        Self {
            median: rounded(summary.median),
            lower: rounded(summary.lower),
            upper: rounded(summary.upper),
            min: rounded(summary.min),
            max: rounded(summary.max),
            nr_samples: summary.count,
        }
    }
}

impl Value {
    /// Half the distance of the quartiles, in per cent of the median.
    pub(crate) fn spread_percent(&self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        (self.upper - self.lower) / 2.0 / self.median * 100.0
    }
}

impl Comparison {
    /// The row of this key.
    pub(crate) fn row(&self, key: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.key == key)
    }

    /// The rows of a class.
    pub(crate) fn rows_of<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.class == class)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Cell, Class, Comparison, Kind, Row, Subject, Value};

    /// A value without spread.
    pub(crate) fn exactly(median: f64) -> Value {
        Value {
            median,
            lower: median,
            upper: median,
            min: median,
            max: median,
            nr_samples: 1,
        }
    }

    #[test]
    fn rounded_number_survives_json() {
        for number in [1.0 / 3.0, 12_345_678.9, 0.000_123_456_7] {
            let rounded = super::rounded(number);
            let json = serde_json::to_string(&rounded).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&json).unwrap(), rounded);
            assert!((rounded / number - 1.0).abs() < 1e-5, "{json}");
        }
    }

    /// The host, a sandbox `quick`, and another with this name that failed at everything for this reason.
    pub(crate) fn sample(name: &str, reason: &str) -> Comparison {
        let kinds = [
            ("native", Kind::Host),
            ("quick-kvm", Kind::Sandbox),
            (name, Kind::Sandbox),
        ];
        let subject = |(name, kind): (&str, Kind)| Subject {
            name: name.to_owned(),
            kind,
            command: String::new(),
            version: name.to_owned(),
        };
        let rows = [
            ("empty", "call", "µs", 0.125, 40.5),
            ("read", "file", "µs", 0.5, 41.25),
            ("sha256sum", "program", "MiB/s", 300.0, 150.0),
            ("run", "sandbox", "ms", 1.5, 30.0),
        ];
        let mut comparison = Comparison {
            subjects: kinds.map(subject).into(),
            probe: Some(exactly(34.5)),
            tests: crate::matrix::tests::sample(),
            ..Comparison::default()
        };
        comparison.machine.is_virtual = true;
        for (key, class, unit, native, quick) in rows {
            let cell = |subject: &str, value: f64| Cell {
                subject: subject.to_owned(),
                value: Some(exactly(value)),
                to_native: Some(match unit {
                    "MiB/s" => native / value,
                    _ => value / native,
                }),
                ..Cell::default()
            };
            let failed = Cell {
                subject: name.to_owned(),
                failure: Some(reason.to_owned()),
                ..Cell::default()
            };
            comparison.rows.push(Row {
                key: key.to_owned(),
                title: key.to_owned(),
                unit: unit.to_owned(),
                class: class.to_owned(),
                is_throughput: unit == "MiB/s",
                cells: vec![cell("native", native), cell("quick-kvm", quick), failed],
            });
        }
        for key in ["call", "file", "program"] {
            let class = Class {
                key: key.to_owned(),
                title: key.to_owned(),
                compared: Vec::new(),
                cost: Vec::new(),
            };
            comparison.classes.push(class);
        }
        comparison.derive();
        comparison
    }
}
