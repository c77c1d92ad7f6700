//! The memory of an idle sandbox, the sum of the proportional shares of all its processes, and the CPU time they take.
//!
//! The container runs detached, so that what is left are the processes that a sandbox needs while it lives; they are
//! this program's descendants, because it adopts orphans. Memory that no process maps is not seen.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use fixtures::command;

use crate::processes;
use crate::scene::Scene;
use crate::subject::Subject;

const ID: &str = "bench-idle";
const LIMIT: Duration = Duration::from_secs(60);

/// What an idle sandbox costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Memory.
    pub(crate) mebibytes: f64,
    /// Microseconds of CPU time in each second.
    pub(crate) cpu_per_second: f64,
}

/// What the sandbox costs after it was left alone for `settle`, its CPU time over as long again.
///
/// # Errors
/// A command of the runtime failed, or there was no process.
pub(crate) fn cost(
    scene: &Scene,
    subject: &Subject,
    root: &Path,
    settle: Duration,
) -> anyhow::Result<Idle> {
    let Some(mut command) = subject.command(root) else {
        return native(scene, settle);
    };
    command.args(["run", "--detach", "--bundle"]);
    command.arg(scene.idle.path()).arg(ID);
    let started = detach(&mut command, root);
    let idle = started.and_then(|()| after(settle));
    delete(subject, root);
    idle
}

fn native(scene: &Scene, settle: Duration) -> anyhow::Result<Idle> {
    let mut command = Command::new(scene.guest());
    let mut child = command.arg("idle").spawn().context("start it")?;
    let idle = after(settle);
    // It waits for ever.
    let _ = child.kill();
    let _ = child.wait();
    idle
}

/// Waits, then adds up what all descendants have and take.
fn after(settle: Duration) -> anyhow::Result<Idle> {
    std::thread::sleep(settle);
    let (start, before) = (Instant::now(), cpu_ns()?);
    std::thread::sleep(settle);
    let (elapsed, taken) = (start.elapsed(), cpu_ns()?.saturating_sub(before));
    let mut sum = 0_u32;
    for pid in processes::descendants()? {
        sum = sum.saturating_add(processes::pss_kib(pid)?);
    }
    if sum == 0 {
        bail!("no process is left of it");
    }
    let taken = Duration::from_nanos(taken).as_secs_f64() * 1e6;
    Ok(Idle {
        mebibytes: f64::from(sum) / 1024.0,
        cpu_per_second: taken / elapsed.as_secs_f64(),
    })
}

/// The CPU time that all descendants have had.
fn cpu_ns() -> anyhow::Result<u64> {
    let of_each = processes::descendants()?.into_iter().map(processes::cpu_ns);
    Ok(of_each.fold(0, u64::saturating_add))
}

/// Runs a command that leaves processes behind, which must not hold our pipes: its errors go to a file.
fn detach(command: &mut Command, root: &Path) -> anyhow::Result<()> {
    let log = root.join("idle.stderr");
    let mut child = command
        .stdin(command::nothing()?)
        .stdout(command::nothing()?)
        .stderr(std::fs::File::create(&log).context("make a log file")?)
        .spawn()
        .context("start it")?;
    let mut status = None;
    let waited = command::wait_until("run --detach", LIMIT, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    if waited.is_err() {
        // What it left behind is deleted below.
        let _ = child.kill();
        let _ = child.wait();
    }
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("run --detach: {status}: {}", said().trim()),
        None => bail!("run --detach: no end: {}", said().trim()),
    }
}

/// Removes the container and waits for the end of its processes, so that they do not disturb what is measured next.
fn delete(subject: &Subject, root: &Path) {
    if let Some(mut command) = subject.command(root) {
        // It may never have come to life.
        let _ = command::run(command.args(["delete", "--force", ID]), LIMIT);
    }
    // What stays shows in the next measurement of idle memory.
    let _ = command::wait_until("the sandbox's end", Duration::from_secs(5), || {
        processes::reap_orphans();
        processes::descendants().is_ok_and(|left| left.is_empty())
    });
}
