//! The fuzzer itself works, and finds nothing in some seconds on each platform; hours are for `cargo run -p fuzz`.
//!
//! Needs root and overlayfs, as the fuzzer does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fixtures::runtime::Runtime;
use fuzz::Options;

/// Seeds of sessions of different kinds: see their summaries.
const SEEDS: [u64; 2] = [1014, 2001];

/// One session of this seed; the machine may be busy with other tests.
fn session(runtime: &Runtime, seed: u64, specs: bool, out: &Path) -> Options {
    Options {
        minutes: 0,
        platform: runtime.platform.clone(),
        seed: Some(seed),
        sessions: Some(1),
        seconds: 12,
        without: Vec::new(),
        trace: false,
        kill_limit: 30,
        specs,
        out: out.to_owned(),
    }
}

#[test]
fn nothing_is_found_in_short_sessions() {
    let out = tempfile::tempdir().unwrap();
    for runtime in Runtime::matrix().unwrap() {
        for seed in SEEDS {
            let options = session(&runtime, seed, false, out.path());
            assert_eq!(fuzz::run(&options).unwrap(), 0, "see the findings above");
        }
    }
}

#[test]
fn nothing_is_found_with_damaged_specs() {
    let out = tempfile::tempdir().unwrap();
    let runtime = &Runtime::matrix().unwrap()[0];
    for seed in SEEDS {
        let options = session(runtime, seed, true, out.path());
        assert_eq!(fuzz::run(&options).unwrap(), 0, "see the findings above");
    }
}

/// Every call that the Sentry's table has is described in the fuzzer's.
#[test]
fn every_system_call_is_made() {
    let described: BTreeSet<&str> = include_str!("../guest/src/calls.txt")
        .lines()
        .filter(|line| !line.starts_with(['#', '%', '$']))
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| name.trim_start_matches('~'))
        .collect();
    let runsc = fixtures::build::runsc().unwrap();
    let mut help = Command::new(runsc);
    help.args(["help", "syscalls"]);
    let output = fixtures::command::run(&mut help, Duration::from_secs(60)).unwrap();
    let table = output.success().unwrap().stdout;
    // A line is a number, a name and how far the call is supported.
    let names: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let missing: Vec<&&str> = names
        .iter()
        .filter(|name| !described.contains(*name))
        .collect();
    assert!(missing.is_empty(), "not in calls.txt: {missing:?}");
    assert!(names.len() > 300);
}
