//! The order of measurement: in each repetition every subject once, and another one first each time.

use std::path::Path;

use anyhow::Context as _;

use crate::cli::Options;
use crate::rows;
use crate::samples::Samples;
use crate::scene::Scene;
use crate::subject::Subject;
use crate::{idle, measure, probe, processes, start};

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
    let probe = subjects.iter().any(Subject::is_kvm).then(probe::build);
    let probe = probe.transpose()?;
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
        match probe.as_deref().map(probe::microseconds) {
            Some(Ok(microseconds)) => samples.add_probe(microseconds),
            Some(Err(error)) => say(&format!("KVM's bare mechanism: {error:#}")),
            None => {}
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
            for (row, values) in measured.values {
                samples.add(row, &subject.name, &values);
            }
            for line in measured.complaints.lines() {
                say(&format!("{}: {line}", subject.name));
            }
        }
        Err(error) => say(&format!("{}: {error:#}", subject.name)),
    }
    processes::reap_orphans();
    match starts(scene, subject, root.path()) {
        Ok(times) => add(samples, rows::RUN, subject, &times),
        Err(error) => say(&format!("{}: {}: {error:#}", subject.name, rows::RUN)),
    }
    processes::reap_orphans();
    match idle::cost(scene, subject, root.path(), options.settle()) {
        Ok(idle) => {
            add(samples, rows::IDLE, subject, &[idle.mebibytes]);
            add(samples, rows::IDLE_CPU, subject, &[idle.cpu_per_second]);
        }
        Err(error) => say(&format!("{}: {}: {error:#}", subject.name, rows::IDLE)),
    }
    Ok(())
}

/// The milliseconds of some starts.
fn starts(scene: &Scene, subject: &Subject, root: &Path) -> anyhow::Result<Vec<f64>> {
    let one = |_| Ok(start::run_true(scene, subject, root)?.as_secs_f64() * 1000.0);
    (0..STARTS).map(one).collect()
}

/// Adds what was measured in a repetition, in the row's unit.
fn add(samples: &mut Samples, key: &str, subject: &Subject, measured: &[f64]) {
    if let Some(row) = rows::find(key) {
        samples.add(row, &subject.name, measured);
    }
}

/// Progress and failures, apart from the results.
#[expect(clippy::print_stderr, reason = "the table is alone on standard output")]
fn say(text: &str) {
    eprintln!("bench: {text}");
}
