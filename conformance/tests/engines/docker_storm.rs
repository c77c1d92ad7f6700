//! Many containers at once and one after the other; daemons that are killed. Nothing may be left.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::Docker;
use rstest::rstest;

use crate::{checked, needs_root, on_our_kernel, unique};

/// How many at once, and how many in sequence; `ENGINE_STORM=full` is what a release is tested with.
fn counts() -> (usize, usize) {
    match std::env::var("ENGINE_STORM").as_deref() {
        Ok("full") => (50, 500),
        _ => (10, 20),
    }
}

/// What is left of a container: processes, mounts and control groups that name its id.
pub(crate) fn left_behind(id: &str) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let program = command.split(' ').next().unwrap_or_default().to_owned();
        // docker's own client may still name it.
        if command.contains(id) && !program.ends_with("docker") {
            left.push(format!("process {command}"));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains(id))
            .map(|line| format!("mount {line}")),
    );
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    for hierarchy in hierarchies {
        for parent in [hierarchy.path(), hierarchy.path().join("docker")] {
            let groups = fs::read_dir(parent).into_iter().flatten().flatten();
            let named = groups.filter(|group| group.file_name().to_string_lossy().contains(id));
            left.extend(named.map(|group| format!("control group {}", group.path().display())));
        }
    }
    left
}

/// Waits until nothing is left: a shim takes a moment to end after its container.
fn assert_gone(ids: &[String]) {
    let gone = wait_until("the end of everything", Duration::from_secs(30), || {
        ids.iter().all(|id| left_behind(id).is_empty())
    });
    let left: Vec<String> = ids.iter().flat_map(|id| left_behind(id)).collect();
    assert!(gone.is_ok(), "{left:#?}");
}

#[rstest]
fn many_at_once() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let (at_once, _) = counts();
    let names: Vec<String> = (0..at_once).map(|_| unique("storm")).collect();
    let script = checked("echo up; sleep 1000");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let started: Vec<_> = names
            .iter()
            .map(|name| {
                scope.spawn(|| {
                    docker
                        .run_detached(name, &[], &["sh", "-c", &script])
                        .unwrap()
                })
            })
            .collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for name in &names {
        let up = || docker.docker(&["logs", name]).unwrap().stdout == "up\n";
        wait_until("output", Duration::from_secs(30), up).unwrap();
    }
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                docker
                    .docker(&["rm", "--force", name])
                    .unwrap()
                    .success()
                    .unwrap()
            });
        }
    });
    assert_gone(&ids);
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
    for _ in 0..in_sequence {
        let output = docker.run(&[], &["sh", "-c", on_our_kernel()]).unwrap();
        assert_eq!(output.code, 0, "{output:?}");
    }
    let after = descriptors(docker.pid());
    assert!(after <= before + 10, "{before} descriptors became {after}");
    let groups = count(Path::new("/sys/fs/cgroup/memory/docker"));
    assert!(groups < 500, "{groups} entries of docker's control group");
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
    let name = unique("survivor");
    let script = checked("i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done");
    let id = docker
        .run_detached(&name, &[], &["sh", "-c", &script])
        .unwrap();
    docker.kill();
    docker.launch().unwrap();
    assert_eq!(
        docker.inspect(&name, "{{.State.Status}}").unwrap(),
        "running"
    );
    let output = docker.docker(&["exec", &name, "echo", "alive"]).unwrap();
    assert_eq!(output.stdout, "alive\n", "{output:?}");
    docker
        .docker(&["rm", "--force", &name])
        .unwrap()
        .success()
        .unwrap();
    assert_gone(&[id]);
}

#[rstest]
fn shim_is_killed_and_the_container_can_be_removed() {
    needs_root!();
    let docker = Docker::start().unwrap();
    let name = unique("orphan");
    let id = docker.run_detached(&name, &[], &["sleep", "1000"]).unwrap();
    let shim = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find(|entry| {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            command.contains("containerd-shim") && command.contains(&id)
        })
        .and_then(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok())
        .and_then(rustix::process::Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    let ended = || docker.inspect(&name, "{{.State.Status}}").unwrap() == "exited";
    wait_until("docker's notice of it", Duration::from_secs(30), ended).unwrap();
    docker
        .docker(&["rm", "--force", &name])
        .unwrap()
        .success()
        .unwrap();
    assert_gone(&[id]);
}

#[rstest]
fn docker_run_takes_at_most_a_third_longer_than_with_runc() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let runtime = fixtures::runtime::Runtime::under_test().unwrap();
    if !runtime
        .program
        .components()
        .any(|part| part.as_os_str() == "release")
    {
        // A build for debugging says nothing.
        return;
    }
    let time = |name: &str| {
        let before = std::time::Instant::now();
        docker
            .run(&["--runtime", name], &["true"])
            .unwrap()
            .success()
            .unwrap();
        before.elapsed()
    };
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..9 {
        // In turns: other tests run meanwhile.
        ours.push(time(fixtures::engines::RUNTIME_NAME));
        theirs.push(time("runc"));
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    assert!(ours[4] <= theirs[4].mul_f64(1.3), "{ours:?}\n{theirs:?}");
}
