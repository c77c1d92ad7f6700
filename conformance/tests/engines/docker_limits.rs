//! Limits: what docker asks for is in the container's control group, and holds inside.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::{Docker, Running};
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

/// Files of version 1 with what the flags of [`LIMITS`] make of them, and what those of [`UPDATE`] do.
const FILES: [(&str, &str, &str); 10] = [
    ("cpu/cpu.shares", "300", "200"),
    ("cpu/cpu.cfs_quota_us", "50000", "20000"),
    ("cpu/cpu.cfs_period_us", "100000", "100000"),
    ("cpuset/cpuset.cpus", "0", "0"),
    ("memory/memory.limit_in_bytes", "104857600", "67108864"),
    (
        "memory/memory.memsw.limit_in_bytes",
        "209715200",
        "134217728",
    ),
    ("memory/memory.soft_limit_in_bytes", "52428800", "33554432"),
    ("memory/memory.swappiness", "10", "10"),
    (
        "memory/memory.stat | grep hierarchical_memsw",
        "hierarchical_memsw_limit 209715200",
        "hierarchical_memsw_limit 134217728",
    ),
    ("pids/pids.max", "50", "33"),
];

const LIMITS: &[&str] = &[
    "--cpu-shares=300",
    "--cpu-quota=50000",
    "--cpuset-cpus=0",
    "--memory=100m",
    "--memory-swap=200m",
    "--memory-reservation=50m",
    "--memory-swappiness=10",
    "--pids-limit=50",
];

const UPDATE: &[&str] = &[
    "update",
    "--cpu-shares=200",
    "--cpu-quota=20000",
    "--memory=64m",
    "--memory-swap=128m",
    "--memory-reservation=32m",
    "--pids-limit=33",
];

#[rstest]
fn control_files_inside_follow_updates() {
    needs_root!();
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        // The files have other names there.
        return;
    }
    let read = |running: &Running| -> Vec<String> {
        let files = FILES
            .iter()
            .map(|(name, ..)| format!("cat /sys/fs/cgroup/{name}"));
        let script = files.collect::<Vec<_>>().join("; ");
        let output = running
            .call(&["exec"], &["sh", "-c", &script])
            .unwrap()
            .success()
            .unwrap();
        output.stdout.lines().map(str::to_owned).collect()
    };
    let running = run_detached(LIMITS, "sleep 1000");
    assert_eq!(read(&running), FILES.map(|(_, before, _)| before));
    running.call(UPDATE, &[]).unwrap().success().unwrap();
    assert_eq!(read(&running), FILES.map(|(_, _, after)| after));
    let plain = run_detached(&[], "sleep 1000");
    let script = "cat /sys/fs/cgroup/cpu/cpu.shares";
    let output = plain.call(&["exec"], &["sh", "-c", script]).unwrap();
    assert_eq!(output.stdout, "1024\n");
}
