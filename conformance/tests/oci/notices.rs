//! What the user asked for and does not get is said once, where the user reads it.

use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command::{self, Output};
use fixtures::container::Container;
use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;
use serde_json::json;

/// Gives the container's network namespace a pair of interfaces with an address, as an engine's hook does.
const HOOK: &str = "pid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'); \
    nsenter --net=/proc/$pid/ns/net sh -c 'ip link add one type veth peer name two && \
    ip address add 10.9.8.7/24 dev one && ip link set one up'";

/// Runs with the network as it is by default, unless `flag` says otherwise. Also what is in the user log.
fn run(runtime: &Runtime, hooks: bool, flag: Option<&str>) -> (Output, String) {
    let script = "echo out; echo err >&2";
    let mut bundle = Bundle::busybox(&["sh", "-c", script]).unwrap();
    if hooks {
        let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", HOOK], "env": ["PATH=/sbin:/bin:/usr/sbin:/usr/bin"]});
        bundle = bundle.set("/hooks", json!({"createRuntime": [hook]}));
    }
    let container = Container::of(runtime.clone(), bundle).unwrap();
    let log = container.root().join("user.log");
    let mut command = runtime.plain(container.root());
    command.args(flag).arg("run");
    if runtime.kind == Kind::Runsc {
        command.arg("--user-log").arg(&log);
    }
    command.arg("--bundle").arg(container.bundle.path());
    command.arg(&container.id);
    let output = command::run(&mut command, Duration::from_secs(60)).unwrap();
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    (output.success().unwrap(), log)
}

#[rstest]
fn a_network_that_is_not_there_is_said_once() {
    for runtime in Runtime::matrix().unwrap() {
        let expected = usize::from(runtime.kind == Kind::Runsc);
        let (output, log) = run(&runtime, true, None);
        let said = |text: &str| text.matches("this container has no network").count();
        assert_eq!(output.stdout, "out\n", "{output:?}");
        assert_eq!(said(&output.stderr), expected, "{output:?}");
        assert_eq!(output.stderr.lines().last(), Some("err"), "{output:?}");
        assert_eq!(said(&log), expected, "{log}");
    }
}

#[rstest]
fn without_a_network_nothing_is_said() {
    for runtime in Runtime::matrix().unwrap() {
        assert_eq!(run(&runtime, false, None).0.stderr, "err\n");
        if runtime.kind == Kind::Runsc {
            assert_eq!(
                run(&runtime, true, Some("--network=none")).0.stderr,
                "err\n"
            );
        }
    }
}
