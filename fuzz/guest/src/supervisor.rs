//! The first process: it keeps workers going, and between epochs it kills and clears everything, so that what the host
//! still holds then is a leak.
//!
//! Its report is a file on the root, a line for each event, which the fuzzer outside reads: `epoch N`, `quiet N CALLS`
//! when everything is gone, `stuck PID…` if it does not go, `done`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::arena;
use crate::dice::Dice;
use crate::raw::{Arg as _, raw};
use crate::worker;

/// How many workers there are at a time.
const NR_WORKERS: usize = 3;
/// How long an epoch takes.
const EPOCH: Duration = Duration::from_secs(8);
/// How long it is quiet between them, for whoever looks from outside.
const QUIET: Duration = Duration::from_secs(3);
/// How long a worker may make no call.
const STALL: Duration = Duration::from_secs(2);
/// How long everything may take to go after SIGKILL.
const GONE: Duration = Duration::from_secs(30);

/// The counter of calls, in memory that all workers share; none in a program that a worker executed.
static BEATS: AtomicU64 = AtomicU64::new(0);
static UNCOUNTED: AtomicU64 = AtomicU64::new(0);

/// Counts a call of this worker.
pub(crate) fn beat() {
    counter().fetch_add(1, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "a counter in memory that processes share")]
fn counter() -> &'static AtomicU64 {
    let address = usize::try_from(BEATS.load(Ordering::Relaxed)).unwrap_or(0);
    // SAFETY: the address is 0 or that of eight bytes of a shared page that is mapped for as long as the process lives;
    // a worker whose calls take it away ends by SIGSEGV.
    unsafe { std::ptr::with_exposed_provenance::<AtomicU64>(address).as_ref() }
        .unwrap_or(&UNCOUNTED)
}

struct Worker {
    pid: i32,
    slot: u64,
    beats: u64,
    since: Instant,
}

struct Supervisor {
    seed: u64,
    started: u64,
    directory: PathBuf,
    report: File,
    counters: u64,
    workers: Vec<Worker>,
}

