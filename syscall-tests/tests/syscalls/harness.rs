//! Running the guest program and collecting a result per test, even if the kernel under test falls over on the way.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How long the program may be silent: longer than its own limit for a test.
const SILENCE: Duration = Duration::from_secs(40);
/// How often the program is started again after it ended early.
const MOST_RESTARTS: usize = 60;

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TestResult {
    /// It passed.
    Passed,
    /// It failed, for this reason.
    Failed(String),
    /// It could not run here, for this reason.
    Skipped(String),
}

/// Runs all tests of the program; `command` makes the command that runs the named ones.
///
/// If it ends before the last result, the next test without one has failed, and the rest is run again without it.
pub(crate) fn run_all(
    program: &Path,
    mut command: impl FnMut(&[String]) -> Command,
) -> BTreeMap<String, TestResult> {
    let list = Command::new(program).arg("list").output().unwrap();
    let filter = std::env::var("SYSCALL_TESTS").unwrap_or_default();
    let mut left: Vec<String> = String::from_utf8(list.stdout)
        .unwrap()
        .lines()
        .filter(|name| name.contains(&filter))
        .map(str::to_owned)
        .collect();
    let mut results = BTreeMap::new();
    let mut restarts = 0;
    while !left.is_empty() {
        let end = run_some(&mut command(&left), &mut results);
        left.retain(|name| !results.contains_key(name));
        if left.is_empty() {
            break;
        }
        restarts += 1;
        let reason = format!("no result: {end}");
        let lost = if restarts < MOST_RESTARTS {
            1
        } else {
            left.len()
        };
        for name in left.drain(..lost) {
            results.insert(name, TestResult::Failed(reason.clone()));
        }
    }
    results
}

/// Runs the command once and takes down the results that it prints; says how it ended.
fn run_some(command: &mut Command, results: &mut BTreeMap<String, TestResult>) -> String {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let lines = read_lines(&mut child);
    let mut other = Vec::new();
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => match parse(&line) {
                Some((name, result)) => {
                    results.insert(name, result);
                }
                None => other.push(line),
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                kill(&mut child);
                return format!("silent for {} s; {}", SILENCE.as_secs(), last_of(&other));
            }
        }
    }
    let status = child.wait().unwrap();
    format!("{status}; {}", last_of(&other))
}

fn last_of(lines: &[String]) -> String {
    lines
        .iter()
        .rev()
        .take(3)
        .rev()
        .cloned()
        .collect::<Vec<_>>()
        .join(" / ")
}

/// The lines of both outputs as they come.
fn read_lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let outputs: [Box<dyn std::io::Read + Send>; 2] = [
        Box::new(child.stdout.take().unwrap()),
        Box::new(child.stderr.take().unwrap()),
    ];
    for output in outputs {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                if sender
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
    }
    receiver
}

fn kill(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.wait();
}

fn parse(line: &str) -> Option<(String, TestResult)> {
    let split = |rest: &str| {
        let (name, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        (name.to_owned(), reason.to_owned())
    };
    if let Some(rest) = line.strip_prefix("not ok ") {
        let (name, reason) = split(rest);
        return Some((name, TestResult::Failed(reason)));
    }
    if let Some(rest) = line.strip_prefix("skip ") {
        let (name, reason) = split(rest);
        return Some((name, TestResult::Skipped(reason)));
    }
    line.strip_prefix("ok ")
        .map(|name| (name.to_owned(), TestResult::Passed))
}
