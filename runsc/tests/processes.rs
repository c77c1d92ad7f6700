//! The processes of a container, seen from the host: who ends whom, what each may do, what is left.
//!
//! Needs root; without it every case passes without doing anything.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's failure"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How soon the others must have ended (design: *Who ends whom*), with room for a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// A state directory and a bundle over the host's own root, read-only beneath a layer in memory.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new(args: &[&str]) -> Option<Host> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let host = Host {
            directory: tempfile::tempdir().unwrap(),
        };
        // All containers here have one id, and tests run side by side.
        let group = host.directory.path().file_name().unwrap().to_string_lossy();
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": args,
                "env": ["PATH=/usr/bin:/bin"],
            },
            "root": {"path": "/", "readonly": true},
            "linux": {
                "cgroupsPath": format!("/runsc-{group}"),
                "namespaces": [{"type": "network"}, {"type": "pid"}, {"type": "mount"}],
            },
        });
        fs::write(
            host.directory.path().join("config.json"),
            config.to_string(),
        )
        .unwrap();
        Some(host)
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsc"));
        command
            .arg("--root")
            .arg(self.root())
            .arg("--overlay2=root:memory")
            .args(args);
        command.current_dir(self.directory.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap()
    }

    fn succeed(&self, args: &[&str]) {
        let status = self.command(args).status().unwrap();
        assert!(status.success(), "{args:?}: {status}");
    }

    fn state(&self) -> Option<Value> {
        let file = self.root().join("c.json");
        serde_json::from_slice(&fs::read(file).ok()?).ok()
    }

    fn pid(&self, role: &str) -> i64 {
        self.state().unwrap()[role]["pid"].as_i64().unwrap()
    }

    fn status(&self) -> String {
        let state: Value = serde_json::from_slice(&self.run(&["state", "c"]).stdout).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }

    /// Waits until `c` is running.
    fn started(&self, mut command: Child) -> Child {
        let started = || self.state().is_some_and(|state| state["started"] == true);
        assert!(within(SOON, started), "{:?}", command.try_wait());
        command
    }

    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.root()).into_iter().flatten().flatten();
        names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

fn within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        sleep(Duration::from_millis(10));
    }
    condition()
}

