//! docker's commands on a container that runs.

use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::Docker;
use rstest::rstest;

use crate::{checked, needs_root, unique};

const SOON: Duration = Duration::from_secs(20);

/// Prints a line ten times a second.
const TICKER: &str = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done";

/// A container that is removed at the end.
struct Running {
    docker: std::sync::Arc<Docker>,
    name: String,
}

impl Running {
    fn new(flags: &[&str], script: &str) -> Running {
        let docker = Docker::shared().unwrap();
        let name = unique("command");
        docker
            .run_detached(&name, flags, &["sh", "-c", &checked(script)])
            .unwrap();
        Running { docker, name }
    }

    fn call(&self, before: &[&str], after: &[&str]) -> fixtures::command::Output {
        let args: Vec<&str> = before
            .iter()
            .copied()
            .chain([self.name.as_str()])
            .chain(after.iter().copied())
            .collect();
        self.docker.docker(&args).unwrap()
    }

    fn status(&self) -> String {
        self.docker
            .inspect(&self.name, "{{.State.Status}}")
            .unwrap()
    }

    fn ticks(&self) -> usize {
        self.call(&["logs"], &[]).stdout.lines().count()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.docker.remove(&self.name);
    }
}

#[rstest]
fn exec_runs_beside_the_init_process() {
    needs_root!();
    let running = Running::new(&[], "sleep 1000");
    let script = checked("id -u; pwd; echo $A; exit 7");
    let output = running.call(
        &[
            "exec",
            "--user",
            "1000",
            "--workdir",
            "/tmp",
            "--env",
            "A=b",
        ],
        &["sh", "-c", &script],
    );
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("1000\n/tmp\nb\n", 7)
    );
    let missing = running.call(&["exec"], &["nosuchprogram"]);
    assert!([126, 127].contains(&missing.code), "{missing:?}");
    running
        .call(&["exec", "--detach"], &["sleep", "999"])
        .success()
        .unwrap();
    wait_until("the detached process", SOON, || {
        running
            .call(&["exec"], &["ps"])
            .stdout
            .contains("sleep 999")
    })
    .unwrap();
}

#[rstest]
fn top_shows_the_containers_processes_and_no_others() {
    needs_root!();
    let running = Running::new(&[], "sleep 1000 & sleep 1001 & wait");
    wait_until("three processes", SOON, || {
        running
            .call(&["exec"], &["ps"])
            .stdout
            .matches("sleep 100")
            .count()
            >= 2
    })
    .unwrap();
    let output = running
        .call(&["top"], &["-eo", "pid,comm"])
        .success()
        .unwrap();
    let mut names: Vec<&str> = output
        .stdout
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["sh", "sleep", "sleep"], "{}", output.stdout);
}

#[rstest]
fn stats_agree_with_the_container() {
    needs_root!();
    let running = Running::new(&["--memory", "64m"], "sleep 1000 & sleep 1001 & wait");
    let output = running.call(&["stats", "--no-stream", "--format", "{{.MemUsage}}"], &[]);
    assert!(output.stdout.contains("/ 64MiB"), "{output:?}");
}

#[rstest]
fn pause_stops_everything_until_unpause() {
    needs_root!();
    let running = Running::new(&[], TICKER);
    wait_until("output", SOON, || running.ticks() > 0).unwrap();
    running.call(&["pause"], &[]).success().unwrap();
    assert_eq!(running.status(), "paused");
    assert_ne!(running.call(&["exec"], &["true"]).code, 0);
    let before = running.ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(running.ticks(), before);
    running.call(&["unpause"], &[]).success().unwrap();
    wait_until("more output", SOON, || running.ticks() > before).unwrap();
    running.call(&["pause"], &[]).success().unwrap();
    running.call(&["kill"], &[]).success().unwrap();
    wait_until("the end", SOON, || running.status() == "exited").unwrap();
}

#[rstest]
fn stop_asks_first_and_kill_sends_any_signal() {
    needs_root!();
    let running = Running::new(
        &[],
        "trap 'echo asked; exit 4' TERM; trap 'echo one' USR1; while :; do sleep 0.1; done",
    );
    std::thread::sleep(Duration::from_millis(300));
    running
        .call(&["kill", "--signal", "USR1"], &[])
        .success()
        .unwrap();
    wait_until("the handler", SOON, || {
        running.call(&["logs"], &[]).stdout.contains("one")
    })
    .unwrap();
    running.call(&["stop"], &[]).success().unwrap();
    assert_eq!(
        running
            .docker
            .inspect(&running.name, "{{.State.ExitCode}}")
            .unwrap(),
        "4"
    );
    assert!(running.call(&["logs"], &[]).stdout.contains("asked"));
}

#[rstest]
fn wait_restart_and_logs() {
    needs_root!();
    let running = Running::new(&[], "echo begun; sleep 1; exit 5");
    assert_eq!(running.call(&["wait"], &[]).stdout, "5\n");
    running.call(&["restart"], &[]).success().unwrap();
    let followed = running.call(&["logs", "--follow"], &[]);
    assert_eq!(followed.stdout, "begun\nbegun\n");
    assert_eq!(running.call(&["wait"], &[]).stdout, "5\n");
}

#[rstest]
fn copies_go_both_ways() {
    needs_root!();
    let running = Running::new(&[], "sleep 1000");
    let directory = tempfile::tempdir().unwrap();
    let (there, back) = (
        directory.path().join("there"),
        directory.path().join("back"),
    );
    std::fs::write(&there, "carried\n").unwrap();
    let inside = format!("{}:/root/file", running.name);
    let docker = &running.docker;
    docker
        .docker(&["cp", &there.to_string_lossy(), &inside])
        .unwrap()
        .success()
        .unwrap();
    let output = running.call(
        &["exec"],
        &["sh", "-c", "cat /root/file; echo inside >>/root/file"],
    );
    assert_eq!(output.stdout, "carried\n");
    docker
        .docker(&["cp", &inside, &back.to_string_lossy()])
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(std::fs::read_to_string(back).unwrap(), "carried\ninside\n");
}

#[rstest]
fn health_checks_run_inside() {
    needs_root!();
    let check = checked("test -e /tmp/healthy");
    let running = Running::new(
        &[
            "--health-cmd",
            &check,
            "--health-interval",
            "500ms",
            "--health-retries",
            "2",
        ],
        "touch /tmp/healthy; sleep 1000",
    );
    wait_until("health", SOON, || {
        running
            .docker
            .inspect(&running.name, "{{.State.Health.Status}}")
            .unwrap()
            == "healthy"
    })
    .unwrap();
}

#[rstest]
fn removal_by_force_leaves_nothing() {
    needs_root!();
    let running = Running::new(&[], "sleep 1000");
    let id = running.docker.inspect(&running.name, "{{.Id}}").unwrap();
    let pid = running
        .docker
        .inspect(&running.name, "{{.State.Pid}}")
        .unwrap();
    running.call(&["rm", "--force"], &[]).success().unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(crate::docker_storm::left_behind(&id).is_empty());
}
