//! One session: a container with the guest program, watched from its start until nothing of it is left.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use fixtures::runtime::Runtime;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;
use tempfile::TempDir;

use crate::cli::Options;
use crate::finding::{self, Finding};
use crate::plan::{Plan, Root, Stream};
use crate::stdio;
use crate::watch::{self, Sample};

/// The guest program's package, and its name in a root file system.
pub(crate) const GUEST: &str = "fuzz-guest";
/// A copy that no call inside knows.
const PING: &str = "fuzz-ping";
/// How often `exec` must get an answer, and how long that may take on a busy machine.
const PING_EVERY: Duration = Duration::from_secs(4);
const PING_LIMIT: Duration = Duration::from_secs(30);
/// How many answers in a row may be errors, for want of tasks or memory inside.
const MAX_REFUSED_PINGS: u32 = 8;
/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How much of each log a finding keeps, from its end.
const KEPT: u64 = 64 << 10;
/// What `--privileged` adds.
const PRIVILEGES: [&str; 9] = [
    "CAP_SYS_ADMIN",
    "CAP_SYS_PTRACE",
    "CAP_DAC_READ_SEARCH",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_LEASE",
    "CAP_SYS_NICE",
    "CAP_NET_ADMIN",
    "CAP_SYSLOG",
];

/// What all sessions share.
pub(crate) struct Scene {
    /// The runtime under test.
    pub(crate) runtime: Runtime,
    /// The guest program, a copy that no build replaces meanwhile.
    pub(crate) guest: PathBuf,
    _copies: TempDir,
    seconds: u64,
    trace: bool,
    without: String,
    kill_limit: Duration,
    pub(crate) out: PathBuf,
}

/// How a session went.
pub(crate) struct Outcome {
    /// One line.
    pub(crate) summary: String,
    /// What must not be.
    pub(crate) findings: Vec<Finding>,
}

impl Scene {
    /// Builds what is needed.
    pub(crate) fn new(options: &Options) -> anyhow::Result<Scene> {
        let matrix = Runtime::matrix()?;
        let wanted = |runtime: &Runtime| match &options.platform {
            Some(name) => runtime.platform.as_ref() == Some(name),
            None => true,
        };
        let Some(runtime) = matrix.into_iter().find(wanted) else {
            bail!("the platform {:?} does not work here", options.platform);
        };
        let copies = tempfile::tempdir()?;
        build::install(
            &build::guest(GUEST, Linkage::StaticPie)?,
            copies.path(),
            GUEST,
        )?;
        Ok(Scene {
            runtime,
            guest: copies.path().join(GUEST),
            _copies: copies,
            seconds: options.seconds,
            trace: options.trace,
            without: options.without.join("\n"),
            kill_limit: Duration::from_secs(options.kill_limit),
            out: options.out.clone(),
        })
    }

    /// The runtime under test with its debug logs in a directory, and more flags.
    pub(crate) fn runtime(&self, logs: &Path, more: &[&str]) -> Runtime {
        let logs = format!("--debug-log-dir={}", logs.display());
        let flags = ["--network=none", "--debug", &logs];
        let flags = flags.iter().chain(more).map(OsString::from).collect();
        Runtime {
            given: Some(("fuzzed".to_owned(), flags)),
            ..self.runtime.clone()
        }
    }

    /// Runs the session of a seed.
    ///
    /// # Errors
    /// It can't be prepared.
    pub(crate) fn session(&self, seed: u64) -> anyhow::Result<Outcome> {
        let plan = Plan::new(seed);
        let mut session = Session::prepare(self, &plan)?;
        let end = session.attack();
        if let Err(finding) = end {
            session.findings.push(finding);
        }
        let gone = session.end();
        session.findings.extend(finding::in_logs(&session.logs()));
        let platform = self.runtime.platform.as_deref().unwrap_or("");
        let summary = format!(
            "{platform} {plan}: {} calls, {} pings (slowest {:.1} s, {} refused), gone in {:.1} s; {}",
            session.nr_calls,
            session.nr_pings,
            session.slowest.as_secs_f64(),
            session.nr_refused,
            gone.as_secs_f64(),
            session.last,
        );
        let findings = std::mem::take(&mut session.findings);
        if !findings.is_empty() || self.trace {
            let place = self.out.join(format!("{platform}-{seed}"));
            // A trace of every call is what was asked for, to its beginning.
            let most = if self.trace { u64::MAX } else { KEPT };
            finding::keep(&place, &summary, &findings, &session.logs(), most)?;
        }
        Ok(Outcome { summary, findings })
    }
}

