//! The order of measurement: in each repetition every subject once, and another one first each time.

use std::time::Duration;

use anyhow::Context as _;

use crate::cli::Options;
use crate::rows::{self, Row};
use crate::samples::Samples;
use crate::scene::Scene;
use crate::subject::Subject;
use crate::{idle, measure, processes, start};

/// Starts of a sandbox in a repetition; their median is its sample.
const STARTS: usize = 3;

/// Measures everything. What fails is reported on standard error and has no sample.
///
/// # Errors
/// The guest program or a bundle can't be made.
pub(crate) fn run(options: &Options, subjects: &[Subject]) -> anyhow::Result<Samples> {
    let scene = Scene::new(options.row_ms())?;
    processes::adopt_orphans()?;
    let names = subjects.iter().map(|subject| subject.name.clone());
    let mut samples = Samples::new(names.collect());
    let mut order: Vec<&Subject> = subjects.iter().collect();
    for repetition in 1..=options.repetitions() {
        for subject in &order {
            say(&format!(
                "repetition {repetition}/{}: {}",
                options.repetitions(),
                subject.name
            ));
            one(options, &scene, subject, &mut samples)?;
        }
        order.rotate_left(1);
    }
    Ok(samples)
}

/// One repetition of one subject.
fn one(
    options: &Options,
    scene: &Scene,
    subject: &Subject,
    samples: &mut Samples,
) -> anyhow::Result<()> {
    let root = tempfile::Builder::new()
        .prefix("bench-state-")
        .tempdir()
        .context("make a state directory")?;
    match measure::measure(scene, subject, root.path(), options.row_ms()) {
        Ok(measured) => {
            for (row, value) in measured.values {
                samples.add(row, &subject.name, value);
            }
            for line in measured.complaints.lines() {
                say(&format!("{}: {line}", subject.name));
            }
        }
        Err(error) => say(&format!("{}: {error:#}", subject.name)),
    }
    processes::reap_orphans();
    let started = median_start(scene, subject, root.path());
    add(samples, rows::RUN, subject, started, |time| {
        time.as_secs_f64() * 1000.0
    });
    processes::reap_orphans();
    let pss = idle::pss_kib(scene, subject, root.path(), options.settle());
    add(samples, rows::IDLE, subject, pss, |kib| {
        f64::from(kib) / 1024.0
    });
    Ok(())
}

fn median_start(
    scene: &Scene,
    subject: &Subject,
    root: &std::path::Path,
) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(start::run_true(scene, subject, root)?);
    }
    times.sort();
    times.get(STARTS / 2).copied().context("no start")
}

/// Adds a result as a sample, or says why there is none.
fn add<T>(
    samples: &mut Samples,
    key: &str,
    subject: &Subject,
    result: anyhow::Result<T>,
    value: impl FnOnce(T) -> f64,
) {
    let row: Option<Row> = rows::find(key);
    match (row, result) {
        (Some(row), Ok(result)) => samples.add(row, &subject.name, value(result)),
        (_, Err(error)) => say(&format!("{}: {key}: {error:#}", subject.name)),
        (None, Ok(_)) => {}
    }
}

/// Progress and failures, apart from the results.
#[expect(clippy::print_stderr, reason = "the table is alone on standard output")]
fn say(text: &str) {
    eprintln!("bench: {text}");
}
