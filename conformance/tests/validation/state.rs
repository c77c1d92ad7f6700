//! runtime.md, *State* and *Query State*.

use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

use crate::common::{shell, started};

#[rstest]
fn without_an_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    assert_ne!(container.call(&["state"]).unwrap().code, 0);
}

/// *MUST generate an error if a container that does not exist is queried*
#[rstest]
fn unknown_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    let output = container.call(&["state", &container.id]).unwrap();
    assert_ne!(output.code, 0);
    assert!(output.stdout.is_empty(), "{}", output.stdout);
}

#[rstest]
fn has_version_id_status_pid_and_bundle() {
    let container = started(shell("sleep 100").set("/ociVersion", json!("1.0.2")));
    let state = container.state().unwrap();
    let version = state["ociVersion"].as_str().unwrap();
    assert!(version.starts_with("1."), "{state}");
    assert_eq!(state["id"], json!(container.id));
    assert_eq!(state["status"], "running");
    assert!(state["pid"].as_u64().unwrap() > 1, "{state}");
    assert_eq!(state["bundle"], json!(container.bundle.path()));
}

/// *annotations ... contains the list of annotations associated with the container*
#[rstest]
fn has_the_annotations() {
    let annotations = json!({"com.example.a": "1", "com.example.b": ""});
    let container = started(shell("sleep 100").set("/annotations", annotations.clone()));
    let state = container.state().unwrap();
    for (key, value) in annotations.as_object().unwrap() {
        assert_eq!(&state["annotations"][key], value, "{state}");
    }
}

/// The statuses of the life cycle, in order.
#[rstest]
fn status_is_created_running_stopped() {
    let container = Container::new(shell("read x </go; sleep 100")).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    assert_eq!(container.status(), "created");
    container.start().unwrap().success().unwrap();
    container.kill("KILL").unwrap();
    container.wait_for_status("stopped").unwrap();
}

/// *pid is the ID of the container process* as the runtime's own namespace sees it
#[rstest]
fn pid_is_a_process_of_the_host() {
    let container = started(shell("sleep 100"));
    let pid = container.state().unwrap()["pid"].as_u64().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}/ns/net")).exists());
}
