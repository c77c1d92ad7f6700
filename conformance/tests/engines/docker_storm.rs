//! Many containers at once and one after the other; daemons that are killed. Nothing may be left.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fixtures::command::wait_until;
use fixtures::engines::{Docker, RUNTIME_NAME, Running, wait_until_gone};
use rstest::rstest;

use crate::{checked, needs_root, on_our_kernel};

/// How many at once, and how many in sequence; `ENGINE_STORM=full` is what a release is tested with.
fn counts() -> (usize, usize) {
    match std::env::var("ENGINE_STORM").as_deref() {
        Ok("full") => (50, 500),
        _ => (10, 20),
    }
}

#[rstest]
fn many_at_once() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let (at_once, _) = counts();
    let script = checked("echo up; sleep 1000");
    let start = || Running::start(&docker, &[], &["sh", "-c", &script]).unwrap();
    let all: Vec<Running> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..at_once).map(|_| scope.spawn(start)).collect();
        let all = started.into_iter().map(|thread| thread.join().unwrap());
        all.collect()
    });
    for running in &all {
        let up = || running.logs().unwrap() == "up\n";
        wait_until("output", Duration::from_secs(30), up).unwrap();
    }
    std::thread::scope(|scope| {
        for running in &all {
            scope.spawn(|| {
                let removed = running.call(&["rm", "--force"], &[]);
                removed.unwrap().success().unwrap();
            });
        }
    });
    let ids: Vec<String> = all.iter().map(|running| running.id.clone()).collect();
    wait_until_gone(&ids).unwrap();
}

#[rstest]
fn many_in_sequence() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let (_, in_sequence) = counts();
    let count = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
    let descriptors =
        |pid: Option<u32>| pid.map_or(0, |pid| count(Path::new(&format!("/proc/{pid}/fd"))));
    docker.run(&[], &["true"]).unwrap().success().unwrap();
    let before = descriptors(docker.pid());
    let mut ids = Vec::new();
    for number in 0..in_sequence {
        let file = docker.path().join(format!("id-{number}"));
        let flags = ["--cidfile", &file.to_string_lossy()];
        let output = docker.run(&flags, &["sh", "-c", on_our_kernel()]).unwrap();
        assert_eq!(output.code, 0, "{output:?}");
        ids.push(fs::read_to_string(file).unwrap());
    }
    let after = descriptors(docker.pid());
    assert!(after <= before + 10, "{before} descriptors became {after}");
    wait_until_gone(&ids).unwrap();
    let root = docker
        .path()
        .join("exec")
        .join("runtime-under-test")
        .join("moby");
    let states: Vec<_> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert!(states.is_empty(), "{states:?}");
}

#[rstest]
fn dockerd_is_killed_and_comes_back() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let script = checked("i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done");
    let running = Running::start(&docker, &[], &["sh", "-c", &script]).unwrap();
    docker.kill();
    docker.launch().unwrap();
    assert_eq!(running.status().unwrap(), "running");
    let output = running.call(&["exec"], &["echo", "alive"]).unwrap();
    assert_eq!(output.stdout, "alive\n", "{output:?}");
    remove(&running);
}

#[rstest]
fn containerd_is_killed_under_docker_and_comes_back() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let running = Running::start(&docker, &[], &["sleep", "1000"]).unwrap();
    docker.restart_containerd().unwrap();
    let alive = || {
        let output = running.call(&["exec"], &["sh", "-c", &checked("echo alive; sleep 1")]);
        output.unwrap().stdout == "alive\n"
    };
    wait_until("docker's way back", Duration::from_secs(30), alive).unwrap();
    assert_eq!(running.status().unwrap(), "running");
    remove(&running);
}

fn remove(running: &Running) {
    let removed = running.call(&["rm", "--force"], &[]).unwrap();
    removed.success().unwrap();
    wait_until_gone(std::slice::from_ref(&running.id)).unwrap();
}

#[rstest]
fn shim_is_killed_and_the_container_can_be_removed() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let running = Running::start(&docker, &[], &["sleep", "1000"]).unwrap();
    let shim = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find(|entry| {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            command.contains("containerd-shim") && command.contains(&running.id)
        })
        .and_then(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok())
        .and_then(rustix::process::Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    let ended = || running.status().unwrap() == "exited";
    wait_until("docker's notice of it", Duration::from_secs(30), ended).unwrap();
    remove(&running);
}

#[rstest]
#[ignore = "a measurement"]
fn docker_run_beside_runc() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let time = |name: &str| {
        let before = Instant::now();
        let output = docker.run(&["--runtime", name], &["true"]).unwrap();
        let elapsed = before.elapsed();
        output.success().unwrap();
        elapsed
    };
    // In turns, so that what else the machine does meets both.
    let pairs: Vec<(Duration, Duration)> = (0..20)
        .map(|_| (time(RUNTIME_NAME), time("runc")))
        .collect();
    let ours = median(pairs.iter().map(|pair| pair.0).collect());
    let theirs = median(pairs.iter().map(|pair| pair.1).collect());
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("docker run of true, medians of 20: {ours:.1?}, runc {theirs:.1?}, ratio {ratio:.2}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
