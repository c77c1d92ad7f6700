//! KVM's bare mechanism: what one system call costs at least, whatever kernel answers it.
//!
//! The program is an example of crate `platform`, which may do what it takes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use fixtures::{build, command};

/// The longest that it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Builds the probe.
///
/// # Errors
/// cargo failed.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    Ok(build::example("platform", "kvm_floor", "release")?)
}

/// The microseconds of one call: user code, `syscall`, exit, and back.
///
/// # Errors
/// KVM does not work here.
pub(crate) fn microseconds(probe: &Path) -> anyhow::Result<f64> {
    let output = command::run(&mut Command::new(probe), LIMIT)?.success()?;
    let text = output.stdout.trim();
    text.parse()
        .with_context(|| format!("{text:?} is no number"))
}
