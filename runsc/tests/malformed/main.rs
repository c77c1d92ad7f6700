//! Damaged configurations, state files and control messages: a clear error each time, no panic, no hang, nothing left.
//!
//! Needs root; without it every case passes without doing anything.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's failure"
)]

mod mutate;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use container::bundle::Bundle;
use container::events::Watch;
use container::state::StateDir;
use container::{ContainerError, Settings, lifecycle};
use control::{Connection, Endpoint, Reply};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};
use serde_json::{Value, json};

use mutate::Dice;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(30);

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A configuration that has most of what the specification has.
fn configuration() -> Value {
    let names = json!(["CAP_KILL", "CAP_CHOWN"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [1, 2]},
            "args": ["/bin/true", "argument"], "env": ["PATH=/usr/bin:/bin", "A=b"], "cwd": "/",
            "capabilities": {"bounding": names, "effective": names, "permitted": names, "inheritable": names, "ambient": names},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
            "noNewPrivileges": true, "oomScoreAdj": 10,
            "scheduler": {"policy": "SCHED_OTHER", "nice": 1},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
        },
        "root": {"path": "/", "readonly": true},
        "hostname": "name", "domainname": "domain",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["gid=5", "mode=0620"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["rw", "nr_inodes=100"]},
            {"destination": "/mnt", "type": "bind", "source": "data", "options": ["rbind", "ro", "rprivate"]},
        ],
        "hooks": {"poststop": [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5}]},
        "annotations": {"a": "b"},
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
            "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
            "resources": {"memory": {"limit": 268_435_456}, "pids": {"limit": 100}, "cpu": {"shares": 512}},
            "sysctl": {"net.ipv4.ip_forward": "1"},
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
                {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
                 "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]},
            "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"], "rootfsPropagation": "private",
        },
    })
}

fn settings(root: &Path) -> Settings {
    Settings {
        root: root.to_owned(),
        platform: String::new(),
        platform_device: None,
        network: control::Network::None,
        overlay_root: true,
        overlay_mounts: false,
        exclusive_files: true,
        host_uds: false,
        host_fifo: false,
        systemd_cgroup: false,
        ignore_cgroups: true,
        strace: control::StraceConfig::default(),
        debug: false,
        debug_log: None,
        children_log_to_stderr: false,
        log: None,
        log_is_json: false,
    }
}

/// One line that says something, without a trace of a panic.
fn is_clear(message: &str) -> bool {
    let message = message.trim_end();
    !message.is_empty() && !message.contains("panicked") && !message.contains("RUST_BACKTRACE")
}

/// All that is decided before a process is made: a thousand configurations are accepted, or refused with a reason.
#[test]
fn a_thousand_damaged_configurations() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    let (whole, settings) = (configuration(), settings(directory.path()));
    let mut refused = 0;
    for seed in 0..1000 {
        let mut dice = Dice::new(seed);
        let bytes = match seed % 3 {
            0 => mutate::text(&whole.to_string(), &mut dice),
            _ => mutate::structure(&whole, &mut dice)
                .to_string()
                .into_bytes(),
        };
        fs::write(directory.path().join("config.json"), &bytes).unwrap();
        let resolved = Bundle::load(directory.path())
            .and_then(|bundle| container::spec::resolve("c", &bundle, &settings));
        if let Err(error) = resolved {
            refused += 1;
            assert!(is_clear(&error.to_string()), "seed {seed}: {error}");
        }
    }
    assert!((300..1000).contains(&refused), "{refused} were refused");
}

