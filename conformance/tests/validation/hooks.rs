//! config.md, *POSIX-platform Hooks*: when they run, where, and what they are given.

use std::path::Path;

use fixtures::bundle::Bundle;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{differs, host_shell, shell, text};

const ON_THE_HOST: [&str; 5] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "poststart",
    "poststop",
];

/// A bundle whose hooks of these kinds run a script each.
fn with_hooks(bundle: Bundle, kinds: &[&str], script: impl Fn(&str) -> String) -> Bundle {
    kinds.iter().fold(bundle, |bundle, kind| {
        bundle.set(
            &format!("/hooks/{kind}"),
            json!([host_shell(&script(kind))]),
        )
    })
}

/// From create to delete.
fn live(bundle: Bundle) -> Container {
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    container.start().unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    container
}

fn append(file: &Path, word: &str) -> String {
    format!("echo {word} >>{}", file.display())
}

/// *Hooks MUST be called in the listed order*
#[rstest]
#[case::prestart("prestart")]
#[case::create_runtime("createRuntime")]
#[case::create_container("createContainer")]
#[case::poststart("poststart")]
#[case::poststop("poststop")]
fn several_of_a_kind_run_in_order(#[case] kind: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order");
    let hooks: Vec<Value> = ["1", "2", "3"]
        .map(|n| host_shell(&append(&file, n)))
        .into();
    live(shell("true").set(&format!("/hooks/{kind}"), json!(hooks)));
    assert_eq!(text(&file), "1\n2\n3\n");
}

/// runtime.md, *Lifecycle*: prestart, createRuntime, createContainer; the program; poststart; poststop.
#[rstest]
fn kinds_run_in_the_order_of_the_life_cycle() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order");
    live(with_hooks(shell("true"), &ON_THE_HOST, |kind| {
        append(&file, kind)
    }));
    let wanted: String = ON_THE_HOST.iter().map(|kind| format!("{kind}\n")).collect();
    assert_eq!(text(&file), wanted);
}

/// *The prestart hooks MUST be called ... before the user-specified program command is executed*
#[rstest]
#[case::prestart("prestart")]
#[case::create_runtime("createRuntime")]
#[case::create_container("createContainer")]
fn hooks_of_create_run_before_the_program(#[case] kind: &str) {
    let bundle = shell("cat /from-hook >/seen");
    let file = bundle.rootfs().join("from-hook");
    let bundle = with_hooks(bundle, &[kind], |kind| append(&file, kind));
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    assert_eq!(text(&file), format!("{kind}\n"));
    container.start().unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    assert_eq!(
        text(&container.bundle.rootfs().join("seen")),
        format!("{kind}\n")
    );
}

/// *The poststart hooks MUST be called after the user-specified process is executed but before the start operation
/// returns*
#[rstest]
fn poststart_runs_before_start_returns() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("poststart");
    let bundle = with_hooks(shell("sleep 100"), &["poststart"], |kind| {
        append(&file, kind)
    });
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    if !differs("runc", "poststart runs at the end of create") {
        assert_eq!(text(&file), "");
    }
    container.start().unwrap().success().unwrap();
    assert_eq!(text(&file), "poststart\n");
}

/// *The poststop hooks MUST be called after the container is deleted but before the delete operation returns*
#[rstest]
fn poststop_runs_at_delete_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("poststop");
    let bundle = with_hooks(shell("true"), &["poststop"], |kind| append(&file, kind));
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    container.start().unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    assert_eq!(text(&file), "");
    container.delete(&[]).unwrap().success().unwrap();
    assert_eq!(text(&file), "poststop\n");
}

