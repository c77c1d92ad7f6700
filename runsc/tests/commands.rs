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

/// Bash's own answer to a command line that ends where the cursor is.
fn completed(line: &[&str]) -> Vec<String> {
    let script = runsc(&["completions", "bash"]).stdout;
    let mut bash = Command::new("bash");
    bash.args([
        "-c",
        &format!(
            "{}\nset -- \"$@\"\n{COMPLETE}",
            String::from_utf8(script).unwrap()
        ),
    ]);
    let output = bash.arg("bash").args(line).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

/// What readline does on a press of the tabulator; a script has no `compopt`.
const COMPLETE: &str = "
compopt() { :; }
COMP_WORDS=(\"$@\")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_runsc runsc \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
echo \"${COMPREPLY[@]}\"
";

#[test]
fn bash_completes_subcommands_flags_and_values() {
    assert_eq!(completed(&["runsc", "re"]), ["restore", "resume"]);
    assert_eq!(completed(&["runsc", "exec", "--det"]), ["--detach"]);
    assert_eq!(completed(&["runsc", "--platform", "k"]), ["kvm"]);
    assert_eq!(completed(&["runsc", "help", "sys"]), ["syscalls"]);
    assert_eq!(completed(&["runsc", "help", "upd"]), ["update"]);
    // What is accepted for other runtimes' callers is not offered.
    assert_eq!(completed(&["runsc", "create", "--no"]), [""; 0]);
}

#[test]
fn other_shells_have_completions_too() {
    for (shell, text) in [("zsh", "#compdef runsc"), ("fish", "complete -c runsc")] {
        let output = runsc(&["completions", shell]);
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(text));
    }
}

/// Every page is without a fault that the formatter sees, where there is one.
#[test]
fn manual_pages_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("man1");
    let output = runsc(&["man", &path.to_string_lossy()]);
    assert!(output.status.success(), "{output:?}");
    let pages: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(pages.contains(&path.join("runsc-run.1")), "{pages:?}");
    for page in pages {
        let Ok(output) = Command::new("groff")
            .args(["-man", "-Tascii", "-P-cbou", "-ww"])
            .arg(&page)
            .output()
        else {
            return;
        };
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("SYNOPSIS"), "{text}");
    }
}

#[test]
fn flags_without_effect_say_so_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let path = log.to_string_lossy();
    let line = [
        "--log",
        &path,
        "--rootless",
        "--log-packets",
        "-criu=x",
        "create",
        "-no-pivot",
        "c",
    ];
    assert_eq!(runsc(&line).status.code(), Some(128));
    let text = fs::read_to_string(&log).unwrap();
    for said in [
        "--rootless has no meaning",
        "--criu has no meaning",
        "--no-pivot has no meaning",
        "--log-packets is ignored",
    ] {
        assert!(text.contains(said), "{said} is not in:\n{text}");
    }
    assert!(!text.contains("no-new-keyring"), "{text}");
}
