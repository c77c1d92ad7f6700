//! The kernel's table names tests for each call that it has in full: they exist, and make the call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fixtures::build::{self, Linkage};
use fixtures::command;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// A call of the table: its number, its name and the tests that are said to make it.
struct Call {
    number: u64,
    name: String,
    tests: Vec<String>,
}

fn output(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    command::run(&mut command, LIMIT)
        .unwrap()
        .success()
        .unwrap()
        .stdout
}

fn table() -> Vec<Call> {
    let text = output(
        &build::runsc().unwrap(),
        &["help", "syscalls", "--format", "json"],
    );
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let call = |row: &Value| Call {
        number: row["number"].as_u64().unwrap(),
        name: row["name"].as_str().unwrap().to_owned(),
        tests: serde_json::from_value(row["tests"].clone()).unwrap(),
    };
    rows.iter().map(call).collect()
}

/// The calls that a test makes on the host kernel, as strace(1) names them.
fn calls_of(program: &Path, test: &str, record: &Path) -> BTreeSet<String> {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o"])
        .arg(record)
        .arg(program)
        .args(["run", test]);
    command::run(&mut strace, LIMIT).expect("strace(1) runs");
    let text = String::from_utf8_lossy(&std::fs::read(record).unwrap()).into_owned();
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    // The runner comes first; a test is a child of it.
    let runner = lines.next().map(|(pid, _)| pid).unwrap_or_default();
    lines
        .filter(|(pid, _)| *pid != runner)
        .filter_map(|(_, call)| call.trim_start().split_once('('))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn named_tests_make_the_calls() {
    let filter = crate::Filter::from_environment();
    let program = build::guest("syscall-tests", Linkage::Static).unwrap();
    let listed = output(&program, &["list"]);
    let known: BTreeSet<&str> = listed.lines().collect();
    let mut wanted: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for Call {
        number,
        name,
        tests,
    } in table()
    {
        for test in tests.into_iter().filter(|test| filter.selects(test)) {
            assert!(
                known.contains(test.as_str()),
                "{name}: there is no test {test}"
            );
            let call = Call {
                number,
                name: name.clone(),
                tests: Vec::new(),
            };
            wanted.entry(test).or_default().push(call);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let record = directory.path().join("record");
    let mut missing = Vec::new();
    for (test, calls) in &wanted {
        let made = calls_of(&program, test, &record);
        let is_made = |call: &Call| {
            // Calls that strace does not know are printed by number.
            made.contains(&call.name) || made.contains(&format!("syscall_{:#x}", call.number))
        };
        let not_made = calls.iter().filter(|call| !is_made(call));
        missing.extend(not_made.map(|call| format!("{test} does not make {}", call.name)));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
