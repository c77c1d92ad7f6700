//! What the program prints, word for word: errors with their exit codes, and the forms that other programs parse.
//!
//! Needs root for what needs a container; without it those cases pass without doing anything.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's failure"
)]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A state directory and a bundle over the host's own root, beneath a layer in memory.
struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new(args: &[&str]) -> Fixture {
        let fixture = Fixture {
            directory: tempfile::tempdir().unwrap(),
        };
        fixture.configure(&configuration(args));
        fixture
    }

    fn configure(&self, config: &Value) {
        self.write("config.json", &config.to_string());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsc"));
        command
            .arg("--root")
            .arg(self.path("state"))
            .args([
                "--ignore-cgroups",
                "--network=none",
                "--overlay2=root:memory",
            ])
            .args(args)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Its output does not stay open in a container that goes on: it is a file.
    fn run(&self, args: &[&str]) -> Output {
        let file = |name: &str| fs::File::create(self.path(name)).unwrap();
        let status = self
            .command(args)
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .status()
            .unwrap();
        Output {
            status,
            stdout: fs::read(self.path("stdout")).unwrap(),
            stderr: fs::read(self.path("stderr")).unwrap(),
        }
    }

    /// A command as a person sees it: its line, what it prints, its exit code.
    fn show(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut shown = format!("$ runsc {}\n", args.join(" "));
        shown += &text(&output.stdout);
        for line in text(&output.stderr).lines() {
            let _ = writeln!(shown, "! {line}");
        }
        let _ = writeln!(shown, "= {}\n", output.status.code().unwrap_or(-1));
        self.mask(&shown)
    }

    /// Without what differs from run to run.
    fn mask(&self, text: &str) -> String {
        let directory = self.directory.path().to_string_lossy().into_owned();
        let real = fs::canonicalize(&directory)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        text.replace(&real, "DIR").replace(&directory, "DIR")
    }

    fn wait_for(&self, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let is = || {
            let output = self.run(&["state", "c"]);
            String::from_utf8_lossy(&output.stdout).contains(&format!("\"status\": \"{status}\""))
        };
        while !is() {
            assert!(Instant::now() < deadline, "not {status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = self.command(&["delete", "--force", "c"]).output();
    }
}

fn configuration(args: &[&str]) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
            "env": ["PATH=/usr/bin:/bin"],
        },
        "root": {"path": "/", "readonly": true},
        "hostname": "name",
        "annotations": {"org.example": "value"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": "network"}, {"type": "pid"}, {"type": "mount"}]},
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Numbers and times of this run.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME");
    settings.add_filter(
        r"[DIWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ ([a-z_]+\.rs):\d+",
        "X0000 TIME PID $1:0",
    );
    settings.add_filter(r#""pid": [1-9]\d*"#, r#""pid": PID"#);
    settings.set_prepend_module_to_snapshot(false);
    settings
}

fn assert_shown(name: &str, shown: &str) {
    settings().bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn errors_of_the_command_line() {
    let fixture = Fixture::new(&["/bin/true"]);
    let mut shown = String::new();
    for args in [
        &["no-such-command"][..],
        &["--no-such-flag", "state", "c"],
        &["--platform=none", "state", "c"],
        &["--network=none-such", "state", "c"],
        &["--log-format=xml", "state", "c"],
        &["--debug=maybe", "state", "c"],
        &["create"],
        &["create", "--no-such-flag", "c"],
        &["create", "--bundle"],
        &["create", "c", "d"],
        &["create", "a/b"],
        &["create", ".."],
        &["run"],
        &["start"],
        &["state"],
        &["kill"],
        &["kill", "c", "NOSUCH"],
        &["delete"],
        &["exec"],
        &["exec", "c"],
        &["ps"],
        &["ps", "--format=xml", "c"],
        &["list", "--format=xml"],
        &["events"],
        &["events", "--interval=soon", "c"],
        &["wait"],
        &["pause"],
        &["resume"],
        &["update"],
        &["checkpoint", "c"],
        &["restore", "c"],
        &["help", "no-such-command"],
    ] {
        shown += &fixture.show(args);
    }
    assert_shown("errors_of_the_command_line", &shown);
}

#[test]
fn errors_of_containers_that_are_not_there() {
    let fixture = Fixture::new(&["/bin/true"]);
    let mut shown = String::new();
    for args in [
        &["state", "c"][..],
        &["start", "c"],
        &["kill", "c"],
        &["kill", "c", "KILL"],
        &["delete", "c"],
        &["delete", "--force", "c"],
        &["exec", "c", "true"],
        &["ps", "c"],
        &["events", "--stats", "c"],
        &["wait", "c"],
        &["pause", "c"],
        &["resume", "c"],
        &["update", "--resources=-", "c"],
        &["list"],
        &["list", "--quiet"],
        &["list", "--format=json"],
        &["create", "--bundle", "no-such-bundle", "c"],
    ] {
        shown += &fixture.show(args);
    }
    assert_shown("errors_of_containers_that_are_not_there", &shown);
}

/// One part of the specification wrong at a time.
#[test]
fn errors_of_configurations() {
    let fixture = Fixture::new(&["/bin/true"]);
    let mut shown = String::new();
    for (place, value) in [
        ("/ociVersion", json!("2.0.0")),
        ("/root", json!(null)),
        ("/root/path", json!("no-such-directory")),
        ("/hostname", json!("x".repeat(65))),
        ("/process/args", json!([])),
        ("/process/args", json!(["no-such-program"])),
        ("/process/args", json!(["/no/such/program"])),
        ("/process/args", json!(["/etc/passwd"])),
        ("/process/cwd", json!("relative")),
        ("/process/env", json!(["NO_EQUALS_SIGN"])),
        ("/process/terminal", json!(true)),
        ("/process/oomScoreAdj", json!(2000)),
        ("/process/capabilities", json!({"bounding": "CAP_NONE"})),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NONE", "soft": 1, "hard": 1}]),
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}]),
        ),
        (
            "/mounts",
            json!([{"destination": "/a/../b", "type": "tmpfs"}]),
        ),
        ("/mounts", json!([{"destination": "/a", "type": "ext4"}])),
        (
            "/mounts",
            json!([{"destination": "/a", "type": "tmpfs", "options": ["wrong"]}]),
        ),
        (
            "/mounts",
            json!([{"destination": "/a", "type": "bind", "source": "/no/such", "options": ["bind"]}]),
        ),
        (
            "/mounts",
            json!([{"destination": "/a", "type": "bind", "source": "/etc", "options": ["bind", "idmap"]}]),
        ),
        ("/hooks", json!({"poststop": [{"path": "relative"}]})),
        (
            "/hooks",
            json!({"prestart": [{"path": "/bin/false", "timeout": 0}]}),
        ),
        (
            "/linux/namespaces",
            json!([{"type": "ipc"}, {"type": "ipc"}]),
        ),
        (
            "/linux/namespaces",
            json!([{"type": "pid", "path": "/proc/self/ns/pid"}]),
        ),
        ("/linux/devices", json!([{"path": "/dev/x", "type": "x"}])),
        ("/linux/intelRdt", json!({})),
        ("/linux/timeOffsets", json!({"boottime": {"secs": 1}})),
        ("/linux/rootfsPropagation", json!("sideways")),
        ("/linux/maskedPaths", json!(["relative"])),
        ("/linux/sysctl", json!({"kernel.hostname": "x"})),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
        ),
        (
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 0, "size": 1}]),
        ),
    ] {
        let mut config = configuration(&["/bin/true"]);
        let (parent, key) = place.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[key] = value.clone();
        fixture.configure(&config);
        let text = value.to_string();
        let _ = writeln!(
            shown,
            "{place} = {}",
            text.get(..text.len().min(80)).unwrap()
        );
        shown += &fixture.show(&["create", "c"]);
    }
    fixture.write("config.json", "{\"ociVersion\": ");
    shown += &fixture.show(&["create", "c"]);
    assert_shown("errors_of_configurations", &shown);
}

