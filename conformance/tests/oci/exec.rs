//! exec: further processes in a running container.

use std::fs;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::{Container, LIMIT};
use rstest::rstest;
use serde_json::json;

fn running() -> Container {
    let bundle = Bundle::busybox(&["sleep", "1000"])
        .unwrap()
        .env("FROM=container");
    let container = Container::new(bundle).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    container
}

#[rstest]
fn output_and_exit_code() {
    let container = running();
    let output = container
        .exec(&[], &["sh", "-c", "echo out; echo err >&2; exit 5"])
        .unwrap();
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (5, "out\n", "err\n")
    );
    assert_eq!(container.status(), "running");
}

#[rstest]
fn input_is_passed_through() {
    let container = running();
    let mut command = container.command(&["exec", &container.id, "cat"]);
    let output = command::run_with_input(&mut command, b"through exec", LIMIT)
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(output.stdout, "through exec");
}

#[rstest]
fn sees_the_same_files_and_processes() {
    let container = running();
    container
        .exec(&[], &["sh", "-c", "echo shared >/tmp/f"])
        .unwrap()
        .success()
        .unwrap();
    let output = container
        .exec(
            &[],
            &["sh", "-c", "cat /tmp/f; tr '\\0' ' ' </proc/1/cmdline"],
        )
        .unwrap();
    assert_eq!(output.stdout, "shared\nsleep 1000 ");
}

#[rstest]
fn directory_environment_and_user() {
    let container = running();
    let flags = ["--cwd", "/etc", "--env", "NEW=1", "--user", "1000:2000"];
    let output = container
        .exec(&flags, &["sh", "-c", "pwd; echo $NEW; id -u; id -g"])
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(output.stdout, "/etc\n1\n1000\n2000\n");
}

#[rstest]
fn process_file() {
    let container = running();
    let path = container.root().join("process.json");
    let process = json!({
        "terminal": false,
        "user": {"uid": 7, "gid": 8},
        "args": ["sh", "-c", "id -u; echo $ONLY; pwd"],
        "env": ["ONLY=this", "PATH=/bin"],
        "cwd": "/tmp",
    });
    fs::write(&path, process.to_string()).unwrap();
    let output = container
        .call(&["exec", "--process", &path.to_string_lossy(), &container.id])
        .unwrap();
    assert_eq!(output.success().unwrap().stdout, "7\nthis\n/tmp\n");
}

#[rstest]
fn detached_with_a_pid_file() {
    let container = running();
    let path = container.root().join("exec.pid");
    let flags = ["--detach", "--pid-file", &path.to_string_lossy()];
    let mut command = container.command(&["exec"]);
    command
        .args(flags)
        .args([container.id.as_str(), "sleep", "1"]);
    let status = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let pid: u32 = fs::read_to_string(&path).unwrap().parse().unwrap();
    let stat = format!("/proc/{pid}/stat");
    assert!(fs::metadata(&stat).is_ok());
    let ended = || fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
    command::wait_until("the end of the process", Duration::from_secs(10), ended).unwrap();
}

#[rstest]
fn program_not_found() {
    let container = running();
    let output = container.exec(&[], &["no-such-program"]).unwrap();
    assert_ne!(output.code, 0);
    assert!(
        output.stderr.contains("executable file not found in $PATH"),
        "{}",
        output.stderr
    );
    assert_eq!(container.status(), "running");
}

#[rstest]
fn stopped_container_refuses() {
    let container = running();
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    assert_ne!(container.exec(&[], &["true"]).unwrap().code, 0);
}

#[rstest]
fn many_at_once() {
    let container = running();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|index: i32| {
                let container = &container;
                scope.spawn(move || {
                    container
                        .exec(&[], &["sh", "-c", &format!("exit {index}")])
                        .unwrap()
                        .code
                })
            })
            .collect();
        let codes: Vec<i32> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5]);
    });
}
