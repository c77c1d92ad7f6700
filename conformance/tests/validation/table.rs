//! The table of cases and runtimes, and the run as TAP: made from runs of this very program.
//!
//! - `cargo test -p conformance --test validation -- --ignored table_of` writes `conformance/README.md`: a row per topic and
//!   a line per case that differs, for the runtime of this workspace and for those of `TABLE_RUNTIMES` (default `runc`).
//! - `cargo test -p conformance --test validation -- --ignored --nocapture as_tap` prints TAP.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use fixtures::build::workspace;

use crate::common::runtime_name;

/// How one case went.
#[derive(Clone, Debug, Default, PartialEq)]
struct Outcome {
    passed: bool,
    /// Why the runtime does something else than the sentence says.
    differs: Option<String>,
}

/// By topic and name.
type Run = BTreeMap<String, Outcome>;

fn run(runtime: Option<&str>) -> Run {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--show-output", "--skip", "table::", "--test-threads=2"]);
    if let Some(runtime) = runtime {
        command.env("RUNTIME", runtime);
    }
    let output = command.output().unwrap();
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads what the test harness prints.
fn parse(text: &str) -> Run {
    let mut run = Run::new();
    let mut shown = "";
    for line in text.lines() {
        if let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|l| l.split_once(" ... "))
        {
            let outcome = run.entry(name.to_owned()).or_default();
            outcome.passed = result == "ok";
        } else if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|l| l.strip_suffix(" stdout ----"))
        {
            shown = name;
        } else if let Some(reason) = line.strip_prefix("differs: ")
            && let Some(outcome) = run.get_mut(shown)
        {
            outcome.differs = Some(reason.to_owned());
        }
    }
    run
}

fn topic(name: &str) -> &str {
    name.split("::").next().unwrap_or_default()
}

/// Cases in words: `hooks_fail::hook_that_does_not_exist_fails`.
fn words(name: &str) -> String {
    let rest: Vec<&str> = name.split("::").skip(1).collect();
    let case = |part: &str| {
        let mut parts = part.splitn(3, '_');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("case"), Some(number), Some(name)) if number.parse::<u32>().is_ok() => {
                name.replace('_', " ")
            }
            _ => part.replace('_', " "),
        }
    };
    rest.into_iter().map(case).collect::<Vec<_>>().join(": ")
}

fn table(runs: &[(String, Run)]) -> String {
    let mut text = String::from("| topic | cases |");
    for (runtime, _) in runs {
        let _ = write!(text, " {runtime} |");
    }
    text.push_str("\n| --- | ---: |");
    text.push_str(&" --- |".repeat(runs.len()));
    text.push('\n');
    let mut topics: Vec<&str> = runs
        .iter()
        .flat_map(|(_, run)| run.keys().map(|n| topic(n)))
        .collect();
    topics.sort_unstable();
    topics.dedup();
    for name in topics {
        let of_topic = |run: &Run| -> Vec<Outcome> {
            run.iter()
                .filter(|(n, _)| topic(n) == name)
                .map(|(_, o)| o.clone())
                .collect()
        };
        let count = runs
            .iter()
            .map(|(_, run)| of_topic(run).len())
            .max()
            .unwrap_or(0);
        let _ = write!(text, "| {} | {count} |", name.replace('_', " "));
        for (_, run) in runs {
            text.push_str(&cell(&of_topic(run)));
        }
        text.push('\n');
    }
    text
}

fn cell(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|o| !o.passed).count();
    let differ = outcomes
        .iter()
        .filter(|o| o.passed && o.differs.is_some())
        .count();
    let passed = outcomes.len() - failed - differ;
    let mut parts = vec![format!("{passed} pass")];
    if differ > 0 {
        parts.push(format!("{differ} differ"));
    }
    if failed > 0 {
        parts.push(format!("**{failed} fail**"));
    }
    format!(" {} |", parts.join(", "))
}

fn differences(runs: &[(String, Run)]) -> String {
    let mut text = String::new();
    for (runtime, run) in runs {
        let _ = writeln!(text, "\n### {runtime}\n");
        for (name, outcome) in run {
            let reason = match (&outcome.differs, outcome.passed) {
                (_, false) => "fails",
                (Some(reason), true) => reason,
                (None, true) => continue,
            };
            let _ = writeln!(
                text,
                "- {}, {}: {reason}",
                topic(name).replace('_', " "),
                words(name)
            );
        }
    }
    text
}

const START: &str =
    "<!-- table: made by `cargo test -p conformance --test validation -- --ignored table_of` -->";
const END: &str = "<!-- end of table -->";

/// Puts what was made between its marks.
fn replace(page: &str, made: &str) -> Option<String> {
    let (before, rest) = page.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}\n\n{made}\n{END}{after}"))
}

#[test]
#[ignore = "runs every case on several runtimes, and writes README.md"]
fn table_of_runtimes() {
    let others = std::env::var("TABLE_RUNTIMES").unwrap_or_else(|_| "runc".to_owned());
    let mut runs = vec![(runtime_name(), run(None))];
    for runtime in others.split(',').filter(|name| !name.is_empty()) {
        let name = Path::new(runtime)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        runs.push((name, run(Some(runtime))));
    }
    let made = format!("{}\n## What differs\n{}", table(&runs), differences(&runs));
    let path = workspace().join("conformance/README.md");
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, replace(&page, &made).unwrap()).unwrap();
}

#[test]
#[ignore = "runs every case, and prints TAP"]
fn as_tap() {
    let run = run(None);
    println!("TAP version 13\n1..{}", run.len());
    for (index, (name, outcome)) in run.iter().enumerate() {
        let ok = if outcome.passed { "ok" } else { "not ok" };
        let differs = outcome
            .differs
            .as_ref()
            .map_or_else(String::new, |why| format!(" # differs: {why}"));
        println!(
            "{ok} {} - {}: {}{differs}",
            index + 1,
            topic(name),
            words(name)
        );
    }
}

#[test]
fn output_of_the_harness_is_understood() {
    let text = "running 2 tests\ntest a::b::case_1_c ... ok\ntest a::d ... FAILED\n\nsuccesses:\n\n\
                ---- a::b::case_1_c stdout ----\ndiffers: for a reason\n";
    let run = parse(text);
    let runs = [("x".to_owned(), run)];
    assert!(
        table(&runs).contains("| a | 2 | 0 pass, 1 differ, **1 fail** |"),
        "{}",
        table(&runs)
    );
    let text = differences(&runs);
    assert!(
        text.contains("- a, b: c: for a reason") && text.contains("- a, d: fails"),
        "{text}"
    );
    let page = format!("x\n{START}\nold\n{END}\ny\n");
    assert_eq!(
        replace(&page, "new").unwrap(),
        format!("x\n{START}\n\nnew\n{END}\ny\n")
    );
}
