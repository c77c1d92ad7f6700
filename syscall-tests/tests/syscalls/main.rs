//! Runs the guest program of behaviour tests on the host kernel and inside the runtime under test.
//!
//! `$SYSCALL_TESTS` selects the tests whose names contain it, or one of several texts with commas between them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod coverage;
mod descriptors;
mod file_operations;
mod files;
mod native;
mod runtime;

use std::path::Path;

use fixtures::behaviour::{Expectations, Place, Results};
use fixtures::host_facts;

/// Runs the tests in a place, prints a summary, and panics with a list of what differs from the expectations.
fn check(place: &Place, program: &Path) {
    let name = place.name();
    let filter = Filter::from_environment();
    let results = place.run(program, &|test| filter.selects(test)).unwrap();
    assert!(!results.is_empty(), "no test has a name with {filter:?}");
    judge(&name, &name, &results, filter.selects_all());
}

/// What `$SYSCALL_TESTS` selects.
#[derive(Debug)]
struct Filter(Vec<String>);

impl Filter {
    fn from_environment() -> Filter {
        let texts = std::env::var("SYSCALL_TESTS").unwrap_or_default();
        let texts = texts.split(',').filter(|text| !text.is_empty());
        Filter(texts.map(str::to_owned).collect())
    }

    fn selects_all(&self) -> bool {
        self.0.is_empty()
    }

    fn selects(&self, test: &str) -> bool {
        self.selects_all() || self.0.iter().any(|text| test.contains(text))
    }
}

/// Compares results with the `expectations` of that name; panics with a list of what differs.
fn judge(name: &str, expectations: &str, results: &Results, complete: bool) {
    let verdict = Expectations::read(expectations)
        .unwrap()
        .judge(results, complete);
    println!(
        "{name}: {} passed, {} known differences, {} skipped",
        verdict.passed, verdict.known, verdict.skipped
    );
    assert!(
        verdict.problems.is_empty(),
        "{name}: {} problems, {} passed\n{}\nunusual facts of this host: {}",
        verdict.problems.len(),
        verdict.passed,
        verdict.problems.join("\n"),
        host_facts::unusual()
    );
}
