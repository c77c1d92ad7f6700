//! Running a program under strace(1) on the host, and in a sandbox with its own trace.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fixtures::behaviour::Place;
use fixtures::build::{self, Linkage};
use fixtures::files::Files;
use fixtures::runtime::Runtime;
use fixtures::{FixtureError, command};

use crate::repro::trace::{Trace, Writer};

/// How many bytes of a string both traces show.
const STRING: usize = 4096;

/// How long strace may take to write the rest of a trace.
const REST: Duration = Duration::from_secs(5);

/// What is run.
#[derive(Debug)]
pub(super) enum Subject {
    /// A program of the host and its arguments, on the host's files.
    Program(Vec<String>),
    /// A behaviour test: its name, and the guest program that has it.
    Test(String, std::path::PathBuf),
}

/// What a run left behind.
#[derive(Debug)]
pub(super) struct Recording {
    /// The exit code; none if it did not end in time.
    pub(super) code: Option<i32>,
    /// Standard output.
    pub(super) stdout: String,
    /// Standard error.
    pub(super) stderr: String,
    /// Its calls.
    pub(super) trace: Trace,
}

impl Subject {
    /// A behaviour test of this name.
    ///
    /// # Errors
    /// There is none, or the guest program can't be built.
    pub(super) fn test(name: &str) -> anyhow::Result<Self> {
        let program = build::guest("syscall-tests", Linkage::StaticPie)?;
        let list = command::run(Command::new(&program).arg("list"), Duration::from_secs(20))?;
        if !list.success()?.stdout.lines().any(|line| line == name) {
            bail!("there is no behaviour test {name:?}");
        }
        Ok(Self::Test(name.to_owned(), program))
    }

    /// Runs it on the host.
    ///
    /// # Errors
    /// strace(1) or the program can't be started.
    pub(super) fn on_host(&self, limit: Duration) -> anyhow::Result<Recording> {
        let dir = tempfile::tempdir().context("make a directory for the trace")?;
        let log = dir.path().join("trace");
        // Whoever started this may ignore signals, as nohup(1) does; a container's program ignores none.
        let mut strace = Command::new("env");
        strace.args(["--default-signal", "strace"]);
        // The program itself is what is started, as leader of its process group, as in the sandbox; strace is its
        // grandchild, and ends a moment later.
        strace
            .args(["-D", "-f", "-a", "1", "--quiet=attach,personality", "-s"])
            .arg(STRING.to_string())
            .args(["-v", "-e", "abbrev=execve,execveat,ioctl", "-o"])
            .arg(&log)
            .arg("--");
        match self {
            Self::Program(args) => strace.args(args),
            Self::Test(name, program) => strace.arg(program).args(["run", name]).current_dir("/"),
        };
        record(&mut strace, limit, Writer::Strace, &log).context("run under strace on the host")
    }

    /// Runs it in a sandbox of the runtime.
    ///
    /// # Errors
    /// The sandbox can't be started.
    pub(super) fn in_sandbox(
        &self,
        runtime: &Runtime,
        limit: Duration,
    ) -> anyhow::Result<Recording> {
        let dir = tempfile::tempdir().context("make a directory for the logs")?;
        let state = dir.path().join("state");
        // Deletes its container when it goes.
        let _container;
        let mut command = match self {
            Self::Program(args) => {
                let mut command = runtime.command(&state);
                trace_to(&mut command, dir.path());
                command.args(["do", "--quiet", "--"]).args(args);
                command
            }
            Self::Test(name, program) => {
                let container =
                    Place::contain(runtime, Files::Memory, program, std::slice::from_ref(name))?;
                let mut command = runtime.command(container.root());
                trace_to(&mut command, dir.path());
                let bundle = container.bundle.path();
                command
                    .args(["run", "--bundle"])
                    .arg(bundle)
                    .arg(&container.id);
                _container = container;
                command
            }
        };
        let log = dir.path().join("boot");
        record(&mut command, limit, Writer::Sandbox, &log)
            .with_context(|| format!("run in {}", runtime.name()))
    }
}

/// Has the runtime write its trace into a file in the directory.
fn trace_to(command: &mut Command, dir: &Path) {
    let log = dir.join("%COMMAND%");
    command
        .args(["--strace", &format!("--strace-log-size={STRING}")])
        .arg(format!("--debug-log={}", log.display()));
}

fn record(
    command: &mut Command,
    limit: Duration,
    writer: Writer,
    log: &Path,
) -> anyhow::Result<Recording> {
    let (code, stdout, stderr) = match command::run(command, limit) {
        Ok(output) => (Some(output.code), output.stdout, output.stderr),
        Err(FixtureError::TimedOut { output, .. }) => (None, output, String::new()),
        Err(error) => return Err(error.into()),
    };
    let trace = read(writer, log);
    if trace.threads.is_empty() {
        bail!(
            "no trace: exit code {code:?}: {}{}",
            stdout,
            stderr.trim_end()
        );
    }
    Ok(Recording {
        code,
        stdout,
        stderr,
        trace,
    })
}

/// The trace in a file; strace, which is nobody's child, may have to write its end yet.
fn read(writer: Writer, log: &Path) -> Trace {
    let read = || {
        let bytes = std::fs::read(log).unwrap_or_default();
        Trace::read(writer, &String::from_utf8_lossy(&bytes))
    };
    let mut trace = read();
    if writer == Writer::Strace {
        // A program that left processes behind has no end to wait for.
        let _ = command::wait_until("the end of the trace", REST, || {
            let is_whole = trace.is_whole();
            if !is_whole {
                trace = read();
            }
            is_whole
        });
    }
    trace
}
