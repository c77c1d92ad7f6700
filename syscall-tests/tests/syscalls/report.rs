//! Compares results with expectations.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::harness::TestResult;

/// Known differences of a runtime: test and reason.
#[derive(Debug)]
pub(crate) struct Expectations(BTreeMap<String, String>);

impl Expectations {
    /// No known difference.
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads `expectations/<runtime>.txt`; a runtime without a file has none.
    pub(crate) fn read(runtime: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("expectations")
            .join(format!("{runtime}.txt"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let split = |line: &str| {
            let (name, reason) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("no reason: {line}"));
            (name.to_owned(), reason.to_owned())
        };
        Self(lines.map(split).collect())
    }
}

/// Prints a summary, and panics with a list of what differs from the expectations.
pub(crate) fn check(
    name: &str,
    results: &BTreeMap<String, TestResult>,
    expectations: &Expectations,
) {
    let mut problems = String::new();
    let (mut passed, mut known, mut skipped) = (0, 0, 0);
    for (test, result) in results {
        match (result, expectations.0.get(test)) {
            (TestResult::Passed, None) => passed += 1,
            (TestResult::Failed(_), Some(_)) => known += 1,
            (TestResult::Passed, Some(reason)) if reason.starts_with("sometimes: ") => known += 1,
            (TestResult::Skipped(_), _) => skipped += 1,
            (TestResult::Passed, Some(reason)) => {
                let _ = writeln!(problems, "unexpected pass: {test} (listed: {reason})");
            }
            (TestResult::Failed(reason), None) => {
                let _ = writeln!(problems, "failed: {test}: {reason}");
            }
        }
    }
    // A filtered run does not see every test.
    let filtered = std::env::var_os("SYSCALL_TESTS").is_some();
    for test in expectations
        .0
        .keys()
        .filter(|test| !filtered && !results.contains_key(*test))
    {
        let _ = writeln!(problems, "listed, but there is no such test: {test}");
    }
    println!("{name}: {passed} passed, {known} known differences, {skipped} skipped");
    let count = problems.lines().count();
    assert!(
        count == 0,
        "{name}: {count} problems, {passed} passed\n{problems}"
    );
}
