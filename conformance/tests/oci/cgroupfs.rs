//! Mounts of type `cgroup` and `cgroup2` (config-linux.md, *Default Filesystems*): what the application
//! reads of its own limits, and groups of its own making (`man 7 cgroups`).

use std::path::Path;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;
use serde_json::json;

/// What a script prints in a container that is limited and has its control groups mounted.
fn run(kind: &str, access: &str, script: &str) -> String {
    let bundle = Bundle::busybox(&["sh", "-c", script]).unwrap();
    let resources = json!({
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 40},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
    });
    let bundle = bundle
        .mount(
            "/sys/fs/cgroup",
            kind,
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", access],
        )
        .set("/linux/resources", resources);
    let container = Container::new(bundle).unwrap();
    let output = command::run(&mut container.run_command(&[]), Duration::from_secs(60)).unwrap();
    format!("{}{}", output.stdout, output.stderr)
}

fn host_has_v1() -> bool {
    !Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn on_other_kernel() -> bool {
    Runtime::under_test().unwrap().kind == Kind::Host
}

#[rstest]
#[case::memory("memory/memory.limit_in_bytes", "67108864\n")]
#[case::tasks("pids/pids.max", "40\n")]
#[case::shares("cpu/cpu.shares", "512\n")]
#[case::quota("cpu/cpu.cfs_quota_us", "50000\n")]
#[case::period("cpu/cpu.cfs_period_us", "100000\n")]
#[case::own_process("pids/cgroup.procs", "1\n")]
#[case::hierarchical_limit(
    "memory/memory.stat | grep hierarchical_memory_limit",
    "hierarchical_memory_limit 67108864\n"
)]
fn version_1_shows_the_limits(#[case] file: &str, #[case] expected: &str) {
    if host_has_v1() {
        let script = format!("cat /sys/fs/cgroup/{file}").replace(
            "cat /sys/fs/cgroup/pids/cgroup.procs",
            "head -n 1 /sys/fs/cgroup/pids/cgroup.procs",
        );
        assert_eq!(run("cgroup", "ro", &script), expected);
    }
}

#[rstest]
#[case::memory("memory.max", "67108864\n")]
#[case::tasks("pids.max", "40\n")]
#[case::processor("cpu.max", "50000 100000\n")]
#[case::weight("cpu.weight", "20\n")]
#[case::controllers("cgroup.controllers", "cpuset cpu io memory pids\n")]
#[case::kind("cgroup.type", "domain\n")]
fn version_2_shows_the_limits(#[case] file: &str, #[case] expected: &str) {
    if !on_other_kernel() {
        let script = format!("cat /sys/fs/cgroup/{file}");
        assert_eq!(run("cgroup2", "ro", &script), expected);
    }
}

/// Use is live: of memory, processor and tasks.
#[rstest]
fn usage_follows() {
    if !host_has_v1() {
        return;
    }
    let script = "cd /sys/fs/cgroup; a=$(cat memory/memory.usage_in_bytes); t=$(cat cpuacct/cpuacct.usage); \
                  x=$(head -c 8388608 /dev/zero | tr '\\0' x); b=$(cat memory/memory.usage_in_bytes); \
                  [ $((b - a)) -gt 8000000 ] && echo grows; [ $(cat cpuacct/cpuacct.usage) -gt $t ] && echo runs; \
                  sleep 10 & sleep 10 & [ $(cat pids/pids.current) -ge 3 ] && echo counts";
    assert_eq!(run("cgroup", "ro", script), "grows\nruns\ncounts\n");
}

#[rstest]
fn a_read_only_mount_is_erofs() {
    if !host_has_v1() {
        return;
    }
    let script = "mkdir /sys/fs/cgroup/pids/a 2>&1 | grep -o 'Read-only file system'";
    assert_eq!(run("cgroup", "ro", script), "Read-only file system\n");
}

/// A process is moved by its number, its children stay with it, and `pids.max` holds them back.
#[rstest]
#[case::version_1("cgroup", "/sys/fs/cgroup/pids", "grep pids:")]
#[case::version_2("cgroup2", "/sys/fs/cgroup", "grep ^0:")]
fn groups_of_its_own(#[case] kind: &str, #[case] directory: &str, #[case] own: &str) {
    if on_other_kernel() {
        return;
    }
    let script = format!(
        "cd {directory}; [ -e cgroup.subtree_control ] && echo +pids >cgroup.subtree_control; \
         mkdir a && echo made; [ $(cat a/pids.max) = max ] && echo unlimited; \
         sh -c 'echo $$ >a/cgroup.procs; {own} /proc/self/cgroup | cut -d: -f3; echo 2 >a/pids.max; \
                (:) && echo one child; (sleep 1 & wait $!; :); (:; (:)) 2>/dev/null || echo no grandchild; \
                rmdir a 2>/dev/null || echo busy'; \
         cat a/cgroup.procs; rmdir a && echo removed; {own} /proc/self/cgroup | cut -d: -f3"
    );
    let output = run(kind, "rw", &script);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.first(), Some(&"made"), "{output}");
    assert!(lines.contains(&"unlimited"), "{output}");
    assert!(lines.contains(&"/a"), "{output}");
    assert!(lines.contains(&"busy"), "{output}");
    assert!(output.contains("can't fork"), "{output}");
    assert!(output.contains("removed\n/\n"), "{output}");
}

#[rstest]
fn a_limit_that_nothing_would_enforce_is_refused() {
    if on_other_kernel() {
        return;
    }
    let script = "cd /sys/fs/cgroup/memory; mkdir a; echo -1 >a/memory.limit_in_bytes && echo none; \
                  echo 4096 2>/dev/null >a/memory.limit_in_bytes || echo refused; \
                  echo 4096 2>/dev/null >memory.limit_in_bytes || echo not its own";
    assert_eq!(run("cgroup", "rw", script), "none\nrefused\nnot its own\n");
}

/// The files by which the JVM and others find their way agree with each other.
#[rstest]
fn proc_agrees() {
    if on_other_kernel() || !host_has_v1() {
        return;
    }
    let script = "grep -c . /proc/self/cgroup; grep memory: /proc/self/cgroup | cut -d: -f2,3; \
                  grep ' - cgroup cgroup .*memory' /proc/self/mountinfo | cut -d' ' -f4,5; \
                  grep ^memory /proc/cgroups | cut -f3,4; readlink /sys/fs/cgroup/cpu";
    assert_eq!(
        run("cgroup", "ro", script),
        "9\nmemory:/\n/ /sys/fs/cgroup/memory\n1\t1\ncpu,cpuacct\n"
    );
}
