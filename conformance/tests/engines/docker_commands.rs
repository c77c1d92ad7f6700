//! docker's commands on a container that runs.

use std::time::Duration;

use fixtures::command::{Output, wait_until};
use fixtures::engines::{Docker, Running, left_behind};
use fixtures::runtime::Runtime;
use rstest::rstest;

use crate::{checked, needs_root, run_detached};

const SOON: Duration = Duration::from_secs(20);

/// Prints a line ten times a second.
const TICKER: &str = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done";

fn call(running: &Running, before: &[&str], after: &[&str]) -> Output {
    running.call(before, after).unwrap()
}

fn ticks(running: &Running) -> usize {
    running.logs().unwrap().lines().count()
}

fn has_ended(running: &Running) -> bool {
    running.status().unwrap() == "exited"
}

#[rstest]
fn exec_runs_beside_the_init_process() {
    needs_root!();
    let running = run_detached(&[], "sleep 1000");
    let script = checked("id -u; pwd; echo $A; exit 7");
    let output = call(
        &running,
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
    let missing = call(&running, &["exec"], &["nosuchprogram"]);
    assert!([126, 127].contains(&missing.code), "{missing:?}");
    call(&running, &["exec", "--detach"], &["sleep", "999"])
        .success()
        .unwrap();
    wait_until("the detached process", SOON, || {
        call(&running, &["exec"], &["ps"])
            .stdout
            .contains("sleep 999")
    })
    .unwrap();
}

#[rstest]
fn top_shows_the_containers_processes_and_no_others() {
    needs_root!();
    let running = run_detached(&[], "sleep 1000 & sleep 1001 & wait");
    wait_until("three processes", SOON, || {
        call(&running, &["exec"], &["ps"])
            .stdout
            .matches("sleep 100")
            .count()
            >= 2
    })
    .unwrap();
    let output = call(&running, &["top"], &["-eo", "pid,comm"])
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
    let output = call(&running, &["top"], &[]).success().unwrap();
    for command in ["sleep 1000", "sleep 1001", "& wait"] {
        let shown = output.stdout.lines().any(|line| line.ends_with(command));
        assert!(shown, "{command}: {}", output.stdout);
    }
}

#[rstest]
fn stats_agree_with_the_container() {
    needs_root!();
    let running = run_detached(&["--memory", "64m"], "sleep 1000 & sleep 1001 & wait");
    let output = call(
        &running,
        &["stats", "--no-stream", "--format", "{{.MemUsage}}"],
        &[],
    );
    assert!(output.stdout.contains("/ 64MiB"), "{output:?}");
}

#[rstest]
fn pause_stops_everything_until_unpause() {
    needs_root!();
    let running = run_detached(&[], TICKER);
    wait_until("output", SOON, || ticks(&running) > 0).unwrap();
    call(&running, &["pause"], &[]).success().unwrap();
    assert_eq!(running.status().unwrap(), "paused");
    assert_ne!(call(&running, &["exec"], &["true"]).code, 0);
    let before = ticks(&running);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ticks(&running), before);
    call(&running, &["unpause"], &[]).success().unwrap();
    wait_until("more output", SOON, || ticks(&running) > before).unwrap();
    call(&running, &["pause"], &[]).success().unwrap();
    call(&running, &["kill"], &[]).success().unwrap();
    wait_until("the end", SOON, || has_ended(&running)).unwrap();
}

#[rstest]
fn stop_asks_first_and_kill_sends_any_signal() {
    needs_root!();
    let running = run_detached(
        &[],
        "trap 'echo asked; exit 4' TERM; trap 'echo one' USR1; while :; do sleep 0.1; done",
    );
    std::thread::sleep(Duration::from_millis(300));
    call(&running, &["kill", "--signal", "USR1"], &[])
        .success()
        .unwrap();
    wait_until("the handler", SOON, || {
        call(&running, &["logs"], &[]).stdout.contains("one")
    })
    .unwrap();
    call(&running, &["stop"], &[]).success().unwrap();
    assert_eq!(running.inspect("{{.State.ExitCode}}").unwrap(), "4");
    assert!(call(&running, &["logs"], &[]).stdout.contains("asked"));
}

#[rstest]
fn wait_restart_and_logs() {
    needs_root!();
    let running = run_detached(&[], "echo begun; sleep 1; exit 5");
    assert_eq!(call(&running, &["wait"], &[]).stdout, "5\n");
    call(&running, &["restart"], &[]).success().unwrap();
    let followed = call(&running, &["logs", "--follow"], &[]);
    assert_eq!(followed.stdout, "begun\nbegun\n");
    assert_eq!(call(&running, &["wait"], &[]).stdout, "5\n");
}

#[rstest]
fn copies_go_both_ways() {
    needs_root!();
    let running = run_detached(&[], "sleep 1000");
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
    let output = call(
        &running,
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
    let running = run_detached(
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
        running.inspect("{{.State.Health.Status}}").unwrap() == "healthy"
    })
    .unwrap();
}

#[rstest]
fn removal_by_force_leaves_nothing() {
    needs_root!();
    let running = run_detached(&[], "sleep 1000");
    let id = running.id.clone();
    let pid = running.inspect("{{.State.Pid}}").unwrap();
    call(&running, &["rm", "--force"], &[]).success().unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(left_behind(&id).is_empty());
}

/// The host's process that docker names stands for the program: what is sent to it arrives there.
#[rstest]
fn signals_to_the_hosts_process_reach_the_program() {
    needs_root!();
    for runtime in Runtime::matrix().unwrap() {
        let name = Docker::name_of(&runtime);
        let script = "trap 'echo one' USR1; trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.1; done";
        let running = run_detached(&["--runtime", &name], script);
        let said = |what: &'static str| {
            wait_until(what, SOON, || running.logs().unwrap().contains(what)).unwrap();
        };
        said("ready");
        let pid = running.inspect("{{.State.Pid}}").unwrap();
        for (signal, answer) in [("-USR1", "one"), ("-TERM", "asked")] {
            let mut kill = std::process::Command::new("kill");
            kill.args([signal, &pid]);
            fixtures::command::run(&mut kill, SOON)
                .unwrap()
                .success()
                .unwrap();
            said(answer);
        }
        wait_until("the end", SOON, || has_ended(&running)).unwrap();
        assert_eq!(running.inspect("{{.State.ExitCode}}").unwrap(), "4");
    }
}
