//! The bench itself works: a quick run on the host and in the runtime under test fills every cell.

use std::fs;
use std::process::Command;

#[test]
fn quick_run_has_a_value_in_every_cell() {
    let out = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--quick", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{stderr}");
    let summary = fs::read_to_string(out.path().join("summary.csv")).unwrap();
    let lines: Vec<&str> = summary.lines().skip(1).collect();
    assert!(lines.len() >= 28, "{summary}");
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[3], "1", "{line}\n{stderr}");
        let value: f64 = fields[4].parse().unwrap();
        // What is idle may take no time at all.
        assert!(value > 0.0 || fields[0] == "idle_cpu", "{line}");
    }
    for name in ["table.md", "samples.csv", "chart.svg"] {
        assert!(out.path().join(name).exists(), "{name}");
    }
}
