//! One family of tests, on the host and on every platform.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::process::{Command, Output};

fn matrix(args: &[&str]) -> Output {
    let mut report = Command::new(env!("CARGO_BIN_EXE_report"));
    report.args(["matrix", "--only", "read::"]).args(args);
    report.output().unwrap()
}

#[test]
fn one_family_passes_in_every_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("matrix.json");
    let output = matrix(&["--format", "json", "--output", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let places = json["places"].as_array().unwrap();
    assert!(places.len() >= 2, "{json}");
    assert_eq!(places[0]["name"], "host");
    for place in places {
        assert!(place["passed"].as_u64().unwrap() > 0, "{place}");
        assert_eq!(place["failed"], 0, "{place}");
    }
}
