//! The order of measurement: in each repetition every subject once, and another one first each time.

use std::path::Path;

use anyhow::Context as _;

use crate::effort::Effort;
use crate::measure::{self, Measured};
use crate::programs::Programs;
use crate::rows::{self, Row, Stage};
use crate::samples::Samples;
use crate::scene::Scene;
use crate::subject::Subject;
use crate::{idle, probe, processes, start};

/// Starts of a sandbox in a repetition; their median is its sample.
const STARTS: usize = 3;

/// In what is measured, and how long.
#[derive(Debug)]
struct Setting<'a> {
    effort: &'a Effort,
    scene: Scene,
    programs: Programs,
}

/// Measures everything. What fails is reported on standard error and has no sample, but a reason.
///
/// # Errors
/// The guest program or a bundle can't be made.
pub(crate) fn run(effort: &Effort, subjects: &[Subject]) -> anyhow::Result<Samples> {
    let scene = Scene::new(effort.row_ms)?;
    let setting = Setting {
        effort,
        programs: Programs::new(effort, &scene.guest())?,
        scene,
    };
    processes::adopt_orphans()?;
    let names = subjects.iter().map(|subject| subject.name.clone());
    let mut samples = Samples::new(names.collect(), &effort.stages());
    let probe = subjects.iter().any(Subject::is_kvm).then(probe::build);
    let probe = probe.transpose()?;
    let mut order: Vec<&Subject> = subjects.iter().collect();
    for repetition in 1..=effort.repetitions {
        for subject in &order {
            say(&format!(
                "repetition {repetition}/{}: {}",
                effort.repetitions, subject.name
            ));
            one(&setting, subject, &mut samples)?;
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

/// One repetition of one subject. A stage that has had nothing but failures is not tried again: it may take minutes.
fn one(setting: &Setting<'_>, subject: &Subject, samples: &mut Samples) -> anyhow::Result<()> {
    let root = tempfile::Builder::new()
        .prefix("bench-state-")
        .tempdir()
        .context("make a state directory")?;
    // The host is still taking down what was measured last, a virtual machine for a second.
    std::thread::sleep(setting.effort.settle);
    for stage in setting.effort.stages() {
        let has_failed = |row| {
            let none = samples.get(row, &subject.name).is_empty();
            none && samples.failure(row, &subject.name).is_some()
        };
        if stage.rows().all(has_failed) {
            continue;
        }
        let measured = measure_stage(setting, stage, subject, root.path());
        take(samples, stage, subject, measured);
        processes::reap_orphans();
    }
    Ok(())
}

fn measure_stage(
    setting: &Setting<'_>,
    stage: Stage,
    subject: &Subject,
    root: &Path,
) -> anyhow::Result<Measured> {
    let (effort, scene) = (setting.effort, &setting.scene);
    match stage {
        Stage::Guest => measure::measure(scene, subject, root, effort.row_ms),
        Stage::Busybox | Stage::Debian => setting.programs.measure(stage, subject, root),
        Stage::Start => Ok(values([(rows::RUN, starts(scene, subject, root)?)])),
        Stage::Idle => {
            let idle = idle::cost(scene, subject, root, effort.settle)?;
            let memory = (rows::IDLE, vec![idle.mebibytes]);
            Ok(values([
                memory,
                (rows::IDLE_CPU, vec![idle.cpu_per_second]),
            ]))
        }
    }
}

/// The milliseconds of some starts.
fn starts(scene: &Scene, subject: &Subject, root: &Path) -> anyhow::Result<Vec<f64>> {
    let one = |_| Ok(start::run_true(scene, subject, root)?.as_secs_f64() * 1000.0);
    (0..STARTS).map(one).collect()
}

/// What was measured of these rows.
fn values<const N: usize>(measured: [(&str, Vec<f64>); N]) -> Measured {
    let of_row = |(key, values)| Some((rows::find(key)?, values));
    Measured {
        values: measured.into_iter().filter_map(of_row).collect(),
        complaints: String::new(),
    }
}

/// Adds what was measured in a stage, and why the rest was not.
fn take(
    samples: &mut Samples,
    stage: Stage,
    subject: &Subject,
    measured: anyhow::Result<Measured>,
) {
    let mut missing: Vec<Row> = stage.rows().collect();
    let why = match measured {
        Ok(measured) => {
            for (row, values) in measured.values {
                samples.add(row, &subject.name, &values);
                missing.retain(|other| other.key != row.key);
            }
            for line in measured.complaints.lines() {
                say(&format!("{}: {line}", subject.name));
                if let Some((row, why)) = complaint(line) {
                    samples.fail(row, &subject.name, why);
                }
            }
            "no result".to_owned()
        }
        Err(error) => {
            say(&format!("{}: {stage:?}: {error:#}", subject.name));
            format!("{error:#}")
        }
    };
    for row in missing {
        samples.fail(row, &subject.name, &why);
    }
}

/// Reads a line `bench-guest: ROW: REASON`.
fn complaint(line: &str) -> Option<(Row, &str)> {
    let (key, why) = line.strip_prefix("bench-guest: ")?.split_once(": ")?;
    Some((rows::find(key)?, why))
}

/// Progress and failures, apart from the results.
#[expect(clippy::print_stderr, reason = "the table is alone on standard output")]
fn say(text: &str) {
    eprintln!("bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::{complaint, take, values};
    use crate::rows::{self, Stage};
    use crate::samples::Samples;
    use crate::subject::Subject;

    #[test]
    fn complaint_names_its_row() {
        let (row, why) = complaint("bench-guest: pipe: Broken pipe: yes").unwrap();
        assert_eq!((row.key, why), ("pipe", "Broken pipe: yes"));
        assert!(complaint("pipe: no").is_none());
    }

    #[test]
    fn what_is_missing_has_a_reason() {
        let subject = Subject::native();
        let mut samples = Samples::new(vec![subject.name.clone()], &Stage::ALL);
        let idle = rows::find(rows::IDLE).unwrap();
        let cpu = rows::find(rows::IDLE_CPU).unwrap();
        let some = values([(rows::IDLE, vec![1.0])]);
        take(&mut samples, Stage::Idle, &subject, Ok(some));
        assert_eq!(samples.failure(idle, &subject.name), None);
        assert_eq!(samples.failure(cpu, &subject.name), Some("no result"));
        take(
            &mut samples,
            Stage::Start,
            &subject,
            Err(anyhow::anyhow!("gone")),
        );
        let run = rows::find(rows::RUN).unwrap();
        assert_eq!(samples.failure(run, &subject.name), Some("gone"));
    }
}
