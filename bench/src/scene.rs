//! In what is measured: bundles with the guest program, which all runtimes share, and directories for the host.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use tempfile::TempDir;

/// The guest program's package, and its name in a root file system.
const GUEST: &str = "bench-guest";

/// The bundles, by what the guest program does in them.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Measures the rows that need no new sandbox.
    pub(crate) measure: Bundle,
    /// Exits at once.
    pub(crate) exit: Bundle,
    /// Waits for ever.
    pub(crate) idle: Bundle,
    tmpfs: TempDir,
}

impl Scene {
    /// Builds the guest program and the bundles; `row_ms` is how long to measure a row.
    ///
    /// # Errors
    /// The build failed, or a file operation.
    pub(crate) fn new(row_ms: u64) -> anyhow::Result<Self> {
        let guest = build::guest_in(GUEST, Linkage::StaticPie, "release")?;
        let row_ms = row_ms.to_string();
        Ok(Self {
            measure: bundle(&guest, &["measure", &row_ms, "/tmp", "/"])?,
            exit: bundle(&guest, &["true"])?,
            idle: bundle(&guest, &["idle"])?,
            tmpfs: tempfile::Builder::new()
                .prefix("bench-")
                .tempdir_in("/dev/shm")
                .context("make a directory in /dev/shm")?,
        })
    }

    /// The guest program, on the host.
    pub(crate) fn guest(&self) -> PathBuf {
        self.measure.rootfs().join(GUEST)
    }

    /// A directory on the host's tmpfs.
    pub(crate) fn tmpfs(&self) -> &Path {
        self.tmpfs.path()
    }
}

/// A bundle that runs the guest program with these arguments.
fn bundle(guest: &Path, args: &[&str]) -> anyhow::Result<Bundle> {
    let program = format!("/{GUEST}");
    let args: Vec<&str> = [program.as_str()].iter().chain(args).copied().collect();
    let bundle = Bundle::empty()?.args(&args);
    build::install(guest, bundle.rootfs(), GUEST)?;
    bundle.write()?;
    Ok(bundle)
}
