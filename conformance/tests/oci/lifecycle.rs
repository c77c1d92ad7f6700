//! create, start, state, kill, delete, list: the states of a container and what moves it between them.

use std::fs;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

/// A container that sleeps until it is killed; SIGTERM ends it.
fn sleeper() -> Container {
    let script = "trap 'exit 3' TERM; while :; do sleep 0.1; done";
    Container::new(Bundle::busybox(&["sh", "-c", script]).unwrap()).unwrap()
}

/// A started sleeper whose trap is set.
fn running() -> Container {
    let container = sleeper();
    container.create(&[]).unwrap().success().unwrap();
    container.start().unwrap().success().unwrap();
    container.wait_for_status("running").unwrap();
    container
}

fn pid_of(state: &Value) -> i64 {
    state["pid"].as_i64().unwrap()
}

/// Whether the process exists and is no zombie.
fn is_alive(pid: i64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
    })
}

#[rstest]
fn created_started_killed_deleted() {
    let container = sleeper();
    container.create(&[]).unwrap().success().unwrap();
    assert_eq!(container.status(), "created");
    container.start().unwrap().success().unwrap();
    assert_eq!(container.status(), "running");
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    assert_ne!(container.call(&["state", &container.id]).unwrap().code, 0);
}

#[rstest]
fn nothing_runs_before_start() {
    let bundle = Bundle::busybox(&["sh", "-c", "echo started >/shared/mark"]).unwrap();
    let shared = tempfile::tempdir().unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    fs::create_dir(bundle.rootfs().join("shared")).unwrap();
    let container =
        Container::new(bundle.mount("/shared", "bind", &source, &["rbind", "rw"])).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!shared.path().join("mark").exists());
    container.start().unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    assert_eq!(
        fs::read_to_string(shared.path().join("mark")).unwrap(),
        "started\n"
    );
}

#[rstest]
fn state_has_the_specified_fields() {
    let bundle = Bundle::busybox(&["sleep", "100"])
        .unwrap()
        .set("/annotations", json!({"org.example": "value"}));
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    let state = container.state().unwrap();
    assert_eq!(state["id"], json!(container.id));
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"], json!(container.bundle.path()));
    assert_eq!(state["annotations"]["org.example"], "value");
    assert!(
        state["ociVersion"].as_str().unwrap().starts_with("1."),
        "{state}"
    );
    assert!(is_alive(pid_of(&state)), "{state}");
}

#[rstest]
fn pid_is_zero_or_gone_when_stopped() {
    let container = running();
    let pid = pid_of(&container.state().unwrap());
    assert!(is_alive(pid));
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    assert_eq!(pid_of(&container.state().unwrap()), 0);
    command::wait_until("the end of the process", Duration::from_secs(5), || {
        !is_alive(pid)
    })
    .unwrap();
}

#[rstest]
fn pid_file_is_a_bare_number() {
    let container = sleeper();
    let path = container.root().join("pid");
    container
        .create(&["--pid-file", &path.to_string_lossy()])
        .unwrap()
        .success()
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}");
    assert_eq!(
        text.parse::<i64>().unwrap(),
        pid_of(&container.state().unwrap())
    );
}

#[rstest]
#[case::number("15")]
#[case::name("TERM")]
#[case::full_name("SIGTERM")]
fn kill_takes_names_and_numbers(#[case] signal: &str) {
    let container = running();
    // The handler may not be installed yet: SIGTERM without one does nothing to the first process.
    command::wait_until("the end", Duration::from_secs(10), || {
        let _ = container.kill(signal);
        container.status() == "stopped"
    })
    .unwrap();
}

#[rstest]
fn kill_without_a_signal_terminates() {
    let container = running();
    command::wait_until("the end", Duration::from_secs(10), || {
        let _ = container.call(&["kill", &container.id]);
        container.status() == "stopped"
    })
    .unwrap();
}

#[rstest]
fn created_container_can_be_killed() {
    let container = sleeper();
    container.create(&[]).unwrap().success().unwrap();
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
}

#[rstest]
fn forced_delete_ends_a_running_container() {
    let container = running();
    let pid = pid_of(&container.state().unwrap());
    container.delete(&["--force"]).unwrap().success().unwrap();
    assert!(!is_alive(pid));
    assert_ne!(container.call(&["state", &container.id]).unwrap().code, 0);
}

