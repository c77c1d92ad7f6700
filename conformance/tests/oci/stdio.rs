//! Exit codes, and standard input, output and error, byte for byte.

use std::fs::File;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::{Container, LIMIT};
use rstest::rstest;

fn shell(script: &str) -> Container {
    Container::new(Bundle::busybox(&["sh", "-c", script]).unwrap()).unwrap()
}

#[rstest]
#[case::success("exit 0", 0)]
#[case::failure("exit 1", 1)]
#[case::other("exit 7", 7)]
#[case::largest("exit 255", 255)]
#[case::child_killed("sh -c 'kill -SEGV $$'; exit $?", 139)]
#[case::child_terminated("sh -c 'kill -TERM $$'; exit $?", 143)]
fn exit_code(#[case] script: &str, #[case] code: i32) {
    assert_eq!(shell(script).run().unwrap().code, code);
}

#[rstest]
fn output_and_error_are_separate() {
    let output = shell("echo to stdout; echo to stderr >&2")
        .run()
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("to stdout\n", "to stderr\n")
    );
}

#[rstest]
fn input_is_passed_through() {
    let container = shell("cat; echo end");
    let mut command = container.run_command(&[]);
    let output = command::run_with_input(&mut command, b"one\ntwo\0three", LIMIT)
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(output.stdout, "one\ntwo\0threeend\n");
}

#[rstest]
fn large_output_is_complete() {
    let output = shell("seq 1 100000").run().unwrap().success().unwrap();
    assert_eq!(output.stdout.lines().count(), 100_000);
    assert_eq!(output.stdout.lines().last(), Some("100000"));
}

#[rstest]
fn files_as_input_and_output() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::write(&from, "some\ntext\n").unwrap();
    let container = shell("wc -l");
    let status = container
        .run_command(&[])
        .stdin(File::open(&from).unwrap())
        .stdout(File::create(&to).unwrap())
        .stderr(command::nothing().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(std::fs::read_to_string(&to).unwrap().trim(), "2");
}

/// A file is one to the program too: some (node) write nothing to a descriptor of no known type.
#[rstest]
fn file_as_output_is_a_regular_file() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("to");
    let container = shell("stat -L -c %F /proc/self/fd/1");
    // In the foreground, a runtime may put a pipe between.
    let status = container
        .run_command(&["--detach"])
        .stdin(command::nothing().unwrap())
        .stdout(File::create(&to).unwrap())
        .stderr(command::nothing().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    container.wait_for_status("stopped").unwrap();
    let said = std::fs::read_to_string(&to).unwrap();
    assert_eq!(said, "regular empty file\n");
}

#[rstest]
fn closed_output_is_a_broken_pipe() {
    let container = shell("yes | head -n 3");
    let output = container.run().unwrap();
    assert_eq!(output.stdout, "y\ny\ny\n");
}

#[rstest]
fn background_processes_end_with_the_first() {
    let output = command::run(
        &mut shell("sleep 1000 & echo done").run_command(&[]),
        Duration::from_secs(30),
    )
    .unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (0, "done\n"));
}

#[rstest]
fn pipelines_and_subshells() {
    let script = "for i in 3 1 2; do echo $i; done | sort | { read a; read b; echo $a$b; }; (exit 4); echo $?";
    let output = shell(script).run().unwrap().success().unwrap();
    assert_eq!(output.stdout, "12\n4\n");
}
