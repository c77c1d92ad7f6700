//! runtime.md, *Delete*.

use std::path::Path;
use std::time::Duration;

use fixtures::command;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

use crate::common::{differs, host_shell, is_gone, shell, started};

#[rstest]
fn without_an_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    assert_ne!(container.call(&["delete"]).unwrap().code, 0);
}

#[rstest]
fn unknown_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    assert_ne!(container.delete(&[]).unwrap().code, 0);
}

/// *Attempting to delete a container that is not stopped MUST have no effect on the container and MUST generate an error*
#[rstest]
fn running_container_is_an_error_and_unaffected() {
    let container = started(shell("sleep 100"));
    assert_ne!(container.delete(&[]).unwrap().code, 0);
    assert_eq!(container.status(), "running");
}

/// Every runtime deletes a created container: engines rely on it, whatever the sentence above says.
#[rstest]
fn created_container_is_deleted() {
    let container = Container::new(shell("sleep 100")).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    let pid = container.state().unwrap()["pid"].as_u64().unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    is_gone(&container);
    // Whoever started it may not have asked for its exit code yet.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

/// *MUST delete the resources that were created during the create step*
#[rstest]
fn stopped_container_leaves_nothing() {
    let container = started(shell("true"));
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    is_gone(&container);
    assert_ne!(container.delete(&[]).unwrap().code, 0);
    let left: Vec<_> = std::fs::read_dir(container.root())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| !name.to_string_lossy().ends_with(".stderr"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// *Once a container is deleted its ID MAY be used by a subsequent container*
#[rstest]
fn id_can_be_used_again() {
    let container = started(shell("true"));
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    container.create(&[]).unwrap().success().unwrap();
    assert_eq!(container.status(), "created");
}

/// *resources associated with the container, but not created by this container, MUST NOT be deleted*
#[rstest]
fn what_the_container_did_not_make_stays() {
    let shared = tempfile::tempdir().unwrap();
    std::fs::write(shared.path().join("kept"), "x").unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    let bundle = shell("true").mount("/shared", "bind", &source, &["rbind"]);
    let container = started(bundle);
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    assert!(shared.path().join("kept").exists());
    assert!(container.bundle.path().join("config.json").exists());
    assert!(container.bundle.rootfs().join("bin/busybox").exists());
}

/// What a killed `create` leaves is found by the next `delete`, or by the next `create` of that id.
#[rstest]
fn killed_create_leaves_nothing_for_good(#[values("delete", "create")] next: &str) {
    let version_1 = Path::new("/sys/fs/cgroup/pids/cgroup.procs").exists();
    if !version_1 || differs("runc", "its groups stay, and its state, if it came so far") {
        return;
    }
    let group = format!("runsc-killed-{}-{next}", std::process::id());
    let reached = tempfile::tempdir().unwrap();
    let mark = reached.path().join("mark");
    let first = format!("test -e {0} || {{ touch {0}; sleep 20; }}", mark.display());
    let hook = host_shell(&first);
    let bundle = shell("sleep 100")
        .set("/linux/cgroupsPath", json!(format!("/{group}")))
        .set("/linux/resources", json!({"pids": {"limit": 50}}))
        .set("/hooks", json!({"createRuntime": [hook]}));
    let container = Container::new(bundle).unwrap();
    let mut command = container.command(&["create"]);
    command
        .arg("--bundle")
        .arg(container.bundle.path())
        .arg(&container.id)
        .stdin(command::nothing().unwrap())
        .stdout(command::nothing().unwrap())
        .stderr(command::nothing().unwrap());
    let mut child = command.spawn().unwrap();
    command::wait_until("the hook", Duration::from_secs(20), || mark.exists()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    if next == "create" {
        container.create(&[]).unwrap().success().unwrap();
        assert_eq!(container.status(), "created");
    }
    container.delete(&["--force"]).unwrap().success().unwrap();
    is_gone(&container);
    for controller in ["pids", "memory"] {
        let left = Path::new("/sys/fs/cgroup").join(controller).join(&group);
        assert!(!left.exists(), "{}", left.display());
    }
}
