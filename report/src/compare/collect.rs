//! Measuring and testing, and putting the results together.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bench::{Effort, Machine, Samples};
use fixtures::command;
use fixtures::runtime::{self, Runtime};

use crate::compare::model::{Cell, Class, Comparison, Kind, Row, Run, SelfTest, Subject, rounded};
use crate::compare::{Options, ranking};
use crate::matrix;

/// The longest that a program may take to say something of itself.
const LIMIT: Duration = Duration::from_secs(60);

/// The classes of rows, by key and title.
const CLASSES: [(bench::Class, &str, &str); 6] = [
    (bench::Class::Call, "call", "Empty calls and clocks"),
    (bench::Class::File, "file", "Files and pipes"),
    (bench::Class::Memory, "memory", "Memory"),
    (bench::Class::Process, "process", "Processes and threads"),
    (bench::Class::Program, "program", "Real programs"),
    (bench::Class::Sandbox, "sandbox", "Start and idle"),
];

/// Measures, tests and describes.
///
/// # Errors
/// A program can't be built or run.
pub(super) fn collect(options: &Options) -> anyhow::Result<Comparison> {
    let effort = match options.quick {
        true => Effort::quick(),
        false => Effort::thorough(options.repetitions, options.row_ms),
    };
    let (start, date, machine) = (Instant::now(), date()?, Machine::read());
    let judged = Runtime::matrix().context("the runtime under test")?;
    let subjects = bench::subjects(true, &options.vs)?;
    let samples = bench::run(&effort, &subjects)?;
    let shown = shown(&subjects, &judged, &samples);
    let tests = matrix::collect(&shown, options.filter())?;
    let mut comparison = Comparison {
        run: Run {
            date,
            seconds: start.elapsed().as_secs(),
            repetitions: effort.repetitions,
            row_ms: effort.row_ms,
            is_quick: options.quick,
            only: options.filter().to_owned(),
            load_at_end: bench::load(),
        },
        machine,
        platforms: judged.first().map_or_else(Vec::new, self_test),
        subjects: subjects.iter().map(describe).collect(),
        rows: rows(&samples),
        probe: samples.probe().map(Into::into),
        tests,
        ..Comparison::default()
    };
    comparison.classes = classes(&comparison);
    comparison.derive();
    Ok(comparison)
}

impl Comparison {
    /// Fills in what follows from the rest.
    pub(super) fn derive(&mut self) {
        for index in 0..self.classes.len() {
            if let Some(key) = self.classes.get(index).map(|class| class.key.clone()) {
                let (compared, cost) = ranking::mean_costs(self, &key);
                if let Some(class) = self.classes.get_mut(index) {
                    (class.compared, class.cost) = (compared, cost);
                }
            }
        }
        self.bare_metal = super::bare_metal::expect(self);
        self.reading = ranking::in_words(self);
    }
}

/// The runtimes whose test results are shown and not judged. What could run nothing would only fail each test slowly.
fn shown(subjects: &[bench::Subject], judged: &[Runtime], samples: &Samples) -> Vec<Runtime> {
    let is_judged = |name: &str| judged.iter().any(|runtime| runtime.name() == name);
    let runs = |name: &str| {
        let mut rows = samples.rows().iter();
        rows.any(|row| !samples.get(*row, name).is_empty())
    };
    let others = subjects
        .iter()
        .filter(|subject| !is_judged(&subject.name) && runs(&subject.name));
    others.filter_map(|it| it.runtime.clone()).collect()
}

/// The time in UTC.
fn date() -> anyhow::Result<String> {
    let mut date = Command::new("date");
    date.args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]);
    let output = command::run(&mut date, LIMIT)?.success()?;
    Ok(output.stdout.trim().to_owned())
}

/// What the runtime says of its platforms; nothing if it has no such command.
fn self_test(runtime: &Runtime) -> Vec<SelfTest> {
    let mut help = Command::new(&runtime.program);
    help.args(["help", "platforms", "--format", "json"]);
    let output = command::run(&mut help, LIMIT).and_then(command::Output::success);
    let text = output.map(|output| output.stdout).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn describe(subject: &bench::Subject) -> Subject {
    let Some(runtime) = &subject.runtime else {
        return Subject {
            name: subject.name.clone(),
            kind: Kind::Host,
            command: String::new(),
            version: String::new(),
        };
    };
    let flags = runtime.flags();
    let words = runtime.program.file_name().into_iter();
    let words = words.chain(flags.iter().map(AsRef::as_ref));
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    Subject {
        name: subject.name.clone(),
        kind: match runtime.kind {
            runtime::Kind::Host => Kind::SharedKernel,
            runtime::Kind::Runsc | runtime::Kind::Gvisor => Kind::Sandbox,
        },
        command: words.join(" "),
        version: version(&runtime.program),
    }
}

/// The first line of what a program says of its version.
fn version(program: &Path) -> String {
    let output = command::run(Command::new(program).arg("--version"), LIMIT);
    let text = output.map(|output| output.stdout).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn rows(samples: &Samples) -> Vec<Row> {
    let cell = |row, subject: &String| Cell {
        subject: subject.clone(),
        value: samples.summary(row, subject).map(Into::into),
        to_native: samples.ratio(row, subject, samples.native()).map(rounded),
        to_first: samples
            .ratio(row, subject, samples.first_runtime())
            .map(rounded),
        failure: samples.failure(row, subject).map(str::to_owned),
    };
    let of = |row: &bench::Row| Row {
        key: row.key.to_owned(),
        title: row.title.to_owned(),
        unit: row.unit.symbol().to_owned(),
        class: class_key(row.class).to_owned(),
        is_throughput: row.unit.is_throughput(),
        cells: samples
            .subjects()
            .iter()
            .map(|subject| cell(*row, subject))
            .collect(),
    };
    samples.rows().iter().map(of).collect()
}

fn class_key(class: bench::Class) -> &'static str {
    let known = CLASSES.iter().find(|(known, ..)| *known == class);
    known.map_or("", |(_, key, _)| key)
}

/// The classes that have rows, without their means.
fn classes(comparison: &Comparison) -> Vec<Class> {
    let has_rows = |key: &str| comparison.rows_of(key).next().is_some();
    let class = |(_, key, title): &(bench::Class, &str, &str)| Class {
        key: (*key).to_owned(),
        title: (*title).to_owned(),
        compared: Vec::new(),
        cost: Vec::new(),
    };
    CLASSES
        .iter()
        .filter(|(_, key, _)| has_rows(key))
        .map(class)
        .collect()
}