/// Runs epochs for so long, then waits to be killed.
pub(crate) fn run(seed: u64, seconds: u64, directory: &str) -> ExitCode {
    let Ok(report) = File::create("/report") else {
        return ExitCode::FAILURE;
    };
    let mut supervisor = Supervisor {
        seed,
        started: 0,
        directory: PathBuf::from(directory),
        report,
        counters: shared_page(),
        workers: Vec::new(),
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut epoch = 0;
    while Instant::now() < end {
        supervisor.epoch(epoch);
        epoch += 1;
    }
    supervisor.say("done");
    loop {
        std::thread::park();
    }
}

fn shared_page() -> u64 {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    raw!(SYS_mmap, 0, arena::PAGE, protection, flags, -1, 0).cast_unsigned()
}

impl Supervisor {
    fn epoch(&mut self, number: u64) {
        self.say(&format!("epoch {number}"));
        let end = Instant::now() + EPOCH;
        while Instant::now() < end {
            self.reap();
            self.end_stalled();
            while self.workers.len() < NR_WORKERS {
                self.start();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.end_all();
        clear(&self.directory);
        // A worker may have damaged its counter, and nobody makes so many calls.
        let beats = (0..NR_WORKERS as u64).map(|slot| self.beats(slot));
        let calls: u64 = beats.filter(|beats| *beats < 1 << 32).sum();
        self.say(&format!("quiet {number} {calls}"));
        std::thread::sleep(QUIET);
    }

    fn say(&mut self, line: &str) {
        // Whoever reads it notices that it ends.
        let _ = self.report.write_all(format!("{line}\n").as_bytes());
    }

    fn beats(&self, slot: u64) -> u64 {
        BEATS.store(self.counters + 8 * slot, Ordering::Relaxed);
        let beats = counter().load(Ordering::Relaxed);
        BEATS.store(0, Ordering::Relaxed);
        beats
    }

    /// Starts a worker in a directory of its own, on a free slot.
    fn start(&mut self) {
        self.started += 1;
        let taken = |slot: &u64| self.workers.iter().any(|worker| worker.slot == *slot);
        let slot = (0..).find(|slot| !taken(slot)).unwrap_or(0);
        let seed = Dice::of(self.seed, self.started).next();
        let directory = self.directory.join(format!("w{}", self.started % 16));
        let pid = i32::try_from(raw!(SYS_fork)).unwrap_or(-1);
        if pid == 0 {
            self.become_worker(seed, slot, &directory);
        }
        if pid < 0 {
            std::thread::sleep(Duration::from_millis(200));
            return;
        }
        let (beats, since) = (self.beats(slot), Instant::now());
        self.workers.push(Worker {
            pid,
            slot,
            beats,
            since,
        });
    }

    fn become_worker(&self, seed: u64, slot: u64, directory: &Path) -> ! {
        BEATS.store(self.counters + 8 * slot, Ordering::Relaxed);
        raw!(SYS_close, raw_fd(&self.report));
        raw!(SYS_setpgid, 0, 0);
        // It may be there from a worker before.
        let _ = fs::create_dir_all(directory);
        let _ = std::env::set_current_dir(directory);
        raw!(SYS_chmod, c".", 0o777);
        worker::start(seed);
        loop {
            raw!(SYS_exit_group, 0);
        }
    }

    fn reap(&mut self) {
        loop {
            let pid = raw!(SYS_wait4, -1, 0, libc::WNOHANG | libc::__WALL, 0);
            if pid <= 0 {
                return;
            }
            self.workers.retain(|worker| i64::from(worker.pid) != pid);
        }
    }

    /// Kills workers that make no calls, for instance since they are stopped or sleep with all signals blocked.
    fn end_stalled(&mut self) {
        for index in 0..self.workers.len() {
            let Some(slot) = self.workers.get(index).map(|worker| worker.slot) else {
                return;
            };
            let beats = self.beats(slot);
            let Some(worker) = self.workers.get_mut(index) else {
                return;
            };
            if beats != worker.beats {
                (worker.beats, worker.since) = (beats, Instant::now());
            } else if worker.since.elapsed() > STALL {
                raw!(SYS_kill, worker.pid, libc::SIGKILL);
                worker.since = Instant::now();
            }
        }
    }

    /// Kills everything but those whose parent is outside, until it is gone.
    fn end_all(&mut self) {
        let end = Instant::now() + GONE;
        loop {
            let alive = others();
            for (pid, _) in &alive {
                raw!(SYS_kill, *pid, libc::SIGKILL);
            }
            self.reap();
            if alive.is_empty() {
                return;
            }
            if Instant::now() > end {
                // Those that have lost their parent, among them, and what seems to come from outside.
                let all: Vec<_> = everybody().iter().map(describe).collect();
                let stuck: Vec<_> = alive.iter().map(|(pid, _)| pid.to_string()).collect();
                self.say(&format!("stuck {} of {}", stuck.join(" "), all.join(", ")));
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A process, and what its threads are doing.
fn describe((pid, state): &(i64, String)) -> String {
    let read = |name: &str| text(&format!("/proc/{pid}/{name}")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let calls: Vec<String> = threads
        .map(|thread| {
            let call = fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
            format!("{}: {}", thread.file_name().to_string_lossy(), call.trim())
        })
        .collect();
    let status = read("status");
    let facts = ["PPid", "TracerPid", "NSpid", "Threads", "ShdPnd"];
    let facts: Vec<&str> = status
        .lines()
        .filter(|line| facts.iter().any(|fact| line.starts_with(fact)))
        .collect();
    format!(
        "{pid} {state} {} {} [{}]",
        read("comm").trim(),
        facts.join(" ").replace('\t', " "),
        calls.join("; ")
    )
}

/// What a file holds; the names of processes are whatever bytes calls have made them.
fn text(path: &str) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn raw_fd(file: &File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

/// The processes here with their states, but the first and those that were executed from outside.
fn others() -> Vec<(i64, String)> {
    let parent = |pid: &i64| stat(*pid).map(|(_, parent)| parent);
    let mut all = everybody();
    all.retain(|(pid, _)| *pid > 1 && parent(pid).is_some_and(|parent| parent != "0"));
    all
}

fn everybody() -> Vec<(i64, String)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<i64>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?.0))).collect()
}

/// A process's state and its parent.
fn stat(pid: i64) -> Option<(String, String)> {
    let stat = text(&format!("/proc/{pid}/stat"))?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}

/// Removes what outlives processes: files, queues, System V objects.
fn clear(directory: &Path) {
    for place in [
        directory,
        Path::new("/tmp"),
        Path::new("/dev/shm"),
        Path::new("/dev/mqueue"),
    ] {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            // What can't be removed stays.
            if path.is_dir() && !path.is_symlink() {
                let _ = fs::remove_dir_all(&path);
            } else {
                let _ = fs::remove_file(&path);
            }
        }
    }
    for (table, call) in [
        ("shm", libc::SYS_shmctl),
        ("msg", libc::SYS_msgctl),
        ("sem", libc::SYS_semctl),
    ] {
        remove_objects(table, call);
    }
}

fn remove_objects(table: &str, call: i64) {
    let text = fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap_or_default();
    for line in text.lines().skip(1) {
        let id = line
            .split_whitespace()
            .nth(1)
            .and_then(|id| id.parse::<u64>().ok());
        let Some(id) = id else { continue };
        // `semctl` takes the command behind the index.
        let args = match call {
            libc::SYS_semctl => [id, 0, libc::IPC_RMID.word(), 0, 0, 0],
            _ => [id, libc::IPC_RMID.word(), 0, 0, 0, 0],
        };
        crate::raw::call(call.cast_unsigned(), args);
    }
}
