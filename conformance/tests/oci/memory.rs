//! `linux.resources.memory.limit` (config-linux.md, *Memory*): who dies of it, and who does not.

use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;
use serde_json::json;

const LIMIT: u64 = 64 << 20;

/// What a script prints in a container with that limit, and its exit code.
fn bundle(script: &str) -> Bundle {
    let bundle = Bundle::busybox(&["sh", "-c", script]).unwrap();
    bundle.set(
        "/linux/resources",
        json!({"memory": {"limit": LIMIT, "swap": LIMIT}}),
    )
}

/// What it prints in a container of little memory, and its exit code.
fn limited(script: &str) -> (String, i32) {
    run(bundle(script))
}

fn run(bundle: Bundle) -> (String, i32) {
    let container = Container::new(bundle).unwrap();
    let output = command::run(&mut container.run_command(&[]), Duration::from_secs(60)).unwrap();
    (output.stdout, output.code)
}

/// A line without end has `tail` keep all of it; a large block is filled by the kernel.
#[rstest]
#[case::that_stores("tail /dev/zero")]
#[case::that_has_the_kernel_store("dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null")]
fn a_hog_dies_and_its_siblings_live(#[case] hog: &str) {
    let script = format!("sleep 100 & {hog}; echo hog $?; kill -0 $! && echo sibling lives");
    let (output, code) = limited(&script);
    assert_eq!((output.as_str(), code), ("hog 137\nsibling lives\n", 0));
}

#[rstest]
fn a_hog_that_is_init_ends_the_container() {
    assert_eq!(limited("exec tail /dev/zero").1, 137);
}

#[rstest]
fn memory_comes_back_after_a_hog() {
    let script = "for i in 1 2 3; do tail /dev/zero; echo $?; done; \
                  dd if=/dev/zero of=/dev/null bs=32M count=4 2>/dev/null && echo fits";
    assert_eq!(limited(script).0, "137\n137\n137\nfits\n");
}

/// `oom_score_adj` turns the killer's eye from the larger process (`man 5 proc`).
#[rstest]
fn the_adjustment_decides_who_dies() {
    let script = "(head -c 8388608 /dev/zero; sleep 6) | \
                  sh -c 'echo 1000 >/proc/self/oom_score_adj; exec tail' & \
                  sleep 1; tail /dev/zero; echo hog $?; wait $!; echo volunteer $?";
    assert_eq!(limited(script).0, "hog 137\nvolunteer 137\n");
}

/// The kernel's log says who was killed and why, in Linux's words.
#[rstest]
fn the_kernel_log_tells() {
    if Runtime::under_test().unwrap().kind == Kind::Host {
        // The host's own log, in which other tests' processes are too.
        return;
    }
    let script = "tail /dev/zero; dmesg | grep -q 'Memory cgroup out of memory: Killed process [0-9]* (tail)' \
                  && echo told";
    let bundle = bundle(script).capability("CAP_SYSLOG");
    assert_eq!(run(bundle).0, "told\n");
}

/// What is in a tmpfs has no process that could be killed for it: its writers are.
#[rstest]
fn a_tmpfs_counts_and_its_writer_dies() {
    let script = "mount | grep -q /dev/shm || mkdir -p /dev/shm; \
                  dd if=/dev/zero of=/dev/shm/x bs=1M count=200 2>/dev/null; echo $?; rm /dev/shm/x; \
                  dd if=/dev/zero of=/dev/null bs=32M count=1 2>/dev/null && echo fits";
    assert_eq!(limited(script).0, "137\nfits\n");
}

#[rstest]
fn hogs_that_grow_at_once_all_die_and_nobody_else() {
    let script = "sleep 100 & s=$!; for i in 1 2 3 4; do tail /dev/zero & p=\"$p $!\"; done; \
                  for q in $p; do wait $q; echo $?; done; kill -0 $s && echo sibling lives";
    assert_eq!(limited(script).0, "137\n137\n137\n137\nsibling lives\n");
}
