//! config.md, *POSIX-platform Hooks*, and runtime.md, *Lifecycle*: what a hook that fails does.

use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{differs, host_shell, is_gone, refused, shell, started, text};

/// *If any prestart/createRuntime/createContainer hook fails, the runtime MUST generate an error, stop the container, and
/// continue the lifecycle at step 12*, poststop
#[rstest]
#[case::prestart("prestart")]
#[case::create_runtime("createRuntime")]
#[case::create_container("createContainer")]
fn failing_hook_of_create_is_an_error(#[case] kind: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (later, stopped) = (
        directory.path().join("later"),
        directory.path().join("stopped"),
    );
    let hooks = json!([
        host_shell("echo the reason >&2; exit 3"),
        host_shell(&format!("echo >{}", later.display())),
    ]);
    let bundle = shell("echo ran >/ran")
        .set(&format!("/hooks/{kind}"), hooks)
        .set(
            "/hooks/poststop",
            json!([host_shell(&format!("echo stopped >{}", stopped.display()))]),
        );
    let ran = bundle.rootfs().join("ran");
    let container = Container::new(bundle).unwrap();
    let created = container.create(&[]).unwrap();
    assert_ne!(created.code, 0);
    assert!(created.stderr.contains("the reason"), "{}", created.stderr);
    is_gone(&container);
    assert!(!later.exists() && !ran.exists());
    assert_eq!(text(&stopped), "stopped\n");
}

/// *startContainer ... If any hook fails, the runtime MUST generate an error, stop the container*
#[rstest]
fn failing_start_container_hook_stops_the_container() {
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"], "env": ["PATH=/bin"]}]);
    let bundle = shell("echo ran >/ran").set("/hooks/startContainer", hook);
    let ran = bundle.rootfs().join("ran");
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    let output = container.start().unwrap();
    if !differs("runc", "start itself succeeds") {
        assert_ne!(output.code, 0);
        assert!(output.stderr.contains("hook"), "{}", output.stderr);
    }
    container.wait_for_status("stopped").unwrap();
    assert!(!ran.exists());
    container.delete(&[]).unwrap().success().unwrap();
}

/// *If any poststart hook fails, the runtime MUST log a warning, but the remaining hooks and lifecycle continue as if the
/// hook had succeeded*
#[rstest]
fn failing_poststart_hook_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let second = directory.path().join("second");
    let hooks = json!([
        host_shell("exit 1"),
        host_shell(&format!("echo second >{}", second.display())),
    ]);
    let bundle = shell("sleep 100").set("/hooks/poststart", hooks);
    if differs(
        "runc",
        "a failing poststart hook ends the container, at create",
    ) {
        let container = Container::new(bundle).unwrap();
        assert_ne!(container.create(&[]).unwrap().code, 0);
        return;
    }
    let container = started(bundle);
    assert_eq!(container.status(), "running");
    assert_eq!(text(&second), "second\n");
}

/// *If any poststop hook fails, the runtime MUST log a warning, but the remaining hooks and lifecycle continue*
#[rstest]
fn failing_poststop_hook_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let second = directory.path().join("second");
    let hooks = json!([
        host_shell("exit 1"),
        host_shell(&format!("echo second >{}", second.display())),
    ]);
    let container = started(shell("true").set("/hooks/poststop", hooks));
    container.wait_for_status("stopped").unwrap();
    let deleted = container.delete(&[]).unwrap();
    if differs("runc", "the hooks after the one that fails do not run") {
        return;
    }
    deleted.success().unwrap();
    is_gone(&container);
    assert_eq!(text(&second), "second\n");
}

/// *timeout ... is the number of seconds before aborting the hook*
#[rstest]
#[case::prestart("prestart")]
#[case::create_runtime("createRuntime")]
#[case::create_container("createContainer")]
fn hook_that_takes_too_long_fails(#[case] kind: &str) {
    let mut hook = host_shell("exec sleep 50");
    hook["timeout"] = json!(1);
    let before = std::time::Instant::now();
    refused(
        shell("true").set(&format!("/hooks/{kind}"), json!([hook])),
        "",
    );
    assert!(before.elapsed() < std::time::Duration::from_secs(30));
}

#[rstest]
fn start_container_hook_that_takes_too_long_fails() {
    let hook = json!([{"path": "/bin/sleep", "args": ["sleep", "50"], "timeout": 1}]);
    let container = Container::new(shell("sleep 100").set("/hooks/startContainer", hook)).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    let output = container.start().unwrap();
    if !differs("runc", "start itself succeeds") {
        assert_ne!(output.code, 0);
    }
    container.wait_for_status("stopped").unwrap();
}

#[rstest]
fn hook_that_does_not_exist_fails() {
    let hook = json!([{"path": "/no/such/hook"}]);
    refused(
        shell("true").set("/hooks/createRuntime", hook),
        "/no/such/hook",
    );
}

/// *path (string, REQUIRED) ... MUST be absolute*; *timeout ... if set, MUST be greater than zero*
#[rstest]
#[case::relative_path("relative", json!({"path": "bin/true"}))]
#[case::no_timeout("timeout", json!({"path": "/bin/true", "timeout": 0}))]
#[case::negative_timeout("timeout", json!({"path": "/bin/true", "timeout": -1}))]
fn invalid_hooks_are_errors(#[case] what: &str, #[case] hook: Value) {
    if differs("runc", "hooks are not validated") {
        return;
    }
    let word = if what == "relative" { "absolute" } else { what };
    refused(shell("true").set("/hooks/poststop", json!([hook])), word);
}
