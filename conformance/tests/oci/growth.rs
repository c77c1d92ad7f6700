//! Kernel memory counts (`linux.resources.memory.limit`): an unprivileged user makes kernel objects of one kind
//! without end, under a limit of 256 MiB. What comes of it is an error or the end of whoever does it; the container
//! lives, and so does everybody else in it.
//!
//! Ordinary runs try [`USUAL`]. `GROWTH=all`, or names with commas between, tries others:
//!
//! ```sh
//! GROWTH=all cargo test -p conformance --test oci growth:: -- --nocapture
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::command::{self, Running};
use fixtures::container::Container;
use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;
use serde_json::json;

const LIMIT: u64 = 256 << 20;
/// How long a kind may grow, in seconds.
const SECONDS: &str = "6";
/// What has been worst, and one of each way to end.
const USUAL: &str = "pipe-buffers,unix-stream-queues,rights-in-flight,sysv-messages,tmpfs-files,\
                     other-namespaces,threads,page-tables,pending-signals";
const GUEST: &str = "syscall-tests";

/// What is seen of a container from the host.
#[derive(Debug, Default)]
struct Seen {
    /// The most that its group ever held.
    peak: u64,
    /// Processes that the host's OOM killer took from the group.
    host_kills: u64,
}

#[rstest]
fn the_maker_fails_or_dies_and_everybody_else_lives() {
    let program = build::guest(GUEST, Linkage::Static).unwrap();
    let mut bad = Vec::new();
    println!("kind | objects | end | time | neighbour | host");
    for kind in chosen(&program) {
        let (line, verdict) = try_kind(&program, &kind);
        println!("{line}");
        if let Err(reason) = verdict {
            bad.push(format!("{reason}: {line}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

fn chosen(program: &Path) -> Vec<String> {
    let wanted = std::env::var("GROWTH").unwrap_or_else(|_| USUAL.to_owned());
    if wanted != "all" {
        return wanted.split(',').map(str::to_owned).collect();
    }
    let mut list = Command::new(program);
    let output = command::run(list.args(["grow", "list"]), Duration::from_secs(10)).unwrap();
    output.stdout.lines().map(str::to_owned).collect()
}

/// A line for the table, and what is wrong with it.
fn try_kind(program: &Path, kind: &str) -> (String, Result<(), String>) {
    let group = format!("runsc-growth-{}-{kind}", std::process::id());
    let runtime = Runtime::under_test().unwrap();
    let container = container(&runtime, program, kind, &group);
    let log = container.root().join("user.log");
    let flag = format!("--user-log={}", log.display());
    let flags: &[&str] = match runtime.kind {
        Kind::Runsc => &[&flag],
        _ => &[],
    };
    let running = Running::start(&mut container.run_command(flags)).unwrap();
    let (seen, output) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&group));
        let output = running.finish(Duration::from_secs(300));
        (watcher.join().unwrap(), output)
    });
    let told = fs::read_to_string(&log).unwrap_or_default();
    let guest_kills = told.matches("Killed process").count() as u64;
    let (text, code) = output.map_or_else(
        |error| (error.to_string(), 255),
        |output| (format!("{}{}", output.stdout, output.stderr), output.code),
    );
    let row = text.lines().find(|line| line.starts_with(kind));
    let row = row.map_or_else(|| format!("{kind} | gone, with {code}"), str::to_owned);
    let line = format!(
        "{row} | host: peak {} MiB, {} of {guest_kills} killed",
        seen.peak >> 20,
        seen.host_kills
    );
    let verdict = judge(&row, &seen, (runtime.kind, guest_kills))
        .map_err(|reason| format!("{reason}: {text}{told}"));
    (line, verdict)
}

fn judge(row: &str, seen: &Seen, (kind, guest_kills): (Kind, u64)) -> Result<(), String> {
    if !row.contains("during: works") || !row.contains("after: works") {
        return Err("somebody else suffered".to_owned());
    }
    // The host's killer takes what is offered to it whenever the guest's own kills a process, nothing else.
    if kind == Kind::Runsc && seen.host_kills > guest_kills {
        return Err("the host's OOM killer acted by itself".to_owned());
    }
    Ok(())
}

fn container(runtime: &Runtime, program: &Path, kind: &str, group: &str) -> Container {
    let guest = format!("/{GUEST}");
    let bundle = Bundle::busybox(&[&guest, "grow", kind, SECONDS])
        .unwrap()
        .set("/linux/cgroupsPath", json!(format!("/{group}")))
        .set(
            "/linux/resources",
            json!({"memory": {"limit": LIMIT, "swap": LIMIT}}),
        )
        .set("/process/rlimits", json!([]))
        .mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev"],
        );
    build::install(program, bundle.rootfs(), GUEST).unwrap();
    Container::of(runtime.clone(), bundle).unwrap()
}

/// Looks at the group until it has come and gone.
fn watch(group: &str) -> Seen {
    let mut seen = Seen::default();
    let mut there = false;
    for _ in 0..30_000 {
        let peak = number(group, &["memory.max_usage_in_bytes", "memory.peak"]);
        match peak {
            Some(peak) => {
                there = true;
                seen.peak = seen.peak.max(peak);
                let kills = kills(group).unwrap_or(0);
                seen.host_kills = seen.host_kills.max(kills);
            }
            None if there => break,
            None => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    seen
}

fn read(group: &str, names: &[&str]) -> Option<String> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let places = [root.join("memory").join(group), root.join(group)];
    let mut files = places
        .iter()
        .flat_map(|place| names.iter().map(|name| place.join(name)));
    files.find_map(|path| fs::read_to_string(path).ok())
}

fn number(group: &str, names: &[&str]) -> Option<u64> {
    read(group, names)?.trim().parse().ok()
}

fn kills(group: &str) -> Option<u64> {
    let text = read(group, &["memory.oom_control", "memory.events"])?;
    let row = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    row.trim().parse().ok()
}
