//! A process of the runtime that makes a host call which its filter refuses ends, with a line for the user that names the
//! call: at once where the command stays, in the log where there is one, and else when somebody asks for the container.
//!
//! The call is made in its stead, as a debugger would: the thread is stopped in the call that it waits in, and is told
//! to make another.

use std::fs;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command::{Output, Running, wait_until};
use fixtures::container::{Container, LIMIT};
use fixtures::runtime::{Kind, Runtime};
use host::{ptrace, wait};
use rstest::rstest;
use serde_json::Value;

/// acct(2), which no filter allows.
const ACCT: u64 = 163;
/// Indexes of registers in `struct user_regs_struct`.
const ORIG_RAX: usize = 15;
const RIP: usize = 16;
/// The length of the `syscall` instruction.
const SYSCALL_BYTES: u64 = 2;

fn containers() -> Vec<Container> {
    let runtimes = Runtime::matrix().unwrap().into_iter();
    runtimes
        .filter(|runtime| runtime.kind == Kind::Runsc)
        .map(|runtime| {
            let bundle = Bundle::busybox(&["sleep", "300"]).unwrap();
            Container::of(runtime, bundle).unwrap()
        })
        .collect()
}

/// The host process that is this to the container, once the container runs.
fn process(container: &Container, name: &str) -> i32 {
    container.wait_for_status("running").unwrap();
    let files = fs::read_dir(container.root()).unwrap();
    let mut states = files.map(|file| file.unwrap().path());
    let state = states.find(|path| path.extension().is_some_and(|ext| ext == "json"));
    let state: Value = serde_json::from_slice(&fs::read(state.unwrap()).unwrap()).unwrap();
    i32::try_from(state[name]["pid"].as_i64().unwrap()).unwrap()
}

/// Has the first thread of a process, which waits in a system call, make another instead.
fn make_call(pid: i32, number: u64) {
    let mut registers = [0; 27];
    ptrace::seize(pid, 0).unwrap();
    ptrace::interrupt(pid).unwrap();
    assert_eq!(wait::traced_thread(pid).unwrap().event(), wait::Event::Stop);
    ptrace::get_registers(pid, &mut registers).unwrap();
    assert!(
        registers[ORIG_RAX].cast_signed() >= 0,
        "it waits in no call"
    );
    // It is behind the instruction, and nothing is to be restarted.
    registers[RIP] -= SYSCALL_BYTES;
    registers[ORIG_RAX] = u64::MAX;
    registers[ptrace::RAX] = number;
    ptrace::set_registers(pid, &registers).unwrap();
    ptrace::detach(pid).unwrap();
}

fn line(process: &str) -> String {
    format!(
        "the {process}'s filter does not allow host system call {ACCT} (acct): the container ends"
    )
}

fn said(output: &Output, process: &str) -> usize {
    output.stderr.matches(&line(process)).count()
}

#[rstest]
#[case::sandbox("sandbox")]
#[case::gofer("gofer")]
fn a_command_that_stays_says_it(#[case] name: &str) {
    for container in containers() {
        let running = Running::start(&mut container.run_command(&[])).unwrap();
        make_call(process(&container, name), ACCT);
        let output = running.finish(LIMIT).unwrap();
        assert_eq!(output.code, 128, "{output:?}");
        assert_eq!(said(&output, name), 1, "{output:?}");
    }
}

#[rstest]
#[case::sandbox("sandbox")]
#[case::gofer("gofer")]
fn without_a_log_it_is_said_to_who_asks_for_the_container(#[case] name: &str) {
    for container in containers() {
        container.run_detached(&[]).unwrap().success().unwrap();
        assert_eq!(
            said(&container.call(&["state", &container.id]).unwrap(), name),
            0
        );
        make_call(process(&container, name), ACCT);
        container.wait_for_status("stopped").unwrap();
        let id = container.id.as_str();
        for command in [&["state", id][..], &["exec", id, "true"], &["delete", id]] {
            let output = container.call(command).unwrap();
            assert_eq!(said(&output, name), 1, "{output:?}");
        }
        let left: Vec<_> = fs::read_dir(container.root())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(id))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[rstest]
#[case::sandbox("sandbox")]
#[case::gofer("gofer")]
fn a_log_says_it(#[case] name: &str) {
    for container in containers() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log.json");
        let mut command = container.runtime.plain(container.root());
        command
            .arg("--log")
            .arg(&log)
            .args(["--log-format", "json", "run", "--detach", "--bundle"])
            .arg(container.bundle.path())
            .arg(&container.id)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        assert!(command.status().unwrap().success());
        make_call(process(&container, name), ACCT);
        let has_line = || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let messages = text.lines().filter_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                line["msg"].as_str().map(str::to_owned)
            });
            messages.filter(|message| *message == line(name)).count() == 1
        };
        wait_until("the line in the log", Duration::from_secs(60), has_line).unwrap();
    }
}
