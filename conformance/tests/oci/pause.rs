//! `pause` and `resume`: all processes of a container stop and go on.

use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command::wait_until;
use fixtures::container::Container;
use rstest::rstest;

const SOON: Duration = Duration::from_secs(10);

/// A container whose two processes add to a file ten times a second.
fn ticking() -> (Container, std::path::PathBuf) {
    let script = "while :; do echo tick >>/ticks; sleep 0.1; done & while :; do echo tock >>/ticks; sleep 0.1; done";
    let bundle = Bundle::busybox(&["sh", "-c", script]).unwrap();
    let file = bundle.path().join("rootfs/ticks");
    let container = Container::new(bundle).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    wait_until("ticks", SOON, || length(&file) > 0).unwrap();
    (container, file)
}

fn succeed(container: &Container, verb: &str) {
    let output = container.call(&[verb, &container.id]).unwrap();
    output.success().unwrap();
}

fn length(file: &std::path::Path) -> u64 {
    file.metadata().map_or(0, |data| data.len())
}

#[rstest]
fn paused_processes_do_nothing_until_resume() {
    let (container, file) = ticking();
    succeed(&container, "pause");
    assert_eq!(container.status(), "paused");
    // What is under way when it stops may still be written.
    std::thread::sleep(Duration::from_millis(200));
    let before = length(&file);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(length(&file), before);
    succeed(&container, "resume");
    assert_eq!(container.status(), "running");
    wait_until("more ticks", SOON, || length(&file) > before).unwrap();
}

#[rstest]
fn paused_container_runs_no_other_process() {
    let (container, _) = ticking();
    succeed(&container, "pause");
    let output = container.exec(&[], &["true"]).unwrap();
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("paused"), "{output:?}");
    succeed(&container, "resume");
    container.exec(&[], &["true"]).unwrap().success().unwrap();
}

#[rstest]
fn paused_container_can_be_killed_and_deleted() {
    let (container, _) = ticking();
    succeed(&container, "pause");
    assert_ne!(container.delete(&[]).unwrap().code, 0);
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
}

#[rstest]
fn only_what_runs_is_paused_and_only_what_is_paused_resumes() {
    let bundle = Bundle::busybox(&["sleep", "1000"]).unwrap();
    let container = Container::new(bundle).unwrap();
    let call = |verb: &str| container.call(&[verb, &container.id]).unwrap().code;
    assert_ne!(call("pause"), 0);
    container.run_detached(&[]).unwrap().success().unwrap();
    assert_ne!(call("resume"), 0);
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    assert_ne!(call("pause"), 0);
    assert_ne!(call("resume"), 0);
}
