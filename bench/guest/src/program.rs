//! Real programs, run by the shell.

use std::io;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The nanoseconds of each run of a script, after a first run that fills the caches.
///
/// # Errors
/// It can't be run, or fails.
pub(crate) fn runs(nr_runs: u32, script: &str) -> io::Result<Vec<f64>> {
    run(script)?;
    (0..nr_runs).map(|_| run(script)).collect()
}

fn run(script: &str) -> io::Result<f64> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]);
    shell.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let output = shell.output()?;
    let elapsed = start.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        return Err(io::Error::other(format!("{}: {said}", output.status)));
    }
    Ok(elapsed.as_secs_f64() * 1e9)
}
