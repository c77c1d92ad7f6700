//! runtime.md, *Start*.

use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

use crate::common::{differs, shell, started};

/// *MUST generate an error if it is not provided the container ID*
#[rstest]
fn without_an_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    assert_ne!(container.call(&["start"]).unwrap().code, 0);
}

#[rstest]
fn unknown_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    assert_ne!(container.start().unwrap().code, 0);
}

/// *Attempting to start a container that is not created MUST have no effect on the container and MUST generate an error*
#[rstest]
fn running_container_is_an_error_and_unaffected() {
    let container = started(shell("sleep 100"));
    assert_ne!(container.start().unwrap().code, 0);
    assert_eq!(container.status(), "running");
}

#[rstest]
fn stopped_container_is_an_error_and_unaffected() {
    let container = started(shell("echo x >>/times"));
    container.wait_for_status("stopped").unwrap();
    assert_ne!(container.start().unwrap().code, 0);
    assert_eq!(container.status(), "stopped");
    let times = container.bundle.rootfs().join("times");
    assert_eq!(std::fs::read_to_string(times).unwrap(), "x\n");
}

/// *MUST run the user-specified program as specified by process*
#[rstest]
fn runs_the_program() {
    let container = started(shell("echo ran >/result"));
    container.wait_for_status("stopped").unwrap();
    let result = container.bundle.rootfs().join("result");
    assert_eq!(std::fs::read_to_string(result).unwrap(), "ran\n");
}

/// *MUST generate an error if process was not set*
#[rstest]
fn without_a_process_is_an_error() {
    let mut bundle = shell("true");
    bundle = bundle.set("/process", json!(null));
    let container = Container::new(bundle).unwrap();
    let created = container.create(&[]).unwrap();
    if differs("runc", "create fails already") {
        assert_ne!(created.code, 0);
        return;
    }
    created.success().unwrap();
    assert_eq!(container.status(), "created");
    let output = container.start().unwrap();
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("process"), "{}", output.stderr);
    container.delete(&[]).unwrap().success().unwrap();
}
