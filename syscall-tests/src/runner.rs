//! Runs tests, each in a forked child in a process group of its own, with a time limit.

use std::io::Write as _;

use crate::case::{Case, Failure, Outcome};
use crate::support::process::{self, Waited};
use crate::support::signal;
use crate::tests;

/// The longest a test may take.
const TIME_LIMIT_MS: i32 = 20_000;

/// Runs the named tests, or all; returns the number of failures, at most 100.
pub(crate) fn run(names: &[String]) -> i32 {
    let mut failures = 0;
    for name in names {
        if !tests::all().any(|case| selects(name, case)) {
            println!("not ok {name} there is no such test");
            failures += 1;
        }
    }
    for case in tests::all() {
        if names.is_empty() || names.iter().any(|name| selects(name, case)) {
            failures += i32::from(!report(case, &run_case(case)));
        }
    }
    failures.min(100)
}

/// Whether this argument names this test or its family.
fn selects(argument: &str, case: &Case) -> bool {
    argument == case.name() || (argument.ends_with("::") && case.name().starts_with(argument))
}

/// Prints the result; false means that the test failed.
fn report(case: &Case, outcome: &Outcome) -> bool {
    match outcome {
        Ok(()) => println!("ok {}", case.name()),
        Err(Failure::Skipped(why)) => println!("skip {} {why}", case.name()),
        Err(Failure::Failed(reason)) => {
            println!("not ok {} {}", case.name(), reason.replace('\n', " "));
        }
    }
    // A failure to print shows as a missing line.
    let _ = std::io::stdout().flush();
    !matches!(outcome, Err(Failure::Failed(_)))
}

/// Runs one test in a child and collects what it reported.
fn run_case(case: &Case) -> Outcome {
    let mut child = process::Reporting::spawn(|| {
        process::new_group();
        // Whoever started this may ignore some, as nohup(1) does.
        for signo in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            signal::set_disposition(signo, libc::SIG_DFL)?;
        }
        (case.run)()
    })?;
    let outcome = child.finish(TIME_LIMIT_MS);
    child.kill_group();
    match outcome {
        Ok(Waited::Reported(outcome)) => outcome,
        Ok(Waited::Died(status)) => fail!("the test's process ended with {status}"),
        Ok(Waited::TimedOut) => fail!("no result after {} s", TIME_LIMIT_MS / 1000),
        Err(failure) => Err(failure),
    }
}