/// *The state of the container MUST be passed to hooks over stdin*
#[rstest]
#[case::prestart("prestart", "creating")]
#[case::create_runtime("createRuntime", "creating")]
#[case::create_container("createContainer", "creating")]
#[case::poststart("poststart", "running")]
#[case::poststop("poststop", "stopped")]
fn state_is_on_standard_input(#[case] kind: &str, #[case] status: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state");
    let bundle = shell("true").set("/annotations", json!({"org.example": "value"}));
    let bundle = with_hooks(bundle, &[kind], |_| format!("cat >{}", file.display()));
    let container = live(bundle);
    let state: Value = serde_json::from_str(&text(&file)).unwrap();
    assert_eq!(state["id"], json!(container.id));
    assert_eq!(state["bundle"], json!(container.bundle.path()));
    assert_eq!(state["annotations"]["org.example"], "value");
    assert!(state["ociVersion"].is_string(), "{state}");
    if !(kind == "poststart" && differs("runc", "poststart runs at the end of create")) {
        assert_eq!(state["status"], status);
    }
    if kind != "poststop" {
        // runc's createContainer hooks are given the pid as it is inside.
        assert!(state["pid"].as_u64().unwrap() >= 1, "{state}");
    }
}

/// *env (array of strings, OPTIONAL) with the same semantics as IEEE Std 1003.1-2008's environ*, *args ... execv's argv*
#[rstest]
fn arguments_and_environment_are_the_hooks_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out");
    let script = format!(
        "echo \"$0|$1|$NAME|$EMPTY|${{CARGO-none}}\" >{}",
        file.display()
    );
    let hook = json!({
        "path": "/bin/sh", "args": ["sh", "-c", script, "zero", "one two"],
        "env": ["NAME=va=lue", "EMPTY="],
    });
    live(shell("true").set("/hooks/createRuntime", json!([hook])));
    assert_eq!(text(&file), "zero|one two|va=lue||none\n");
}

/// *createRuntime ... in the runtime namespace*; *createContainer ... in the container namespace*: its network at least
#[rstest]
#[case::prestart("prestart", false)]
#[case::create_runtime("createRuntime", false)]
#[case::create_container("createContainer", true)]
fn network_namespace_of_hooks(#[case] kind: &str, #[case] inside: bool) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("net");
    if kind == "createContainer"
        && differs(
            "runc",
            "the hook runs in the container's mount namespace too, where the state's pid is not to be seen",
        )
    {
        return;
    }
    let script = |_: &str| {
        // The state's pid is the container's process.
        let pid = "sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'";
        format!(
            "pid=$({pid}); readlink /proc/self/ns/net /proc/$pid/ns/net >{}",
            file.display()
        )
    };
    live(with_hooks(shell("true"), &[kind], script));
    let text = text(&file);
    let (own, container) = text.trim().split_once('\n').unwrap();
    assert_eq!(own == container, inside, "{text}");
}

/// *startContainer ... in the container namespace ... path is resolved in the container namespace*
#[rstest]
fn start_container_hooks_run_inside_before_the_program() {
    let script = "cat >/state; uname -n >/name; echo $$ >/pid; echo hook >>/order";
    let bundle = shell("echo $$ >/own-pid; echo program >>/order")
        .set("/hostname", json!("inside"))
        .set(
            "/hooks/startContainer",
            json!([
                {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]},
                {"path": "/bin/sh", "args": ["sh", "-c", "echo second >>/order"], "env": ["PATH=/bin"]},
            ]),
        );
    let container = live(bundle);
    let inside = |name: &str| text(&container.bundle.rootfs().join(name));
    assert_eq!(inside("order"), "hook\nsecond\nprogram\n");
    assert_eq!(inside("name"), "inside\n");
    assert_eq!(inside("own-pid"), "1\n");
    let state: Value = serde_json::from_str(&inside("state")).unwrap();
    assert_eq!(state["id"], json!(container.id));
    assert_eq!(state["status"], "created");
}

/// What a hook leaves running does not hold the runtime up.
#[rstest]
fn background_processes_of_hooks_are_not_waited_for() {
    let before = std::time::Instant::now();
    let script = |_: &str| "sleep 30 >/dev/null 2>&1 </dev/null &".to_owned();
    live(with_hooks(shell("true"), &["createRuntime"], script));
    assert!(before.elapsed() < std::time::Duration::from_secs(25));
}