#[rstest]
fn forced_delete_of_nothing_succeeds() {
    let container = sleeper();
    container.delete(&["--force"]).unwrap().success().unwrap();
}

#[rstest]
fn id_can_be_used_again() {
    let container = running();
    container.delete(&["--force"]).unwrap().success().unwrap();
    container.create(&[]).unwrap().success().unwrap();
    assert_eq!(container.status(), "created");
}

#[rstest]
fn list_shows_the_containers() {
    let container = running();
    let listed = |args: &[&str]| container.call(args).unwrap().success().unwrap().stdout;
    assert_eq!(listed(&["list", "--quiet"]).trim(), container.id);
    let json: Value = serde_json::from_str(&listed(&["list", "--format", "json"])).unwrap();
    assert_eq!(
        (
            json[0]["id"].as_str().unwrap(),
            json[0]["status"].as_str().unwrap()
        ),
        (&*container.id, "running")
    );
    let table = listed(&["list"]);
    let mut lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        lines.next().unwrap(),
        ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    );
    assert_eq!(lines.next().unwrap()[0], container.id);
    container.delete(&["--force"]).unwrap().success().unwrap();
    assert_eq!(listed(&["list", "--format", "json"]).trim(), "null");
}

#[rstest]
fn detached_run_returns_at_once() {
    let container = sleeper();
    let path = container.root().join("pid");
    container
        .run_detached(&["--pid-file", &path.to_string_lossy()])
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(container.status(), "running");
    assert!(path.exists());
}

#[rstest]
fn foreground_run_leaves_nothing() {
    let container = Container::new(Bundle::busybox(&["true"]).unwrap()).unwrap();
    container.run().unwrap().success().unwrap();
    assert_ne!(container.call(&["state", &container.id]).unwrap().code, 0);
    // The id is free again.
    container.run().unwrap().success().unwrap();
}

#[rstest]
fn two_containers_side_by_side() {
    let (one, two) = (running(), running());
    one.kill("KILL").unwrap().success().unwrap();
    one.wait_for_status("stopped").unwrap();
    assert_eq!(two.status(), "running");
}

#[rstest]
fn hooks_run_with_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let hook = |name: &str| {
        let target = directory.path().join(name);
        json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("cat >{}", target.display())]}])
    };
    let bundle = Bundle::busybox(&["true"])
        .unwrap()
        .set("/hooks/prestart", hook("prestart"))
        .set("/hooks/poststart", hook("poststart"))
        .set("/hooks/poststop", hook("poststop"));
    let container = Container::new(bundle).unwrap();
    let state = |name: &str| -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(directory.path().join(name)).ok()?).ok()
    };
    container.create(&[]).unwrap().success().unwrap();
    let seen = state("prestart").unwrap();
    assert_eq!(seen["id"], json!(container.id));
    assert!(seen["pid"].as_i64().unwrap() > 0, "{seen}");
    // When poststart runs differs: runc 1.1 runs it at the end of create already.
    container.start().unwrap().success().unwrap();
    assert_eq!(state("poststart").unwrap()["id"], json!(container.id));
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    assert_eq!(state("poststop").unwrap()["id"], json!(container.id));
}

#[rstest]
fn failing_hook_fails_create() {
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "exit 1"]}]);
    let container = Container::new(
        Bundle::busybox(&["true"])
            .unwrap()
            .set("/hooks/prestart", hook),
    )
    .unwrap();
    assert_ne!(container.create(&[]).unwrap().code, 0);
    assert_ne!(container.call(&["state", &container.id]).unwrap().code, 0);
}

/// Paths of unix sockets have room for 107 bytes (`man 7 unix`), and docker's state has a longer one.
#[rstest]
fn long_id_and_state_path() {
    let bundle = Bundle::busybox(&["sleep", "1000"]).unwrap();
    let container = Container::with_long_names(bundle).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    let output = container.exec(&[], &["echo", "inside"]).unwrap();
    assert_eq!(output.stdout, "inside\n", "{output:?}");
    let list = container.call(&["list", "--quiet"]).unwrap();
    assert_eq!(list.stdout.trim(), container.id);
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    let list = container.call(&["list", "--quiet"]).unwrap();
    assert_eq!(list.stdout.trim(), "");
}
