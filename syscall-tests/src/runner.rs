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
    if let Err(failure) = settle().and_then(|()| open_standard_streams()) {
        println!("not ok runner {failure}");
        return 1;
    }
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

/// Takes back what whoever started this program may have set: ignored signals, as nohup(1) does, a mask of permissions, a
/// nice value (where that is allowed).
fn settle() -> Outcome {
    for signo in (1..32).filter(|signo| ![libc::SIGKILL, libc::SIGSTOP].contains(signo)) {
        signal::set_disposition(signo, libc::SIG_DFL)?;
    }
    sys!(SYS_umask, 0o022)?;
    let _ = sys!(SYS_setpriority, libc::PRIO_PROCESS, 0, 0);
    Ok(())
}

/// Opens `/dev/null` in place of standard streams that are closed: tests count on the numbers above 2.
fn open_standard_streams() -> Result<(), Failure> {
    for number in 0..3 {
        if sys!(SYS_fcntl, number, libc::F_GETFD).is_err() {
            let opened = sys!(SYS_openat, libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0)?;
            check_eq!(opened, number);
        }
    }
    Ok(())
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