/// A session that is under way.
struct Session {
    plan: Plan,
    seconds: u64,
    kill_limit: Duration,
    group: String,
    /// The runtime's state and logs.
    directory: TempDir,
    container: Container,
    mounted: Option<PathBuf>,
    kept: Vec<OwnedFd>,
    run: Option<Child>,
    sandbox: u32,
    findings: Vec<Finding>,
    quiets: Vec<Sample>,
    last: Sample,
    nr_calls: u64,
    nr_pings: u32,
    nr_refused: u32,
    refused_in_a_row: u32,
    slowest: Duration,
}

impl Session {
    fn prepare(scene: &Scene, plan: &Plan) -> anyhow::Result<Session> {
        let directory = tempfile::Builder::new().prefix("fuzz-").tempdir()?;
        let group = format!("runsc-fuzz-{}-{}", std::process::id(), plan.seed);
        let bundle = bundle(scene, plan, directory.path(), &group)?;
        let mounted = match plan.root {
            Root::Overlay => Some(overlay(bundle.rootfs(), directory.path())?),
            Root::Plain | Root::OwnOverlay => None,
        };
        let mut more = Vec::new();
        if scene.trace {
            more.push("--strace");
        }
        if plan.root == Root::OwnOverlay {
            more.push("--overlay2=root:memory");
        }
        let runtime = scene.runtime(&directory.path().join("logs"), &more);
        Ok(Session {
            plan: plan.clone(),
            seconds: scene.seconds,
            kill_limit: scene.kill_limit,
            group,
            directory,
            container: Container::of(runtime, bundle)?,
            mounted,
            kept: Vec::new(),
            run: None,
            sandbox: 0,
            findings: Vec::new(),
            quiets: Vec::new(),
            last: Sample::default(),
            nr_calls: 0,
            nr_pings: 0,
            nr_refused: 0,
            refused_in_a_row: 0,
            slowest: Duration::ZERO,
        })
    }

    /// Runs the container and watches it until its time is over.
    fn attack(&mut self) -> Result<(), Finding> {
        self.start()
            .map_err(|error| Finding::new("start", format!("{error:#}")))?;
        let begin = Instant::now();
        let total = Duration::from_secs(self.seconds);
        let limit = match self.plan.killed_amid {
            true => total.saturating_sub(Duration::from_secs(3)),
            // What is left of the last epoch, and the time that everything may take to go.
            false => total + Duration::from_secs(60),
        };
        let mut next_ping = Instant::now();
        while begin.elapsed() < limit && !self.read_report()? {
            self.still_runs()?;
            if Instant::now() >= next_ping {
                self.ping()?;
                next_ping = Instant::now() + PING_EVERY;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        self.growth();
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let mut command = self.command()?;
        let child = command.spawn().context("run the runtime")?;
        self.run = Some(child);
        command::wait_until("the container to run", START_LIMIT, || {
            self.container.status() == "running"
        })?;
        let state = self.container.state()?;
        self.sandbox = state["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or(0);
        Ok(())
    }

    /// The foreground `run`, beneath a shell that closes what is to be closed.
    fn command(&mut self) -> anyhow::Result<Command> {
        let run = self.container.run_command(&[]);
        let closed = self.plan.streams.iter().enumerate();
        let closed: String = closed
            .filter(|(_, stream)| **stream == Stream::Closed)
            .map(|(number, _)| format!(" {number}>&-"))
            .collect();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec \"$@\"{closed}"), "sh"])
            .arg(run.get_program())
            .args(run.get_args());
        for (number, stream) in self.plan.streams.into_iter().enumerate() {
            let end = stdio::open(stream, number, self.directory.path())?;
            match number {
                0 => command.stdin(end.stdio),
                1 => command.stdout(end.stdio),
                _ => command.stderr(end.stdio),
            };
            self.kept.extend(end.kept);
        }
        Ok(command)
    }

