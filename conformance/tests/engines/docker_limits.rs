//! Limits: what docker asks for is in the container's control group, and holds inside.

use std::fs;
use std::path::Path;

use fixtures::engines::Docker;
use rstest::rstest;

use crate::{checked, needs_root, unique};

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
    let docker = Docker::shared().unwrap();
    let name = unique("limits");
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
    let id = docker
        .run_detached(&name, &flags, &["sleep", "1000"])
        .unwrap();
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
    let pid = docker.inspect(&name, "{{.State.Pid}}").unwrap();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(groups.lines().any(|line| line.ends_with(&id)), "{groups}");
    docker
        .docker(&["update", "--memory", "96m", "--memory-swap", "192m", &name])
        .unwrap()
        .success()
        .unwrap();
    if let Some(found) = read("memory", "memory.limit_in_bytes") {
        assert_eq!(found, (96 << 20).to_string());
    }
    docker.remove(&name);
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

#[rstest]
fn memory_hog_is_reported_as_killed_for_memory() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let name = unique("hog");
    let script = checked("x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo survived");
    let flags = ["--memory", "64m", "--memory-swap", "64m"];
    docker
        .run_detached(
            &name,
            &flags,
            &[
                "sh",
                "-c",
                &format!("exec sh -c '{}'", script.replace('\'', "'\\''")),
            ],
        )
        .unwrap();
    let code = docker.docker(&["wait", &name]).unwrap().stdout;
    assert_ne!(code, "0\n");
    let killed = docker.inspect(&name, "{{.State.OOMKilled}}").unwrap();
    docker.remove(&name);
    assert_eq!((code.as_str(), killed.as_str()), ("137\n", "true"));
}