#[test]
fn a_container_from_create_to_delete() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new(&["/bin/sleep", "1000"]);
    let mut shown = String::new();
    let mut run = |args: &[&str]| shown += &fixture.show(args);
    run(&["create", "c"]);
    run(&["create", "c"]);
    run(&["state", "c"]);
    run(&["exec", "c", "true"]);
    run(&["start", "c"]);
    run(&["start", "c"]);
    run(&["state", "c"]);
    run(&["delete", "c"]);
    run(&["exec", "c", "sh", "-c", "exit 7"]);
    run(&["exec", "c", "no-such-program"]);
    run(&["exec", "--user=1000", "c", "id", "-u"]);
    run(&["kill", "c", "0"]);
    run(&["pause", "c"]);
    run(&["state", "c"]);
    run(&["exec", "c", "true"]);
    run(&["resume", "c"]);
    run(&["kill", "c", "KILL"]);
    fixture.wait_for("stopped");
    run(&["state", "c"]);
    run(&["kill", "c"]);
    run(&["exec", "c", "true"]);
    run(&["ps", "c"]);
    run(&["delete", "c"]);
    run(&["delete", "c"]);
    assert_shown("a_container_from_create_to_delete", &shown);
}

/// Exit codes of the application.
#[test]
fn exit_codes_of_programs() {
    if !is_root() {
        return;
    }
    let mut shown = String::new();
    for script in [
        "exit 0",
        "exit 3",
        "exit 255",
        "kill -9 $$",
        "kill -TERM $$",
        "no-such-command",
    ] {
        let fixture = Fixture::new(&["/bin/sh", "-c", script]);
        let _ = writeln!(shown, "sh -c {script:?}");
        shown += &fixture.show(&["run", "c"]);
    }
    assert_shown("exit_codes_of_programs", &shown);
}