    fn still_runs(&mut self) -> Result<(), Finding> {
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        match run.try_wait() {
            Ok(Some(status)) => {
                self.run = None;
                Err(Finding::new(
                    "ended",
                    format!("the sandbox ended by itself: {status}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Executes a program inside, which must answer in time.
    fn ping(&mut self) -> Result<(), Finding> {
        let began = Instant::now();
        let mut exec = self
            .container
            .command(&["exec", "--user", "0:0", &self.container.id]);
        exec.args([&format!("/{PING}"), "ping"]);
        let answer = command::run(&mut exec, PING_LIMIT);
        self.nr_pings += 1;
        self.slowest = self.slowest.max(began.elapsed());
        let text = match answer {
            Ok(output) if output.code == 0 && output.stdout.contains("pong") => {
                self.refused_in_a_row = 0;
                return Ok(());
            }
            Ok(output) => format!(
                "exit code {}: {}{}",
                output.code, output.stdout, output.stderr
            ),
            Err(error) => return Err(Finding::new("hang", format!("no answer to exec: {error}"))),
        };
        self.still_runs()?;
        self.nr_refused += 1;
        self.refused_in_a_row += 1;
        if self.refused_in_a_row > MAX_REFUSED_PINGS {
            return Err(Finding::new("exec", format!("fails all the time: {text}")));
        }
        Ok(())
    }

    /// Reads what the guest reports; whether it is done.
    fn read_report(&mut self) -> Result<bool, Finding> {
        let report = fs::read_to_string(self.directory.path().join("report")).unwrap_or_default();
        let mut nr_quiet = 0;
        for line in report.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "quiet" => {
                    nr_quiet += 1;
                    self.nr_calls = last_number(rest);
                }
                "stuck" => {
                    return Err(Finding::new(
                        "stuck",
                        format!("does not go after SIGKILL: {rest}"),
                    ));
                }
                "done" => return Ok(true),
                _ => {}
            }
        }
        if nr_quiet > self.quiets.len() {
            // What ends asynchronously has the time until then.
            std::thread::sleep(Duration::from_secs(2));
            self.last = Sample::take(&self.group, self.sandbox);
            self.quiets.push(self.last);
        }
        Ok(false)
    }

    fn growth(&mut self) {
        if let [first, .., last] = self.quiets.as_slice() {
            self.findings.extend(last.growth(first));
        }
    }

    /// Kills and deletes the container, and looks for what is left; how long it took.
    fn end(&mut self) -> Duration {
        let began = Instant::now();
        // The runtime itself may have something to say on a stream that the guest has filled.
        self.kept.drain(..).for_each(stdio::drain);
        // It may have ended by itself, which is a finding already.
        let _ = self.container.kill("KILL");
        let mut code = None;
        if let Some(run) = &mut self.run {
            let limit = self.kill_limit;
            let waited = command::wait_until("the end", limit, || {
                code = run.try_wait().ok().flatten();
                code.is_some()
            });
            if waited.is_err() {
                // Who still runs, and in which calls of the host, is kept beside the logs.
                let processes = watch::describe(&self.group, run.id());
                let place = self.directory.path().join("logs/processes");
                let _ = fs::write(place, processes);
                self.findings.push(Finding::new(
                    "kill",
                    format!("still runs {limit:?} after KILL"),
                ));
                let _ = run.kill();
                let _ = run.wait();
            }
        }
        let deleted = self.container.delete(&["--force"]);
        let gone = began.elapsed();
        match deleted {
            Ok(output) if output.code == 0 => {}
            Ok(output) => self.findings.push(Finding::new("delete", output.stderr)),
            Err(error) => self
                .findings
                .push(Finding::new("delete", error.to_string())),
        }
        if gone > self.kill_limit {
            self.findings.push(Finding::new(
                "kill",
                format!("kill and delete took {gone:?}"),
            ));
        }
        if let Some(status) = code
            && !status.to_string().contains("137")
        {
            self.findings
                .push(Finding::new("ended", format!("{status} after KILL")));
        }
        self.left();
        gone
    }

    /// What of it is still on the host: processes, control groups, mounts.
    fn left(&mut self) {
        let beneath = fs::canonicalize(self.container.bundle.path()).unwrap_or_default();
        if let Some(mounted) = &self.mounted
            && unmount(mounted, UnmountFlags::empty()).is_err()
        {
            self.findings
                .push(Finding::new("left", "the root file system is busy"));
            // So that the directory can be removed.
            let _ = unmount(mounted, UnmountFlags::DETACH);
        }
        // A process that was killed may need a moment to be reaped by the host's first one.
        let _ = command::wait_until("nothing", Duration::from_secs(5), || {
            watch::processes(&self.group).is_empty() && watch::groups(&self.group).is_empty()
        });
        let left = [
            ("processes", format!("{:?}", watch::processes(&self.group))),
            (
                "control groups",
                format!("{:?}", watch::groups(&self.group)),
            ),
            ("mounts", format!("{:?}", watch::mounts(&beneath))),
        ];
        for (what, list) in left {
            if list != "[]" {
                self.findings
                    .push(Finding::new("left", format!("{what} {list}")));
            }
        }
    }

    fn logs(&self) -> Vec<PathBuf> {
        finding::logs(&self.directory.path().join("logs"))
    }
}

fn last_number(text: &str) -> u64 {
    let last = text.split_whitespace().next_back();
    last.and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn bundle(scene: &Scene, plan: &Plan, directory: &Path, group: &str) -> anyhow::Result<Bundle> {
    let report = directory.join("report");
    fs::write(&report, "")?;
    fs::set_permissions(&report, fs::Permissions::from_mode(0o666))?;
    let (seed, seconds) = (plan.seed.to_string(), scene.seconds.to_string());
    let args = [&format!("/{GUEST}"), "drive", &seed, &seconds, "/work"];
    let mut bundle = Bundle::empty()?
        .args(&args)
        .user(plan.uid, plan.uid)
        .mount(
            "/report",
            "bind",
            &report.display().to_string(),
            &["bind", "rw"],
        )
        .mount(
            "/dev/mqueue",
            "mqueue",
            "mqueue",
            &["nosuid", "noexec", "nodev"],
        )
        .mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev"],
        )
        .set("/linux/cgroupsPath", json!(format!("/{group}")))
        .set(
            "/linux/resources/memory/limit",
            json!(plan.memory_mib << 20),
        )
        .set("/linux/resources/pids/limit", json!(plan.nr_tasks));
    if plan.privileged {
        bundle = PRIVILEGES
            .iter()
            .fold(bundle, |bundle, name| bundle.capability(name));
    }
    for name in [GUEST, PING] {
        build::install(&scene.guest, bundle.rootfs(), name)?;
    }
    fs::write(bundle.rootfs().join("fuzz-without"), &scene.without)?;
    let work = bundle.rootfs().join("work");
    fs::create_dir(&work)?;
    fs::set_permissions(&work, fs::Permissions::from_mode(0o1777))?;
    fs::write(bundle.rootfs().join("report"), "")?;
    Ok(bundle)
}

/// Puts the host's overlayfs over the root file system, which becomes its lower layer.
fn overlay(rootfs: &Path, directory: &Path) -> anyhow::Result<PathBuf> {
    let layer = |name: &str| directory.join(name);
    fs::rename(rootfs, layer("lower")).context("move the root file system")?;
    for place in [&layer("upper"), &layer("scratch"), rootfs] {
        fs::create_dir(place).with_context(|| format!("make {}", place.display()))?;
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        layer("lower").display(),
        layer("upper").display(),
        layer("scratch").display()
    );
    let options = std::ffi::CString::new(options)?;
    mount(
        "overlay",
        rootfs,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .context("mount an overlay")?;
    Ok(rootfs.to_owned())
}
