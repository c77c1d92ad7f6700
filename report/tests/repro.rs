//! Programs on the host and in the sandbox on every platform: what is the same, and what is known not to be.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::process::{Command, Output};

use serde_json::Value;

fn repro(args: &[&str]) -> Output {
    let mut report = Command::new(env!("CARGO_BIN_EXE_report"));
    report.arg("repro").args(args);
    report.output().unwrap()
}

/// The report on each platform, and the exit code.
fn places(args: &[&str]) -> (Vec<Value>, i32) {
    let all: Vec<&str> = ["--format", "json"].iter().chain(args).copied().collect();
    let output = repro(&all);
    let code = output.status.code().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
    let places = json["places"].as_array().unwrap().clone();
    assert!(!places.is_empty(), "{json}");
    (places, code)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn nothing_differs_in_a_program_that_behaves_the_same() {
    let (places, code) = places(&["--", "true"]);
    assert_eq!(code, 0, "{places:?}");
    for place in places {
        assert_eq!(place["differs"], false, "{place}");
        assert!(number(&place["session"]["agreed"]) >= 15, "{place}");
    }
}

#[test]
fn nothing_differs_in_a_behaviour_test() {
    let (places, code) = places(&["--test", "pipe::bytes_come_out_in_order"]);
    assert_eq!(code, 0, "{places:?}");
    for place in places {
        assert_eq!(place["differs"], false, "{place}");
        assert_eq!(
            place["session"]["unpaired"],
            serde_json::json!([0, 0]),
            "{place}"
        );
    }
}

/// Threads and processes that are made and waited for, in one program.
#[test]
fn threads_and_processes_are_paired() {
    let script = "import os, threading
for _ in range(3):
    thread = threading.Thread(target=lambda: open('/etc/passwd').read()); thread.start(); thread.join()
    child = os.fork()
    if child == 0: os._exit(7)
    assert os.waitpid(child, 0) == (child, 7 << 8)
";
    let (places, _) = places(&["--", "/usr/bin/python3", "-c", script]);
    for place in places {
        assert_eq!(place["session"]["threads"], 7, "{place}");
        assert_eq!(
            place["session"]["unpaired"],
            serde_json::json!([0, 0]),
            "{place}"
        );
        assert_eq!(place["ends"], serde_json::json!([]), "{place}");
    }
}

/// glibc asks for rseq before `main`, which the sandbox refuses; its table says why.
#[test]
fn refused_call_is_found_and_explained() {
    let (places, code) = places(&["--known", "--", "true"]);
    assert_eq!(code, 1, "{places:?}");
    for place in places {
        let first = &place["session"]["differences"][0];
        assert_eq!(first["call"], "rseq", "{place}");
        assert_eq!(
            first["what"],
            "returned 0 on the host, ENOSYS in the sandbox"
        );
        assert!(
            first["known"]
                .as_str()
                .unwrap()
                .starts_with("refused with ENOSYS: "),
            "{first}"
        );
        for side in ["host", "sandbox"] {
            let which = usize::try_from(number(&first[side]["which"])).unwrap();
            let line = first[side]["lines"][which].as_str().unwrap();
            assert!(line.starts_with("rseq("), "{first}");
        }
    }
}

#[test]
fn what_a_program_prints_and_how_it_ends_are_compared() {
    let script = "read -r line < /proc/cmdline; echo \"$line\"; test \"$line\" = none";
    let output = repro(&["--", "sh", "-c", script]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text.contains("first difference: read, thread 1: from byte "),
        "{text}"
    );
    assert!(text.contains("standard output:\n"), "{text}");
}

#[test]
fn what_can_not_run_is_told_apart() {
    for args in [
        &["--", "/no/such/program"][..],
        &["--test", "no::such_test"],
        &["--platform", "abacus", "--", "true"],
        &[],
    ] {
        let output = repro(args);
        assert_eq!(output.status.code(), Some(2), "{args:?} {output:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}