/// The forms of JSON that engines read: their keys and types, not this run's numbers.
#[test]
fn json_of_state_list_ps_and_events() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new(&["/bin/sleep", "1000"]);
    assert!(fixture.run(&["run", "--detach", "c"]).status.success());
    fixture.wait_for("running");
    let mut shown = String::new();
    for args in [
        &["state", "c"][..],
        &["list", "--format=json"],
        &["ps", "--format=json", "c"],
        &["events", "--stats", "c"],
        &["features"],
    ] {
        let output = fixture.run(args);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let _ = writeln!(shown, "$ runsc {}\n{:#}", args.join(" "), shape(&value));
    }
    assert_shown("json_of_state_list_ps_and_events", &shown);
    let table = fixture.run(&["ps", "c"]);
    let header = String::from_utf8_lossy(&table.stdout);
    // Columns are as wide as what is in them.
    let columns: Vec<&str> = header.lines().next().unwrap().split_whitespace().collect();
    assert_shown("header_of_ps", &columns.join(" "));
    let table = fixture.run(&["list"]);
    let header = String::from_utf8_lossy(&table.stdout);
    let words: Vec<&str> = header.lines().next().unwrap().split_whitespace().collect();
    assert_shown("header_of_list", &words.join(" "));
}

/// A value's type instead of the value; lists by their first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(list) => list
            .first()
            .map_or(json!([]), |first| json!([shape(first)])),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
    }
}

/// `spec` makes a configuration that `run` takes.
#[test]
fn spec_that_is_written() {
    let fixture = Fixture::new(&["/bin/true"]);
    fs::remove_file(fixture.path("config.json")).unwrap();
    let mut shown = fixture.show(&["spec"]);
    shown += &fs::read_to_string(fixture.path("config.json")).unwrap();
    shown += &fixture.show(&["spec"]);
    assert_shown("spec_that_is_written", &shown);
}

/// `--log` in both forms: each line parses, the last is the error.
#[test]
fn logs_of_a_failed_command() {
    let fixture = Fixture::new(&["/bin/true"]);
    let mut shown = String::new();
    for format in ["text", "json"] {
        let log = fixture.path(format);
        let log = log.to_string_lossy();
        let format_flag = format!("--log-format={format}");
        let output = fixture.run(&["--log", &log, &format_flag, "start", "c"]);
        assert_eq!(output.status.code(), Some(128));
        let text = fs::read_to_string(&*log).unwrap();
        let _ = writeln!(shown, "{}", fixture.mask(text.lines().last().unwrap()));
        if format == "json" {
            for line in text.lines() {
                let value: Value = serde_json::from_str(line).unwrap();
                let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
                assert_eq!(keys, ["level", "msg", "time"], "{line}");
            }
        }
    }
    assert_shown("logs_of_a_failed_command", &shown);
}