/// A state directory and a bundle over the host's own root.
struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        Fixture { directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn configure(&self, text: &[u8]) {
        fs::write(self.directory.path().join("config.json"), text).unwrap();
    }

    /// Runs a command; it must end in time.
    fn run(&self, args: &[&str]) -> Output {
        let log = self.directory.path().join("output");
        let file = || fs::File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsc"));
        command
            .arg("--root")
            .arg(self.root())
            .args([
                "--ignore-cgroups",
                "--network=none",
                "--overlay2=root:memory",
            ])
            .args(args)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file());
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{args:?} hangs");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Output {
            status,
            stdout: Vec::new(),
            stderr: fs::read(&log).unwrap(),
        }
    }

    /// What failed said why, and its exit code is that of runsc's own failures.
    fn check(&self, args: &[&str], what: &str) -> bool {
        let output = self.run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return true;
        }
        assert_eq!(output.status.code(), Some(128), "{what}: {args:?}: {text}");
        assert!(is_clear(&text), "{what}: {args:?}: {text}");
        false
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// Some of them through the whole program: what is refused leaves nothing, what is accepted can be deleted.
#[test]
fn damaged_configurations_leave_nothing() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new();
    let whole = configuration();
    for seed in 5000..5060 {
        let mut dice = Dice::new(seed);
        fixture.configure(mutate::structure(&whole, &mut dice).to_string().as_bytes());
        let what = format!("seed {seed}");
        if fixture.check(&["create", "c"], &what) {
            assert!(fixture.check(&["delete", "--force", "c"], &what), "{what}");
        }
        assert!(fixture.left().is_empty(), "{what}: {:?}", fixture.left());
    }
}

/// A state file that something has damaged: a thousand times, what reads it ends, with a reason if it fails; now and then
/// through the whole program.
#[test]
fn a_thousand_damaged_state_files() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new();
    fixture.configure(configuration().to_string().as_bytes());
    assert!(fixture.check(&["create", "c"], "whole"));
    let name = fixture
        .left()
        .into_iter()
        .find(|name| name.ends_with(".json"))
        .unwrap();
    let path = fixture.root().join(name);
    let whole = fs::read_to_string(&path).unwrap();
    let value: Value = serde_json::from_str(&whole).unwrap();
    let (settings, mut unread) = (settings(&fixture.root()), 0);
    for seed in 0..1000 {
        let mut dice = Dice::new(seed);
        let damaged = match seed % 2 {
            0 => mutate::text(&whole, &mut dice),
            _ => mutate::structure(&value, &mut dice)
                .to_string()
                .into_bytes(),
        };
        fs::write(&path, damaged).unwrap();
        let what = format!("seed {seed}");
        unread += u32::from(read_state(&settings, &what).is_err());
        if seed % 50 == 0 {
            fixture.check(&["state", "c"], &what);
            fixture.check(&["list"], &what);
            fixture.check(&["start", "no-such-container"], &what);
        }
    }
    assert!((300..1000).contains(&unread), "{unread} were refused");
    fs::write(&path, &whole).unwrap();
    assert!(fixture.check(&["delete", "--force", "c"], "whole"));
    assert!(fixture.left().is_empty(), "{:?}", fixture.left());
}

/// What commands do that change nothing: look, list, read statistics, and ask the sandbox whether its process is there.
fn read_state(settings: &Settings, what: &str) -> Result<(), ContainerError> {
    let check = |error: &ContainerError| assert!(is_clear(&error.to_string()), "{what}: {error}");
    let directory = StateDir::new(&settings.root);
    directory.list().inspect_err(check).unwrap();
    let state = directory.load("c").inspect_err(check)?;
    let _ = state.status();
    let watch = Watch::new(settings, "c").inspect_err(check);
    let _ = watch.map(|watch| watch.stats());
    let _ = lifecycle::kill(settings, "c", control::Target::Init, 0).inspect_err(check);
    Ok(())
}

