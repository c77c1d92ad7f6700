//! `run true` from nothing: from before the runtime's process is made until it has ended.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use fixtures::command;
use rustix::process::{Pid, Signal};

use crate::scene::Scene;
use crate::subject::Subject;

/// The longest that a start may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How long it took.
///
/// # Errors
/// It failed or did not end.
pub(crate) fn run_true(scene: &Scene, subject: &Subject, root: &Path) -> anyhow::Result<Duration> {
    let mut command = match subject.command(root) {
        Some(mut runtime) => {
            runtime.args(["run", "--bundle"]);
            runtime.arg(scene.exit.path()).arg("bench-true");
            runtime
        }
        None => {
            let mut guest = Command::new(scene.guest());
            guest.arg("true");
            guest
        }
    };
    let log = root.join("run.stderr");
    command
        .stdin(command::nothing()?)
        .stdout(command::nothing()?)
        .stderr(File::create(&log).context("make a log file")?)
        .process_group(0);
    let start = Instant::now();
    let child = command.spawn().context("start it")?;
    let status = wait(child)?;
    let elapsed = start.elapsed();
    if !status.success() {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        bail!("{status}: {}", log.trim());
    }
    Ok(elapsed)
}

/// Waits without polling, so that nothing is added to the time; a watchdog kills what does not end.
fn wait(mut child: Child) -> anyhow::Result<ExitStatus> {
    let (done, ended) = mpsc::channel::<()>();
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout)
                && let Some(group) = group
            {
                // It may end at this very moment.
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
        });
        let status = child.wait();
        drop(done);
        status.context("wait for it")
    })
}
