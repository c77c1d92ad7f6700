//! `kill ID KILL` ends a container, whatever its processes are doing; and what a container may not have is refused to
//! the one who asks, and to nobody else.

use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::{Container, LIMIT};
use rstest::rstest;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use serde_json::json;

/// How long the end may take on a machine that does other things too; alone it is a tenth of that.
const SOON: Duration = Duration::from_secs(10);

/// What a container can be killed in: names of `helper long`.
const OPERATIONS: &[&str] = &[
    "sendfile",
    "splice",
    "read",
    "writev",
    "seek",
    "readdir",
    "deep_directories",
    "sent_descriptors",
    "getrandom",
    "process_vm_readv",
    "mprotect",
    "madvise",
    "mincore",
    "populate",
    "maps",
    "fork",
    "robust_list",
    "full_pipe",
    "poll",
    "epoll",
    "futex",
    "flock",
    "semop",
    "vfork",
    "stopped",
    "all_signals_blocked",
    "interval_timer",
    "exit_stop",
    "mount_propagation",
    "pivot_root",
    "kill_group",
    "kill_everyone",
    "priorities",
    "wait_children",
    "proc_of_all",
    "futex_requeue",
    "posix_timers",
    "script_chain",
    "exec_arguments",
    "seccomp_chain",
    "mqueue",
    "msgrcv",
    "nested_epoll",
    "inotify",
    "record_locks",
    "aio",
    "fifo",
];

/// A container of the program of the behaviour tests, in this role.
fn helper(role: &[&str]) -> Bundle {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program =
        PROGRAM.get_or_init(|| build::guest("syscall-tests", Linkage::StaticPie).unwrap());
    let args: Vec<&str> = ["/syscall-tests", "helper"]
        .into_iter()
        .chain(role.iter().copied())
        .collect();
    let bundle = Bundle::busybox(&args).unwrap();
    build::install(program, bundle.rootfs(), "syscall-tests").unwrap();
    bundle.capability("CAP_SYS_ADMIN")
}

/// Kills the container; how long the command that runs it in the foreground takes to end, and its code.
fn kill(container: &Container, run: &mut Child) -> (Duration, Option<i32>) {
    let before = Instant::now();
    assert_eq!(container.kill("KILL").unwrap().code, 0);
    let mut status = None;
    command::wait_until("the end of a killed container", LIMIT, || {
        status = run.try_wait().unwrap();
        status.is_some()
    })
    .unwrap();
    (before.elapsed(), status.and_then(|status| status.code()))
}

/// The time from the kill to the end of a container whose init process, or a child of it, does this.
fn time_to_end(operation: &str) -> Duration {
    let container = Container::new(helper(&["long", operation])).unwrap();
    let mut run = container
        .run_command(&[])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(run.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n", "{operation}");
    std::thread::sleep(Duration::from_millis(100));
    let (taken, code) = kill(&container, &mut run);
    assert_eq!(code, Some(137), "{operation}");
    taken
}

#[rstest]
fn killed_containers_are_gone_soon() {
    let times: Vec<(&str, Duration)> = OPERATIONS
        .iter()
        .map(|operation| (*operation, time_to_end(operation)))
        .collect();
    for (operation, taken) in &times {
        println!("{operation}: {} ms", taken.as_millis());
    }
    let late: Vec<_> = times.iter().filter(|(_, taken)| *taken > SOON).collect();
    assert!(late.is_empty(), "{late:?}");
}

/// Without a terminal of its own, the container writes to the caller's, which nobody reads.
#[rstest]
fn a_writer_to_a_full_terminal_is_killed() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave: OwnedFd = ioctl_tiocgptpeer(&master, flags).unwrap();
    let bundle = Bundle::busybox(&["sh", "-c", "yes 'a line of text'"]).unwrap();
    let container = Container::new(bundle.terminal(false)).unwrap();
    let mut run = container
        .run_command(&[])
        .stdin(Stdio::null())
        .stdout(slave)
        .spawn()
        .unwrap();
    container.wait_for_status("running").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let (taken, code) = kill(&container, &mut run);
    println!("full terminal: {} ms", taken.as_millis());
    assert_eq!(code, Some(137));
    assert!(taken < SOON, "{taken:?}");
}

/// A container whose sandbox does nothing any more, since somebody has stopped it.
fn stopped_sandbox() -> (Container, Child, u32) {
    let container = Container::new(Bundle::busybox(&["sleep", "1000"]).unwrap()).unwrap();
    let run = container
        .run_command(&[])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    container.wait_for_status("running").unwrap();
    let pid = container.state().unwrap()["pid"].as_u64().unwrap();
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::STOP).unwrap();
    (container, run, u32::try_from(pid).unwrap())
}

/// A sandbox that does not answer is killed by the host.
#[rstest]
fn a_sandbox_that_hangs_is_killed() {
    let (container, mut run, _) = stopped_sandbox();
    let (taken, code) = kill(&container, &mut run);
    println!("hanging sandbox: {} ms", taken.as_millis());
    assert_eq!(code, Some(137));
    assert!(taken < SOON, "{taken:?}");
}

/// Nor does it matter for `delete --force` that it is frozen in its control group, where version 1 keeps what is killed.
#[rstest]
fn a_sandbox_that_is_frozen_is_deleted() {
    let (container, mut run, pid) = stopped_sandbox();
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let place = groups.lines().find_map(|line| line.split_once(":freezer:"));
    if let Some((_, place)) = place.filter(|(_, place)| place.len() > 1) {
        let state = format!("/sys/fs/cgroup/freezer{place}/freezer.state");
        std::fs::write(state, "FROZEN").unwrap();
    }
    assert_eq!(container.delete(&["--force"]).unwrap().code, 0);
    let mut status = None;
    command::wait_until("the end of a deleted container", LIMIT, || {
        status = run.try_wait().unwrap();
        status.is_some()
    })
    .unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(137));
}

/// At `linux.resources.pids.limit`, another thread is EAGAIN for who wants it, and the others go on.
#[rstest]
fn threads_end_at_the_limit() {
    let bundle = helper(&["threads", "50"]).set("/linux/resources", json!({"pids": {"limit": 12}}));
    let container = Container::new(bundle).unwrap();
    let output = container.run().unwrap().success().unwrap();
    assert_eq!(output.stdout, "11 threads live, then EAGAIN\n");
}
