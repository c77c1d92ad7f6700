//! The rows that the guest program measures by itself, in one process of the host or one container.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::bail;
use fixtures::command;

use crate::rows::{self, Row};
use crate::scene::Scene;
use crate::subject::Subject;

/// The longest that all rows together may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What a program measured, and what it complained of.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Values in their rows' units, one for each batch of operations.
    pub(crate) values: Vec<(Row, Vec<f64>)>,
    /// Rows that it could not measure, one a line.
    pub(crate) complaints: String,
}

/// Runs the guest program.
///
/// # Errors
/// It can't be run, or measured nothing.
pub(crate) fn measure(
    scene: &Scene,
    subject: &Subject,
    root: &Path,
    row_ms: u64,
) -> anyhow::Result<Measured> {
    let mut command = match subject.command(root) {
        Some(mut runtime) => {
            runtime.args(["run", "--bundle"]);
            runtime.arg(scene.measure.path()).arg("bench-measure");
            runtime
        }
        None => native(scene, row_ms),
    };
    run(&mut command)
}

/// Runs a command that prints a line for each row that it measures.
///
/// # Errors
/// It can't be run, or measured nothing.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Measured> {
    let output = command::run(command, LIMIT)?;
    let values: Vec<_> = output.stdout.lines().filter_map(parse).collect();
    if values.is_empty() {
        bail!("exit code {}: {}", output.code, output.stderr.trim());
    }
    Ok(Measured {
        values,
        complaints: output.stderr,
    })
}

fn native(scene: &Scene, row_ms: u64) -> Command {
    let mut command = Command::new(scene.guest());
    command
        .args(["measure", &row_ms.to_string()])
        .args([scene.tmpfs(), scene.measure.rootfs()]);
    command
}

/// Reads a line `ROW<tab>NANOSECONDS…`; the values are in microseconds.
fn parse(line: &str) -> Option<(Row, Vec<f64>)> {
    let (key, all) = line.split_once('\t')?;
    let microseconds = |ns: &str| Some(ns.parse::<f64>().ok()? / 1000.0);
    let values: Option<Vec<f64>> = all.split_whitespace().map(microseconds).collect();
    Some((rows::find(key)?, values.filter(|it| !it.is_empty())?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn line_of_a_known_row_is_in_microseconds() {
        let (row, values) = parse("empty\t1250.0 2500\r").unwrap();
        assert_eq!((row.key, values), ("empty", vec![1.25, 2.5]));
    }

    #[test]
    fn other_lines_are_no_values() {
        for line in ["", "empty", "empty\tx", "empty\t", "nothing\t1"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
