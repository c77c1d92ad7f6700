//! containerd, by `ctr`.

use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::{Containerd, wait_until_gone};
use fixtures::runtime::Runtime;
use rstest::rstest;

use crate::{checked, needs_root};

/// A shell script that does something and stays for a moment. `ctr` gives up the pipes that it has not
/// opened yet when a process ends, whatever was written to them, with every runtime.
fn ends_later(script: &str, code: i32) -> String {
    format!("{script}; sleep 2; exit {code}")
}

#[rstest]
fn short_list() {
    needs_root!();
    for runtime in Runtime::matrix().unwrap() {
        short_list_on(&runtime);
    }
}

fn short_list_on(runtime: &Runtime) {
    let containerd = Containerd::start(runtime).unwrap();
    containerd.make_root().unwrap();
    let script = checked(&ends_later("echo hello", 3));
    let output = containerd
        .run(&["--rm"], "once", &["sh", "-c", &script])
        .unwrap();
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("hello\n", 3),
        "{output:?}"
    );
    let directory = tempfile::tempdir().unwrap();
    let mount = format!(
        "type=bind,src={},dst=/data,options=rbind:rw",
        directory.path().display()
    );
    let flags = [
        "--rm",
        "--env",
        "A=b",
        "--cwd",
        "/tmp",
        "--mount",
        &mount,
        "--memory-limit",
        "67108864",
        "--cap-drop",
        "CAP_CHOWN",
        "--cap-drop",
        "CAP_DAC_READ_SEARCH",
        "--read-only",
    ];
    let script = checked(
        "echo $A; pwd; grep CapBnd /proc/self/status | tail -c 3; id -u >/data/new; touch /x 2>/dev/null || echo refused; sleep 1",
    );
    let output = containerd
        .run(&flags, "flags", &["sh", "-c", &script])
        .unwrap();
    assert_eq!(output.stdout, "b\n/tmp\nfa\nrefused\n", "{output:?}");
    let new = std::fs::read_to_string(directory.path().join("new")).unwrap();
    assert_eq!(new, "0\n");
    let missing = containerd
        .run(&["--rm"], "missing", &["nosuchprogram"])
        .unwrap();
    assert!(
        missing.stderr.contains("executable file not found"),
        "{missing:?}"
    );

    let script = checked("while :; do echo tick; sleep 0.1; done");
    containerd
        .run(&["--detach", "--null-io"], "stays", &["sh", "-c", &script])
        .unwrap()
        .success()
        .unwrap();
    let call = |args: &[&str]| containerd.ctr(args).unwrap();
    let ls = || call(&["task", "ls"]).stdout;
    assert!(ls().contains("RUNNING"), "{}", ls());
    let executed = call(&[
        "task",
        "exec",
        "--exec-id",
        "e1",
        "stays",
        "sh",
        "-c",
        &checked(&ends_later("echo inside", 4)),
    ]);
    assert_eq!(
        (executed.stdout.as_str(), executed.code),
        ("inside\n", 4),
        "{executed:?}"
    );
    let ps = call(&["task", "ps", "stays"]).success().unwrap();
    assert!(ps.stdout.lines().count() >= 2, "{ps:?}");
    call(&["task", "metrics", "stays"]).success().unwrap();
    call(&["task", "pause", "stays"]).success().unwrap();
    assert!(ls().contains("PAUSED"), "{}", ls());
    call(&["task", "resume", "stays"]).success().unwrap();
    assert!(ls().contains("RUNNING"), "{}", ls());
    let refused = call(&["task", "checkpoint", "stays"]);
    assert_ne!(refused.code, 0);
    call(&["task", "kill", "--signal", "SIGKILL", "stays"])
        .success()
        .unwrap();
    wait_until("the end", Duration::from_secs(20), || {
        ls().contains("STOPPED")
    })
    .unwrap();
    call(&["task", "delete", "stays"]);
    call(&["container", "delete", "stays"]).success().unwrap();
}

#[rstest]
fn containerd_is_killed_and_comes_back() {
    needs_root!();
    let containerd = Containerd::start(&Runtime::under_test().unwrap()).unwrap();
    containerd.make_root().unwrap();
    containerd
        .run(&["--detach", "--null-io"], "survivor", &["sleep", "1000"])
        .unwrap()
        .success()
        .unwrap();
    containerd.kill();
    containerd.launch().unwrap();
    let call = |args: &[&str]| containerd.ctr(args).unwrap();
    assert!(call(&["task", "ls"]).stdout.contains("RUNNING"));
    let script = checked(&ends_later("echo alive", 0));
    let executed = call(&[
        "task",
        "exec",
        "--exec-id",
        "e1",
        "survivor",
        "sh",
        "-c",
        &script,
    ]);
    assert_eq!(executed.stdout, "alive\n", "{executed:?}");
    call(&["task", "kill", "--signal", "SIGKILL", "survivor"])
        .success()
        .unwrap();
    let stopped = || call(&["task", "ls"]).stdout.contains("STOPPED");
    wait_until("the end", Duration::from_secs(20), stopped).unwrap();
    call(&["task", "delete", "survivor"]);
    call(&["container", "delete", "survivor"])
        .success()
        .unwrap();
    wait_until_gone(&["survivor".to_owned()]).unwrap();
}
