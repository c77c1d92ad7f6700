//! The syscall matrix: every behaviour test on the host kernel, on every platform, and in any other runtime, in one run.
//!
//! [`Matrix`] holds the results; [`text`] and [`junit`] show them, and JSON is its serialised form.

mod junit;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use fixtures::behaviour::{Expectations, Place, Results, TestResult};
use fixtures::build::{self, Linkage};
use fixtures::files::Files;
use fixtures::runtime::Runtime;
use serde::{Deserialize, Serialize};

/// What to run and what to write.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One more runtime: its name and its command line with global flags. Its failures are shown, but are nobody's fault.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Runtime::parse)]
    vs: Vec<Runtime>,
    /// Only the tests whose names contain this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to write it; standard output if not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A table, differences first.
    Text,
    /// Everything.
    Json,
    /// XML as continuous integration reads it, a suite for each place.
    Junit,
}

/// The results of all tests in all places.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Matrix {
    /// The places, the host first.
    pub(crate) places: Vec<PlaceSummary>,
    /// What came of each test in each place, by the names of both.
    pub(crate) tests: BTreeMap<String, BTreeMap<String, Outcome>>,
}

/// A place and the sum of what came of the tests there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlaceSummary {
    /// Its name.
    pub(crate) name: String,
    /// How many tests passed.
    pub(crate) passed: usize,
    /// How many failed.
    pub(crate) failed: usize,
    /// How many could not run there.
    pub(crate) skipped: usize,
    /// What differs and is not listed, a line each; none for a runtime that is only compared with.
    pub(crate) problems: Vec<String>,
}

/// What came of a test in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It could not run.
    Skipped,
}

/// What came of a test in a place, and why.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// What came of it.
    pub(crate) kind: Kind,
    /// What it said, unless it passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
    /// Why a difference is expected there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
}

/// Runs the tests and writes the report; the exit code is 1 if something differs that is not listed.
///
/// # Errors
/// A program can't be built or run.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let matrix = collect(&options.vs, &options.only)?;
    let text = match options.format {
        Format::Text => text::render(&matrix),
        Format::Json => format!("{:#}\n", serde_json::to_value(&matrix)?),
        Format::Junit => junit::render(&matrix),
    };
    crate::deliver(&text, options.output.as_deref())?;
    for problem in matrix.problems() {
        crate::say(&problem);
    }
    Ok(ExitCode::from(u8::from(matrix.problems().next().is_some())))
}

/// Runs the tests whose names contain `only` on the host, on every platform, and in the other runtimes.
///
/// # Errors
/// A program can't be built or run.
pub(crate) fn collect(others: &[Runtime], only: &str) -> anyhow::Result<Matrix> {
    let program = build::guest("syscall-tests", Linkage::StaticPie)?;
    let inside = |runtime| Place::Runtime(runtime, Files::Memory);
    let judged = std::iter::once(Place::Host)
        .chain(Runtime::matrix()?.into_iter().map(inside))
        .map(|place| (place, true));
    let shown = others.iter().cloned().map(|it| (inside(it), false));
    let mut matrix = Matrix::default();
    for (place, is_judged) in judged.chain(shown) {
        let name = place.name();
        crate::say(&format!("behaviour tests: {name}"));
        let results = place
            .run(&program, &|test| test.contains(only))
            .context(name.clone())?;
        matrix.add(&name, &results, is_judged.then_some(only.is_empty()))?;
    }
    Ok(matrix)
}

impl Matrix {
    /// Adds the results of a place; `complete` says whether all tests were run, and is none if it is not judged.
    fn add(
        &mut self,
        place: &str,
        results: &Results,
        complete: Option<bool>,
    ) -> anyhow::Result<()> {
        let expectations = Expectations::read(place)?;
        let count = |kind| {
            let kinds = results.values().map(Kind::of);
            kinds.filter(|it| *it == kind).count()
        };
        let judged = complete.map(|complete| expectations.judge(results, complete));
        self.places.push(PlaceSummary {
            name: place.to_owned(),
            passed: count(Kind::Passed),
            failed: count(Kind::Failed),
            skipped: count(Kind::Skipped),
            problems: judged.map_or_else(Vec::new, |verdict| verdict.problems),
        });
        for (test, result) in results {
            let outcome = Outcome {
                kind: Kind::of(result),
                detail: match result {
                    TestResult::Passed => String::new(),
                    TestResult::Failed(why) | TestResult::Skipped(why) => why.clone(),
                },
                expected: expectations.reason(test).map(str::to_owned),
            };
            let of_test = self.tests.entry(test.clone()).or_default();
            of_test.insert(place.to_owned(), outcome);
        }
        Ok(())
    }

    /// What differs and is not listed, a line each.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> {
        self.places.iter().flat_map(|place| {
            let line = |problem| format!("{}: {problem}", place.name);
            place.problems.iter().map(line)
        })
    }

    /// The tests that have not the same outcome everywhere.
    pub(crate) fn differences(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, Outcome>)> {
        let differ =
            |(name, outcomes)| is_uneven(outcomes).then_some((String::as_str(name), outcomes));
        self.tests.iter().filter_map(differ)
    }
}

fn is_uneven(outcomes: &BTreeMap<String, Outcome>) -> bool {
    let mut kinds = outcomes.values().map(|outcome| outcome.kind);
    let first = kinds.next();
    kinds.any(|kind| Some(kind) != first)
}

impl Kind {
    fn of(result: &TestResult) -> Self {
        match result {
            TestResult::Passed => Self::Passed,
            TestResult::Failed(_) => Self::Failed,
            TestResult::Skipped(_) => Self::Skipped,
        }
    }

    /// A word for people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::Skipped => "skip",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Kind, Matrix};
    use fixtures::behaviour::{Results, TestResult};

    /// Two places: `b` differs, and says something with markup.
    pub(crate) fn sample() -> Matrix {
        let results = |b| -> Results {
            [
                ("a::x".to_owned(), TestResult::Passed),
                ("b::y".to_owned(), b),
            ]
            .into()
        };
        let mut matrix = Matrix::default();
        let failed = TestResult::Failed("<got> \"1\" & 2".to_owned());
        matrix
            .add("host", &results(TestResult::Passed), Some(false))
            .unwrap();
        matrix.add("there", &results(failed), Some(false)).unwrap();
        matrix
    }

    #[test]
    fn failure_in_one_place_is_a_difference_and_a_problem() {
        let matrix = sample();
        let differences: Vec<_> = matrix.differences().collect();
        assert_eq!(differences.len(), 1);
        assert_eq!(differences[0].0, "b::y");
        assert_eq!(differences[0].1["there"].kind, Kind::Failed);
        let problems: Vec<_> = matrix.problems().collect();
        assert_eq!(problems, ["there: failed: b::y: <got> \"1\" & 2"]);
    }

    #[test]
    fn json_gives_the_same_back() {
        let text = serde_json::to_string(&sample()).unwrap();
        let matrix: Matrix = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&matrix).unwrap(), text);
    }
}