/// What can't be read can be deleted all the same, with the sandbox behind it.
#[test]
fn a_lost_state_can_be_deleted() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new();
    fixture.configure(configuration().to_string().as_bytes());
    let pid_file = fixture.root().with_extension("pid");
    let flag = format!("--pid-file={}", pid_file.display());
    assert!(fixture.check(&["create", &flag, "c"], "whole"));
    let sandbox = format!("/proc/{}", fs::read_to_string(&pid_file).unwrap());
    let left = fixture.left();
    let name = left.iter().find(|name| name.ends_with(".json")).unwrap();
    fs::write(fixture.root().join(name), "{").unwrap();
    assert!(!fixture.check(&["delete", "c"], "without force"));
    assert!(fixture.check(&["delete", "--force", "c"], "with force"));
    assert!(fixture.left().is_empty(), "{:?}", fixture.left());
    let ended = || {
        let status = fs::read_to_string(format!("{sandbox}/status")).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    };
    let gone = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        ended()
    });
    assert!(gone, "the sandbox lives on");
}

/// What a command would send, or near it; nothing that is meant to end the container.
fn requests() -> Vec<Value> {
    let process = json!({
        "args": ["/bin/true"], "env": ["A=b"], "cwd": "/",
        "user": {"uid": 0, "gid": 0, "additional_gids": [1], "umask": 18},
        "capabilities": {"bounding": 1, "effective": 1, "inheritable": 0, "permitted": 1, "ambient": 0},
        "rlimits": [{"resource": 7, "soft": 10, "hard": 20}],
        "no_new_privileges": false, "terminal": false, "oom_score_adj": 5,
    });
    vec![
        json!({"processes": {"id": "c"}}),
        json!({"signal": {"id": "c", "target": {"pid": 4000}, "signal": 0}}),
        json!({"window_changed": {"id": "c"}}),
        json!({"wait": {"id": "c", "pid": 4000}}),
        json!({"exec": {"id": "c", "process": process}}),
        json!({"start": {"id": "other", "hooks": [{"path": "/x", "args": [], "env": [], "timeout_s": 1}]}}),
        json!({"resume": {"id": "c"}}),
    ]
}

/// Whether an answer or the connection's end comes in time.
fn is_answered(connection: &Connection) -> bool {
    let mut polled = [PollFd::new(connection, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&limit)).unwrap() > 0
}

/// A thousand messages to a sandbox: each is answered, or its connection ends; the container goes on.
#[test]
fn a_thousand_damaged_control_messages() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new();
    let mut config = configuration();
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    fixture.configure(config.to_string().as_bytes());
    assert!(fixture.check(&["create", "c"], "whole"));
    assert!(fixture.check(&["start", "c"], "whole"));
    let endpoint = Endpoint::new(&fixture.root(), "c").unwrap();
    let whole = requests();
    for seed in 0..1000 {
        let mut dice = Dice::new(seed);
        let request = &whole[dice.roll(whole.len())];
        let bytes = match seed % 2 {
            0 => mutate::text(&request.to_string(), &mut dice),
            _ => mutate::structure(request, &mut dice)
                .to_string()
                .into_bytes(),
        };
        if would_end_or_wait(&bytes) {
            continue;
        }
        let connection = endpoint.connect().unwrap();
        if send(&connection, &bytes, SendFlags::NOSIGNAL).is_ok() {
            assert!(
                is_answered(&connection),
                "seed {seed}: {}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
    let connection = endpoint.connect().unwrap();
    connection
        .send(&json!({"processes": {"id": "c"}}), &[])
        .unwrap();
    let reply: Reply = connection.receive().unwrap().message;
    assert!(
        matches!(&reply, Reply::Processes(list) if list.iter().any(|p| p.command == "/bin/sleep 1000")),
        "{reply:?}"
    );
    assert!(fixture.check(&["delete", "--force", "c"], "whole"));
    assert!(fixture.left().is_empty(), "{:?}", fixture.left());
}

/// Damage may make a request that is meant to end the container, or to wait for its end.
fn would_end_or_wait(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return false;
    };
    let waits = value
        .get("wait")
        .is_some_and(|wait| wait.get("pid").is_none_or(|pid| pid.is_null() || *pid == 1));
    let signals = value
        .get("signal")
        .is_some_and(|s| s["target"] != json!({"pid": 4000}));
    waits || signals || value.get("pause").is_some()
}
