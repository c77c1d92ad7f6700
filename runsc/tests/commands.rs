//! Commands that need no container: what they print and change.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's failure"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn runsc(args: &[&str]) -> Output {
    let root = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_runsc"))
        .arg("--root")
        .arg(root.path())
        .args(args)
        .output()
        .unwrap()
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn install_and_uninstall_keep_everything_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("daemon.json");
    let before = json!({
        "log-level": "warn",
        "runtimes": {"other": {"path": "/usr/bin/other"}},
        "hosts": ["unix:///x"],
    });
    fs::write(&path, before.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = path.to_string_lossy();
    let output = runsc(&[
        "install",
        "--config-file",
        &file,
        "--runtime=mine",
        "--",
        "--debug",
        "--network=none",
    ]);
    assert!(output.status.success(), "{output:?}");
    let mut expected = before.clone();
    expected["runtimes"]["mine"] = json!({
        "path": fs::canonicalize(env!("CARGO_BIN_EXE_runsc")).unwrap(),
        "runtimeArgs": ["--debug", "--network=none"],
    });
    assert_eq!(read(&path), expected);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let output = runsc(&["uninstall", "--config_file", &file, "--runtime=mine"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(read(&path), before);
}

#[test]
fn install_makes_the_file_and_refuses_what_is_no_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/daemon.json");
    let file = path.to_string_lossy();
    assert!(runsc(&["install", "--config-file", &file]).status.success());
    assert!(read(&path)["runtimes"]["runsc"]["path"].is_string());
    for text in ["[]", "{", r#"{"runtimes": 3}"#] {
        fs::write(&path, text).unwrap();
        let output = runsc(&["install", "--config-file", &file]);
        assert_eq!(output.status.code(), Some(128), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn features_are_those_of_the_specification() {
    let output = runsc(&["features"]);
    let features: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    let capabilities = features["linux"]["capabilities"].as_array().unwrap();
    assert!(capabilities.contains(&json!("CAP_SYS_ADMIN")));
}

#[test]
fn checkpoint_and_restore_are_refused_in_one_line() {
    for args in [
        ["checkpoint", "--image-path=/tmp/x", "--leave-running", "c"],
        ["restore", "--bundle=/tmp/x", "--detach", "c"],
    ] {
        let output = runsc(&args);
        assert_eq!(output.status.code(), Some(128));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains(&format!("{} is not available", args[0])),
            "{text}"
        );
    }
}
