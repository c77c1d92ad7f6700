//! docker's short list on the platforms that no other case of it runs on, and where the runtime's state has a long path.

use std::sync::Arc;
use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::{Docker, Running, wait_until_gone};
use rstest::rstest;

use crate::{checked, needs_root, other_platforms};

const SOON: Duration = Duration::from_secs(30);

#[rstest]
fn short_list() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    for runtime in other_platforms() {
        let name = Docker::name_of(&runtime);
        run_exec_and_stop(&docker, &["--runtime", &name]);
        hog_is_killed(&docker, &["--runtime", &name]);
    }
}

/// Paths of unix sockets have room for 107 bytes (`man 7 unix`).
#[rstest]
fn state_path_of_150_bytes() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    run_exec_and_stop(&docker, &["--runtime", &Docker::long()]);
}

fn run_exec_and_stop(docker: &Arc<Docker>, flags: &[&str]) {
    let output = docker.run(flags, &["sh", "-c", &checked("echo $((6 * 7)); exit 3")]);
    let output = output.unwrap();
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("42\n", 3),
        "{output:?}"
    );
    let script = checked("trap 'exit 4' TERM; echo up; while :; do sleep 0.1; done");
    let running = Running::start(docker, flags, &["sh", "-c", &script]).unwrap();
    let is_up = || running.logs().unwrap() == "up\n";
    wait_until("output", SOON, is_up).unwrap();
    let call = |before: &[&str], after: &[&str]| running.call(before, after).unwrap();
    let output = call(&["exec"], &["sh", "-c", &checked("echo inside; exit 5")]);
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("inside\n", 5),
        "{output:?}"
    );
    let top = call(&["top"], &["-eo", "pid,comm"]).success().unwrap();
    // One for each process of the container, or one for all where they are none of the host's.
    assert!(top.stdout.lines().count() >= 2, "{top:?}");
    call(&["stop"], &[]).success().unwrap();
    assert_eq!(running.inspect("{{.State.ExitCode}}").unwrap(), "4");
    call(&["rm"], &[]).success().unwrap();
    wait_until_gone(std::slice::from_ref(&running.id)).unwrap();
}

fn hog_is_killed(docker: &Arc<Docker>, flags: &[&str]) {
    let limits = ["--memory", "64m", "--memory-swap", "64m"];
    let hog = checked("exec tail /dev/zero");
    let running = Running::start(docker, &[flags, &limits].concat(), &["sh", "-c", &hog]).unwrap();
    assert_eq!(running.call(&["wait"], &[]).unwrap().stdout, "137\n");
    assert_eq!(running.inspect("{{.State.OOMKilled}}").unwrap(), "true");
}