fn alive(pid: i64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn kill(pid: i64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn field(pid: i64, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap().trim().to_owned()
}

#[test]
fn the_exit_code_and_the_output_are_the_programs_own() {
    let Some(host) = Host::new(&["sh", "-c", "echo out; exit 7"]) else {
        return;
    };
    let output = host.run(&["run", "c"]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"");
    assert_eq!(host.leftovers(), [""; 0]);
}

#[test]
fn a_killed_command_takes_its_container_along() {
    let Some(host) = Host::new(&["sleep", "100"]) else {
        return;
    };
    let mut command = host.started(host.command(&["run", "c"]).spawn().unwrap());
    let (sandbox, gofer) = (host.pid("sandbox"), host.pid("gofer"));
    command.kill().unwrap();
    command.wait().unwrap();
    assert!(within(SOON, || !alive(sandbox) && !alive(gofer)));
    assert_eq!(host.status(), "stopped");
    host.succeed(&["delete", "c"]);
    assert_eq!(host.leftovers(), [""; 0]);
}

#[test]
fn sandbox_and_gofer_end_with_each_other() {
    for (victim, other) in [("sandbox", "gofer"), ("gofer", "sandbox")] {
        let Some(host) = Host::new(&["sleep", "100"]) else {
            return;
        };
        host.succeed(&["run", "--detach", "c"]);
        let (victim, other) = (host.pid(victim), host.pid(other));
        assert!(alive(victim) && alive(other));
        kill(victim);
        assert!(within(SOON, || !alive(other)), "{other}");
        assert_eq!(host.status(), "stopped");
        host.succeed(&["delete", "c"]);
        assert_eq!(host.leftovers(), [""; 0]);
    }
}

#[test]
fn a_detached_container_outlives_its_command() {
    let Some(host) = Host::new(&["sleep", "100"]) else {
        return;
    };
    host.succeed(&["create", "c"]);
    sleep(Duration::from_millis(200));
    assert_eq!(host.status(), "created");
    host.succeed(&["start", "c"]);
    sleep(Duration::from_millis(200));
    assert_eq!(host.status(), "running");
    assert!(!host.run(&["delete", "c"]).status.success());
    host.succeed(&["delete", "--force", "c"]);
    assert_eq!(host.leftovers(), [""; 0]);
}

#[test]
fn sandbox_and_gofer_are_locked_down_before_anything_runs() {
    let Some(host) = Host::new(&["sleep", "100"]) else {
        return;
    };
    for debug in ["--debug=false", "--debug"] {
        host.succeed(&[debug, "create", "c"]);
        for role in ["sandbox", "gofer"] {
            let pid = host.pid(role);
            assert_eq!(field(pid, "Seccomp"), "2", "{role}");
            assert_eq!(field(pid, "NoNewPrivs"), "1", "{role}");
            let root = Path::new("/proc").join(pid.to_string()).join("root");
            assert_eq!(fs::read_dir(root).unwrap().count(), 0, "{role}");
            for space in ["mnt", "pid", "ipc", "uts", "net"] {
                let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{space}")).unwrap();
                assert_ne!(of(&pid.to_string()), of("self"), "{role} {space}");
            }
        }
        let sandbox = host.pid("sandbox");
        for set in ["CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"] {
            assert_eq!(field(sandbox, set), "0000000000000000", "{set}");
        }
        assert_eq!(field(sandbox, "Uid"), "65534\t65534\t65534\t65534");
        // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID.
        assert_eq!(field(host.pid("gofer"), "CapEff"), "000000000000001f");
        host.succeed(&["delete", "c"]);
    }
}

#[test]
fn a_failed_start_leaves_nothing() {
    let Some(host) = Host::new(&["/no/such/program"]) else {
        return;
    };
    let output = host.run(&["run", "c"]);
    assert_eq!(output.status.code(), Some(128));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no such file or directory"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(host.leftovers(), [""; 0]);
}

#[test]
fn the_last_line_of_a_json_log_is_the_error() {
    let Some(host) = Host::new(&["true"]) else {
        return;
    };
    let log = host.directory.path().join("log.json");
    let path = log.to_str().unwrap();
    let bundle = [
        "--log",
        path,
        "--log-format",
        "json",
        "run",
        "--bundle",
        "/nonexistent",
        "c",
    ];
    assert_eq!(host.run(&bundle).status.code(), Some(128));
    let text = fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "error");
    assert_eq!(
        last["msg"],
        "cannot find bundle /nonexistent: No such file or directory"
    );
}

#[test]
fn a_watcher_stands_for_a_detached_process() {
    let Some(host) = Host::new(&["sleep", "100"]) else {
        return;
    };
    host.succeed(&["run", "--detach", "c"]);
    let file = host.directory.path().join("pid");
    let path = file.to_str().unwrap();
    host.succeed(&["exec", "--detach", "--pid-file", path, "c", "sleep", "50"]);
    let watcher: i64 = fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(field(watcher, "Seccomp"), "2");
    let count = || {
        String::from_utf8_lossy(&host.run(&["ps", "c"]).stdout)
            .lines()
            .count()
    };
    assert_eq!(count(), 3);
    kill(watcher);
    assert!(within(SOON, || count() == 2));
    host.succeed(&["delete", "--force", "c"]);
}

#[test]
fn strace_writes_what_strace_writes() {
    let Some(host) = Host::new(&[]) else { return };
    let logs = host.directory.path().join("logs");
    let flags = ["--strace", "--network=none"];
    let script = "echo hello; sleep 0.01; cat /nowhere 2>/dev/null; kill -USR1 $$";
    let status = host
        .command(&flags)
        .arg(format!("--debug-log-dir={}", logs.display()))
        .args(["do", "sh", "-c", script])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let of_boot = |path: &PathBuf| path.to_string_lossy().ends_with(".boot");
    let mut files = fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let log = fs::read_to_string(files.find(of_boot).unwrap()).unwrap();
    for wanted in [
        "execve(\"sh\", [\"sh\", \"-c\", ",
        "write(1, \"hello\\n\", 6) = 6",
        "wait4(-1, <unfinished ...>",
        "<... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = ",
        "\"/nowhere\", O_RDONLY",
        "= -1 ENOENT (No such file or directory)",
        "kill(1, SIGUSR1) = 0",
        "+++ exited with 0 +++",
    ] {
        assert!(log.contains(wanted), "{wanted} is not in:\n{log}");
    }
}

#[test]
fn a_socket_of_the_host_is_refused_with_a_warning() {
    let Some(host) = Host::new(&[]) else { return };
    let directory = host.directory.path();
    let listener = std::os::unix::net::UnixListener::bind(directory.join("daemon.sock")).unwrap();
    let volume = format!("--volume={}:/mnt", directory.display());
    let connect = "import socket; socket.socket(socket.AF_UNIX).connect('/mnt/daemon.sock')";
    let output = host.run(&["--debug", "do", &volume, "python3", "-c", connect]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("ConnectionRefusedError"), "{text}");
    assert!(text.contains("/mnt/daemon.sock"), "{text}");
    assert!(text.contains("out of reach (--host-uds=none)"), "{text}");
    drop(listener);
}

#[test]
fn root_of_a_user_namespace_alone_runs_containers() {
    // As under rootless podman: the network namespace can be left, but not entered again.
    let Some(host) = Host::new(&["/bin/true"]) else {
        return;
    };
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_runsc")])
        .arg("--root")
        .arg(host.root())
        .arg("--overlay2=root:memory")
        .args(["run", "c"])
        .current_dir(host.directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What a program asks for and can't have here is told to the container's user, once, and nothing else is.
#[test]
fn the_user_log_tells_of_refused_calls() {
    // acct(2) twice, and a call that no kernel has.
    let script = "syscall(163, 0); syscall(163, 0); syscall(9999)";
    let Some(host) = Host::new(&["/usr/bin/perl", "-e", script]) else {
        return;
    };
    let log = host.directory.path().join("user.log");
    fs::write(&log, "before\n").unwrap();
    let flag = format!("--user-log={}", log.display());
    host.succeed(&["run", &flag, "c"]);
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let told = |wanted: &str| lines.iter().filter(|line| line.contains(wanted)).count();
    assert_eq!(lines.first(), Some(&"before"), "{text}");
    assert_eq!(told("calls acct, which is refused"), 1, "{text}");
    assert_eq!(
        told("system call 9999, which is not supported"),
        1,
        "{text}"
    );
    let others = lines
        .iter()
        .skip(1)
        .filter(|line| !line.contains("\"perl\""));
    assert_eq!(others.count(), 0, "{text}");
}
