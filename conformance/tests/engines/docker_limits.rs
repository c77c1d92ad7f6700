//! Limits: what docker asks for is in the container's control group, and holds inside.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::Docker;
use rstest::rstest;

use crate::{checked, needs_root, run_detached};

/// Limits that a hog breaks.
const MEMORY: [&str; 4] = ["--memory", "64m", "--memory-swap", "64m"];
/// Grows until it is killed.
const GROW: &str = "x=$(head -c 200000000 /dev/zero | tr \"\\0\" x); echo survived";

/// Where this host has control groups of version 1, and only there.
fn group(controller: &str, id: &str) -> Option<std::path::PathBuf> {
    let path = Path::new("/sys/fs/cgroup")
        .join(controller)
        .join("docker")
        .join(id);
    path.exists().then_some(path)
}

#[rstest]
fn values_are_in_the_control_group() {
    needs_root!();
    let flags = [
        "--memory",
        "64m",
        "--memory-swap",
        "128m",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "--pids-limit",
        "40",
        "--cpuset-cpus",
        "0",
    ];
    let running = run_detached(&flags, "sleep 1000");
    let id = running.id.clone();
    let read = |controller: &str, file: &str| {
        let group = group(controller, &id)?;
        Some(
            fs::read_to_string(group.join(file))
                .unwrap()
                .trim()
                .to_owned(),
        )
    };
    for (controller, file, value) in [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.memsw.limit_in_bytes", "134217728"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpu", "cpu.shares", "512"),
        ("pids", "pids.max", "40"),
        ("cpuset", "cpuset.cpus", "0"),
    ] {
        if let Some(found) = read(controller, file) {
            assert_eq!(found, value, "{file}");
        }
    }
    let pid = running.inspect("{{.State.Pid}}").unwrap();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(groups.lines().any(|line| line.ends_with(&id)), "{groups}");
    let more = ["update", "--memory", "96m", "--memory-swap", "192m"];
    running.call(&more, &[]).unwrap().success().unwrap();
    if let Some(found) = read("memory", "memory.limit_in_bytes") {
        assert_eq!(found, (96 << 20).to_string());
    }
    drop(running);
    assert!(group("memory", &id).is_none());
}

#[rstest]
fn processes_are_limited_to_those_of_the_application() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    // The shell and 19 others: the sandbox's own threads do not count.
    let script = checked("i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); echo $i; done");
    let output = docker
        .run(&["--pids-limit", "20"], &["sh", "-c", &script])
        .unwrap();
    assert_eq!(output.stdout.lines().last(), Some("19"), "{output:?}");
    assert!(output.stderr.contains("fork"), "{output:?}");
}

/// Takes more than the limit and is killed for it, alone.
const HOG: &str = "head -c 200000000 /dev/zero | tail >/dev/null";

#[rstest]
fn memory_hog_is_reported_as_killed_for_memory() {
    needs_root!();
    let running = run_detached(&MEMORY, &format!("exec sh -c '{GROW}'"));
    let code = running.call(&["wait"], &[]).unwrap().stdout;
    assert_ne!(code, "0\n");
    let killed = running.inspect("{{.State.OOMKilled}}").unwrap();
    assert_eq!((code.as_str(), killed.as_str()), ("137\n", "true"));
}

#[rstest]
fn each_process_killed_for_memory_is_an_event() {
    needs_root!();
    let running = run_detached(&MEMORY, "sleep 1000");
    for _ in 0..2 {
        let hog = running.call(&["exec"], &["sh", "-c", &checked(HOG)]);
        assert_ne!(hog.unwrap().code, 99);
    }
    let events = || {
        let container = format!("container={}", running.name);
        let flags = [
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "--filter",
            "event=oom",
        ];
        let args = [&flags[..], &["--filter", &container]].concat();
        let output = running.docker.docker(&args).unwrap();
        output.success().unwrap().stdout.lines().count()
    };
    wait_until("both events", Duration::from_secs(20), || events() >= 2).unwrap();
    assert_eq!(running.status().unwrap(), "running");
}
