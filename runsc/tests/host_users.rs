//! Whom the host takes a container's processes for, where `/etc/subuid` and `/etc/subgid` have a range for runsc.
//!
//! Each case has a mount namespace with files of its own in the place of the host's. Needs root; without it every case
//! passes without doing anything.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's failure"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How soon what was killed must have ended, with room for a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// Shows the host's own files under other names, and stays.
const MOUNTS: &str = "mount --bind \"$1/subuid\" /etc/subuid && mount --bind \"$1/subgid\" /etc/subgid \
    && mount -t tmpfs none /run && echo there && exec cat";

struct Host {
    directory: tempfile::TempDir,
    keeper: Child,
}

impl Host {
    fn new(subuid: &str, subgid: &str) -> Option<Host> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["sleep", "1000"],
                "env": ["PATH=/usr/bin:/bin"],
            },
            "root": {"path": "/", "readonly": true},
            "linux": {"namespaces": [{"type": "network"}, {"type": "pid"}, {"type": "mount"}]},
        });
        for (name, text) in [
            ("subuid", subuid.to_owned()),
            ("subgid", subgid.to_owned()),
            ("config.json", config.to_string()),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let mut keeper = Command::new("unshare")
            .args(["--mount", "sh", "-c", MOUNTS, "sh"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut there = BufReader::new(keeper.stdout.take().unwrap());
        there.read_line(&mut line).unwrap();
        assert_eq!(line, "there\n");
        Some(Host { directory, keeper })
    }

    /// With the state directory `root`, as all containers' are not the same.
    fn command(&self, root: &str, args: &[&str]) -> Command {
        let directory = self.directory.path().display();
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.keeper.id()))
            .arg(format!("--wd={directory}"))
            .arg(env!("CARGO_BIN_EXE_runsc"))
            .arg(format!("--root={directory}/{root}"))
            .arg("--overlay2=root:memory")
            // Their names are the ids, of which there are two.
            .arg("--ignore-cgroups")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn succeed(&self, root: &str, args: &[&str]) {
        let (status, said) = self.try_to(root, args);
        assert_eq!(status, Some(0), "{args:?}: {said}");
    }

    fn start(&self, root: &str, id: &str) {
        self.succeed(root, &["run", "--detach", id]);
    }

    /// Its exit code and what it says. Not by a pipe: a container that stays would keep it open.
    fn try_to(&self, root: &str, args: &[&str]) -> (Option<i32>, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = self.command(root, args);
        let status = command.stderr(file.reopen().unwrap()).status().unwrap();
        (status.code(), fs::read_to_string(file.path()).unwrap())
    }

    /// Whether nobody holds the lock of `id`.
    fn is_free(&self, id: u32) -> bool {
        let lock = format!("/proc/{}/root/run/runsc-ids/{id}", self.keeper.id());
        let mut flock = Command::new("flock");
        let tried = flock.args(["--nonblock", &lock, "true"]).status();
        tried.unwrap().success()
    }

    fn pid(&self, root: &str, id: &str, role: &str) -> i32 {
        let file = self.directory.path().join(root).join(format!("{id}.json"));
        let state: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        i32::try_from(state[role]["pid"].as_i64().unwrap()).unwrap()
    }

    fn sandbox(&self, root: &str, id: &str) -> i32 {
        self.pid(root, id, "sandbox")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for root in ["one", "two"] {
            let files = fs::read_dir(self.directory.path().join(root));
            for file in files.into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                if let Some(id) = name.strip_suffix(".json") {
                    let _ = self.command(root, &["delete", "--force", id]).status();
                }
            }
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Real, effective, saved and file system id.
fn ids(pid: i32, field: &str) -> [u32; 4] {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let ids: Vec<u32> = line
        .unwrap()
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    ids.try_into().unwrap()
}

fn uid(pid: i32) -> u32 {
    ids(pid, "Uid:")[0]
}

/// Whether somebody with these ids and no capability may send `pid` a signal.
fn may_signal(id: u32, pid: i32) -> bool {
    let setpriv = Command::new("setpriv")
        .args([
            format!("--reuid={id}"),
            format!("--regid={id}"),
            "--clear-groups".to_owned(),
        ])
        .args(["sh", "-c", &format!("kill -0 {pid}")])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&setpriv.stderr);
    assert!(
        setpriv.status.success() || error.contains("not permitted"),
        "{error}"
    );
    setpriv.status.success()
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn soon(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(10));
    }
}

const RANGE: &str = "somebody:100:5\nrunsc:3000000:10\n";
const GROUPS: &str = "runsc:4000000:10\n";

