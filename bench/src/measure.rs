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

/// What the guest program measured, and what it complained of.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Values in their rows' units.
    pub(crate) values: Vec<(Row, f64)>,
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
    let output = command::run(&mut command, LIMIT)?;
    let values: Vec<(Row, f64)> = output.stdout.lines().filter_map(parse).collect();
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

/// Reads a line `ROW<tab>NANOSECONDS`; the value is in microseconds.
fn parse(line: &str) -> Option<(Row, f64)> {
    let (key, ns) = line.split_once('\t')?;
    let ns: f64 = ns.trim().parse().ok()?;
    Some((rows::find(key)?, ns / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn line_of_a_known_row_is_in_microseconds() {
        let (row, value) = parse("empty\t1250.0\r").unwrap();
        assert_eq!((row.key, value), ("empty", 1.25));
    }

    #[test]
    fn other_lines_are_no_values() {
        for line in ["", "empty", "empty\tx", "nothing\t1"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
