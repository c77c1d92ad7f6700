//! config-linux.md, *Seccomp*.

use fixtures::bundle::Bundle;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{as_configured, differs, output, probe, refused, shell};

fn with(bundle: Bundle, default: &str, syscalls: &Value) -> Bundle {
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": syscalls}),
    )
}

fn allowing(bundle: Bundle, syscalls: &Value) -> Bundle {
    with(bundle, "SCMP_ACT_ALLOW", syscalls)
}

/// A script's output and exit code.
fn run(bundle: Bundle) -> (String, i32) {
    let output = Container::new(bundle).unwrap().run().unwrap();
    (output.stdout, output.code)
}

#[rstest]
#[case::default_errno(json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]))]
#[case::other_errno(json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}]))]
#[case::unknown_name(json!([{"names": ["no_such_call", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]))]
fn errno(#[case] syscalls: Value) {
    as_configured(allowing(probe(), &syscalls));
}

#[rstest]
fn getcwd_is_refused() {
    if differs(
        "runc",
        "runc asks for its own directory after the filter is installed, and fails",
    ) {
        return;
    }
    let bundle = allowing(
        shell("/bin/pwd -P 2>/dev/null; echo $?"),
        &json!([{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"}]),
    );
    assert_eq!(output(bundle), "1\n");
}

#[rstest]
#[case::kill("SCMP_ACT_KILL", 159)]
#[case::kill_process("SCMP_ACT_KILL_PROCESS", 159)]
#[case::kill_thread("SCMP_ACT_KILL_THREAD", 159)]
#[case::trap("SCMP_ACT_TRAP", 159)]
#[case::log("SCMP_ACT_LOG", 0)]
#[case::allow("SCMP_ACT_ALLOW", 0)]
fn actions(#[case] action: &str, #[case] code: i32) {
    let syscalls = json!([{"names": ["mkdir", "mkdirat"], "action": action}]);
    let default = match action {
        "SCMP_ACT_ALLOW" => "SCMP_ACT_LOG",
        _ => "SCMP_ACT_ALLOW",
    };
    let bundle = with(shell("mkdir /made; echo $?"), default, &syscalls);
    assert_eq!(run(bundle), (format!("{code}\n"), 0));
}

/// Conditions on arguments: `kill -0` passes, other signals do not.
#[rstest]
#[case::equal(json!([{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]), "0 1 0")]
#[case::not_equal(json!([{"index": 1, "value": 10, "op": "SCMP_CMP_NE"}]), "1 0 1")]
#[case::greater(json!([{"index": 1, "value": 9, "op": "SCMP_CMP_GT"}]), "0 1 1")]
#[case::at_least(json!([{"index": 1, "value": 12, "op": "SCMP_CMP_GE"}]), "0 0 1")]
#[case::less(json!([{"index": 1, "value": 10, "op": "SCMP_CMP_LT"}]), "1 0 0")]
#[case::at_most(json!([{"index": 1, "value": 10, "op": "SCMP_CMP_LE"}]), "1 1 0")]
#[case::masked(json!([{"index": 1, "value": 8, "valueTwo": 8, "op": "SCMP_CMP_MASKED_EQ"}]), "0 1 1")]
#[case::alternatives(json!([{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 12, "op": "SCMP_CMP_EQ"}]), "1 0 1")]
fn conditions(#[case] args: Value, #[case] wanted: &str) {
    let syscalls = json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": args}]);
    // Signals 0, 10 and 12, sent to a shell that ignores them.
    let script = "trap '' USR1 USR2; for s in 0 USR1 USR2; do kill -$s $$ 2>/dev/null; echo -n \"$? \"; done";
    assert_eq!(output(allowing(shell(script), &syscalls)).trim(), wanted);
}

/// What the engines use: an errno for all but a list.
#[rstest]
fn list_of_what_is_allowed() {
    let names = [
        "access",
        "arch_prctl",
        "brk",
        "capget",
        "chdir",
        "clone",
        "clone3",
        "close",
        "dup",
        "dup2",
        "dup3",
        "execve",
        "exit",
        "exit_group",
        "faccessat",
        "faccessat2",
        "fchdir",
        "fcntl",
        "fstat",
        "fstatfs",
        "futex",
        "getcwd",
        "getdents64",
        "getegid",
        "geteuid",
        "getgid",
        "getpgrp",
        "getpid",
        "getppid",
        "getrandom",
        "getuid",
        "ioctl",
        "lseek",
        "lstat",
        "madvise",
        "mmap",
        "mprotect",
        "mremap",
        "munmap",
        "newfstatat",
        "open",
        "openat",
        "openat2",
        "pipe",
        "pipe2",
        "poll",
        "prctl",
        "prlimit64",
        "read",
        "readlink",
        "rseq",
        "readlinkat",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "rt_sigsuspend",
        "sched_getaffinity",
        "set_robust_list",
        "set_tid_address",
        "sigaltstack",
        "stat",
        "statx",
        "umask",
        "uname",
        "unlink",
        "utimensat",
        "setgid",
        "setgroups",
        "setuid",
        "capset",
        "tgkill",
        "vfork",
        "wait4",
        "write",
        "writev",
        "epoll_pwait",
        "epoll_ctl",
        "epoll_create1",
        "eventfd2",
        "nanosleep",
        "gettid",
        "sched_yield",
        "fchown",
        "statfs",
        "getpgid",
    ];
    let syscalls = json!([{"names": &names[..], "action": "SCMP_ACT_ALLOW"}]);
    let script = "echo works; mkdir /x 2>/dev/null; echo $?; cat /etc/group | head -n 1; hostname other 2>/dev/null; echo $?";
    let bundle = with(shell(script), "SCMP_ACT_ERRNO", &syscalls);
    assert_eq!(output(bundle), "works\n1\nroot:x:0:\n1\n");
}

#[rstest]
fn processes_that_join_are_filtered_too() {
    let syscalls = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
    let container = crate::common::started(allowing(shell("sleep 100"), &syscalls));
    let output = container
        .exec(&[], &["sh", "-c", "mkdir /x 2>/dev/null; echo $?"])
        .unwrap();
    assert_eq!(output.stdout, "1\n", "{}", output.stderr);
}

#[rstest]
fn filter_shows_in_the_status() {
    let syscalls = json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]);
    let bundle = allowing(shell("grep Seccomp: /proc/self/status"), &syscalls);
    assert_eq!(output(bundle), "Seccomp:\t2\n");
}

#[rstest]
#[case::action(json!({"defaultAction": "SCMP_ACT_WRONG"}))]
#[case::operator(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO",
    "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_WRONG"}]}]}))]
#[case::architecture(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_WRONG"],
    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG"}]}))]
fn invalid_profile_is_an_error(#[case] profile: Value) {
    refused(shell("true").set("/linux/seccomp", profile), "");
}

#[rstest]
fn listener() {
    let syscalls = json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]);
    let bundle = allowing(shell("true"), &syscalls);
    if differs("runsc", "refused by name: notifications are not supported") {
        refused(bundle, "SCMP_ACT_NOTIFY");
        return;
    }
    // Without a listenerPath there is nobody to be notified.
    assert_ne!(run(bundle).1, 0);
}