#[test]
fn each_sandbox_is_somebody_else_whatever_its_state_directory() {
    let Some(host) = Host::new(RANGE, GROUPS) else {
        return;
    };
    host.start("one", "a");
    host.start("one", "b");
    host.start("two", "a");
    let pids = [("one", "a"), ("one", "b"), ("two", "a")].map(|(root, id)| host.sandbox(root, id));
    assert_eq!(
        pids.map(|pid| ids(pid, "Uid:")),
        [3_000_000, 3_000_001, 3_000_002].map(|id| [id; 4])
    );
    assert_eq!(
        pids.map(|pid| ids(pid, "Gid:")),
        [4_000_000, 4_000_001, 4_000_002].map(|id| [id; 4])
    );
    for (of, pid) in pids.iter().enumerate() {
        for (to, other) in pids.iter().enumerate() {
            assert_eq!(may_signal(uid(*pid), *other), of == to, "{of} {to}");
        }
    }
}

#[test]
fn everything_of_a_sandbox_but_its_gofer_is_the_same_user() {
    let Some(host) = Host::new(RANGE, GROUPS) else {
        return;
    };
    host.start("one", "a");
    host.start("one", "b");
    let file = host.directory.path().join("pid");
    let pid_file = format!("--pid-file={}", file.display());
    host.succeed("one", &["exec", "--detach", &pid_file, "b", "sleep", "100"]);
    let watcher: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(ids(watcher, "Uid:"), [3_000_001; 4]);
    assert_eq!(ids(watcher, "Gid:"), [4_000_001; 4]);
    let sandbox = host.sandbox("one", "b");
    let children = fs::read_to_string(format!("/proc/{sandbox}/task/{sandbox}/children")).unwrap();
    for child in children.split_whitespace() {
        assert_eq!(uid(child.parse().unwrap()), 3_000_001, "{child}");
    }
    assert_eq!(uid(host.pid("one", "b", "gofer")), 0);
}

#[test]
fn an_id_comes_back_when_its_container_has_ended() {
    let Some(host) = Host::new(RANGE, GROUPS) else {
        return;
    };
    host.start("one", "a");
    host.start("one", "b");
    host.succeed("one", &["delete", "--force", "a"]);
    host.start("one", "c");
    assert_eq!(uid(host.sandbox("one", "c")), 3_000_000);
    // Whoever has no time to give anything back.
    let both = ["sandbox", "gofer"].map(|role| host.pid("one", "b", role));
    both.into_iter().for_each(kill);
    soon(|| host.is_free(3_000_001));
    host.start("two", "d");
    assert_eq!(uid(host.sandbox("two", "d")), 3_000_001);
}

/// The gofer has the lock too: what a compromised sandbox does to its own descriptor changes nothing.
#[test]
fn an_id_is_taken_while_any_process_of_the_container_has_it() {
    let Some(host) = Host::new(RANGE, GROUPS) else {
        return;
    };
    host.start("one", "a");
    for role in ["sandbox", "gofer"] {
        let fds = fs::read_dir(format!("/proc/{}/fd", host.pid("one", "a", role))).unwrap();
        let links = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let held = links.filter(|link| link.ends_with("runsc-ids/3000000"));
        assert_eq!(held.count(), 1, "{role}");
    }
}

#[test]
fn containers_made_at_once_are_different_users() {
    let Some(host) = Host::new(RANGE, GROUPS) else {
        return;
    };
    let starting: Vec<Child> = ["one", "two"]
        .into_iter()
        .flat_map(|root| ["a", "b", "c"].map(|id| (root, id)))
        .map(|(root, id)| {
            let mut command = host.command(root, &["create", id]);
            command.spawn().unwrap()
        })
        .collect();
    for mut create in starting {
        assert!(create.wait().unwrap().success());
    }
    let mut uids: Vec<u32> = ["one", "two"]
        .into_iter()
        .flat_map(|root| ["a", "b", "c"].map(|id| uid(host.sandbox(root, id))))
        .collect();
    uids.sort_unstable();
    assert_eq!(uids, (3_000_000..3_000_006).collect::<Vec<_>>());
}

#[test]
fn a_range_that_is_used_up_is_an_error() {
    let Some(host) = Host::new("runsc:3000000:1\n", GROUPS) else {
        return;
    };
    host.start("one", "a");
    let (status, said) = host.try_to("one", &["create", "b"]);
    assert_eq!(status, Some(128));
    assert!(said.contains("all 1 users"), "{said}");
    host.succeed("one", &["delete", "--force", "a"]);
    host.start("one", "b");
}

#[test]
fn without_a_range_all_are_nobody() {
    for (subuid, subgid) in [
        ("", ""),
        ("root:3000000:10\n", "root:3000000:10\n"),
        (RANGE, ""),
    ] {
        let Some(host) = Host::new(subuid, subgid) else {
            return;
        };
        host.start("one", "a");
        host.start("one", "b");
        for id in ["a", "b"] {
            assert_eq!(uid(host.sandbox("one", id)), 65_534, "{subuid:?}");
        }
    }
}
