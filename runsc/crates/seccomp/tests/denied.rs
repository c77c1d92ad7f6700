//! The filters in force, tried from inside: each case runs in a process of its own, this test program
//! again, told by its environment what to do.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's failure"
)]

use std::process::{Command, Output};

use seccomp::{Filter, gofer, sandbox, watcher};

const ROLE: &str = "SECCOMP_TEST_ROLE";
const CALL: &str = "SECCOMP_TEST_CALL";
/// What the SIGSYS handler ends the process with.
const DENIED: i32 = 128;

fn try_in(role: &str, call: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(CALL, call)
        .output()
        .unwrap()
}

/// Not a test of its own: what the children run.
#[test]
fn child() {
    let (Ok(role), Ok(call)) = (std::env::var(ROLE), std::env::var(CALL)) else {
        return;
    };
    let report = host::denied_call::Report {
        process: "test",
        log: None,
        user: Some(2),
        user_is_json: false,
        kept: None,
    };
    host::denied_call::install_handler(report).unwrap();
    let filter = match role.as_str() {
        "sandbox" => Filter::new(sandbox::ENTRIES, sandbox::REFUSALS),
        "gofer" => Filter::new(gofer::ENTRIES, gofer::REFUSALS),
        _ => Filter::new(watcher::ENTRIES, &[]),
    };
    filter.unwrap().install().unwrap();
    match call.as_str() {
        "nothing" => {}
        "clock" => drop(std::time::SystemTime::now()),
        "open" | "openat" => assert!(std::fs::File::open("/etc/passwd").is_err()),
        "backtrace" => drop(std::backtrace::Backtrace::force_capture().to_string()),
        "mkdir" => drop(std::fs::create_dir("/tmp/seccomp-test")),
        "spawn" => drop(Command::new("/bin/true").status()),
        "socket" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
        other => panic!("no case {other}"),
    }
}

#[test]
fn calls_outside_the_list_end_the_process() {
    for (role, call) in [
        ("sandbox", "mkdir"),
        ("sandbox", "socket"),
        ("gofer", "socket"),
        ("watcher", "openat"),
        ("watcher", "mkdir"),
        ("watcher", "socket"),
    ] {
        let output = try_in(role, call);
        assert_eq!(
            output.status.code(),
            Some(DENIED),
            "{role} {call}: {output:?}"
        );
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("the test's filter does not allow host system call")
                && said.contains(&format!("({call})")),
            "{role} {call}: {said}"
        );
    }
}

#[test]
fn a_call_with_all_signals_blocked_ends_the_process_too() {
    use std::os::unix::process::ExitStatusExt;
    // posix_spawn blocks all signals around its clone: the kernel then forces SIGSYS.
    let output = try_in("gofer", "spawn");
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
}

#[test]
fn calls_on_the_list_and_refused_ones_do_not() {
    for (role, call) in [
        ("sandbox", "nothing"),
        ("sandbox", "clock"),
        ("sandbox", "open"),
        // Those who panic say where.
        ("sandbox", "backtrace"),
        ("gofer", "clock"),
    ] {
        let output = try_in(role, call);
        assert!(output.status.success(), "{role} {call}: {output:?}");
    }
}

#[test]
fn every_role_is_told_apart() {
    assert!(
        sandbox::ENTRIES
            .iter()
            .all(|entry| entry.number != libc::SYS_openat2)
    );
    assert!(watcher::ENTRIES.len() < gofer::ENTRIES.len());
}
