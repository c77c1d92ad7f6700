//! What must fail, with one clear line and nothing left behind.

use fixtures::bundle::Bundle;
use fixtures::command::Output;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

fn container(args: &[&str]) -> Container {
    Container::new(Bundle::busybox(args).unwrap()).unwrap()
}

/// The command failed and said why; no state is left.
fn fails(container: &Container, output: &Output) {
    assert_ne!(output.code, 0, "{output:?}");
    assert!(!output.stderr.trim().is_empty(), "{output:?}");
    assert_ne!(
        container.call(&["state", &container.id]).unwrap().code,
        0,
        "a container is left"
    );
}

#[rstest]
#[case::state(&["state"])]
#[case::start(&["start"])]
#[case::kill(&["kill"])]
#[case::delete(&["delete"])]
fn unknown_container(#[case] verb: &[&str]) {
    let container = container(&["true"]);
    let all: Vec<&str> = verb
        .iter()
        .copied()
        .chain([container.id.as_str()])
        .collect();
    let output = container.call(&all).unwrap();
    assert_ne!(output.code, 0);
    assert!(
        output.stderr.contains("does not exist"),
        "{}",
        output.stderr
    );
}

#[rstest]
fn exec_in_an_unknown_container() {
    let container = container(&["true"]);
    let output = container.exec(&[], &["true"]).unwrap();
    assert_ne!(output.code, 0);
    assert!(
        output.stderr.contains("does not exist"),
        "{}",
        output.stderr
    );
}

#[rstest]
fn id_in_use() {
    let container = container(&["sleep", "100"]);
    container.create(&[]).unwrap().success().unwrap();
    let again = container.create(&[]).unwrap();
    assert_ne!(again.code, 0);
    assert!(!again.stderr.is_empty());
    assert_eq!(container.status(), "created");
}

#[rstest]
#[case::slash("a/b")]
#[case::parent("..")]
#[case::space("a b")]
#[case::empty("")]
fn invalid_id(#[case] id: &str) {
    let container = container(&["true"]);
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let output = container
        .call(&["create", "--bundle", &bundle, id])
        .unwrap();
    assert_ne!(output.code, 0);
}

#[rstest]
fn missing_bundle() {
    let container = container(&["true"]);
    let output = container
        .call(&["create", "--bundle", "/no/such/bundle", &container.id])
        .unwrap();
    fails(&container, &output);
}

#[rstest]
#[case::not_json("{")]
#[case::empty("")]
#[case::no_process("{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}}")]
fn bad_configuration(#[case] text: &str) {
    let container = container(&["true"]);
    container.bundle.write_text(text).unwrap();
    fails(&container, &container.run().unwrap());
}

#[rstest]
fn missing_root_file_system() {
    let bundle = Bundle::busybox(&["true"])
        .unwrap()
        .set("/root/path", json!("no-such-directory"));
    let container = Container::new(bundle).unwrap();
    fails(&container, &container.run().unwrap());
}

#[rstest]
#[case::not_found_in_path("no-such-program", "executable file not found in $PATH")]
#[case::path_that_does_not_exist("/no/such/program", "no such file or directory")]
#[case::not_executable("/etc/passwd", "permission denied")]
fn program_that_cannot_run(#[case] program: &str, #[case] reason: &str) {
    let container = container(&[program]);
    let output = container.run().unwrap();
    fails(&container, &output);
    assert!(output.stderr.contains(reason), "{}", output.stderr);
}

#[rstest]
fn start_twice() {
    let container = container(&["sleep", "100"]);
    container.create(&[]).unwrap().success().unwrap();
    container.start().unwrap().success().unwrap();
    assert_ne!(container.start().unwrap().code, 0);
    assert_eq!(container.status(), "running");
}

#[rstest]
fn delete_of_a_running_container() {
    let container = container(&["sleep", "100"]);
    container.create(&[]).unwrap().success().unwrap();
    container.start().unwrap().success().unwrap();
    assert_ne!(container.delete(&[]).unwrap().code, 0);
    assert_eq!(container.status(), "running");
}

#[rstest]
fn kill_of_a_stopped_container() {
    let container = container(&["true"]);
    container.create(&[]).unwrap().success().unwrap();
    container.start().unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    let output = container.kill("TERM").unwrap();
    assert_ne!(output.code, 0);
    assert!(
        output.stderr.contains("container not running"),
        "{}",
        output.stderr
    );
}

#[rstest]
fn unknown_signal() {
    let container = container(&["sleep", "100"]);
    container.create(&[]).unwrap().success().unwrap();
    assert_ne!(container.kill("NOSUCHSIGNAL").unwrap().code, 0);
    assert_eq!(container.status(), "created");
}

#[rstest]
fn terminal_without_a_console_socket() {
    let bundle = Bundle::busybox(&["true"]).unwrap().terminal(true);
    let container = Container::new(bundle).unwrap();
    fails(&container, &container.create(&[]).unwrap());
}

#[rstest]
fn unknown_subcommand_and_flag() {
    let container = container(&["true"]);
    assert_ne!(container.call(&["no-such-command"]).unwrap().code, 0);
    assert_ne!(
        container
            .call(&["state", "--no-such-flag", "x"])
            .unwrap()
            .code,
        0
    );
}
