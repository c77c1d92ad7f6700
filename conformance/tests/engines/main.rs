//! Engines for real: docker, containerd and podman run containers with the runtime under test.
//!
//! Every case asserts from inside, by the marker in `/proc/version`, that the application ran on that runtime's kernel,
//! unless `RUNTIME` is one without a kernel of its own. They need root, and the packages that `scripts/setup` installs.

#![expect(clippy::unwrap_used, reason = "test code")]

mod ctr;
mod docker_commands;
mod docker_flags;
mod docker_limits;
mod docker_platforms;
mod docker_storm;
mod docker_terminal;
mod docker_together;
mod failed_starts;
mod podman;
mod podman_rootless;
mod terminal;

use fixtures::engines::{Docker, Running};
use fixtures::runtime::{Kind, Runtime};

/// A shell command that fails unless it runs on the kernel of the runtime under test.
fn on_our_kernel() -> &'static str {
    match Runtime::under_test().unwrap().kind {
        Kind::Runsc => "grep -q runsc /proc/version || exit 99",
        Kind::Gvisor | Kind::Host => "true",
    }
}

/// A script that checks the kernel first.
fn checked(script: &str) -> String {
    format!("{}; {script}", on_our_kernel())
}

/// A script of the shared docker's that checks the kernel first, in the background.
fn run_detached(flags: &[&str], script: &str) -> Running {
    let docker = Docker::shared().unwrap();
    Running::start(&docker, flags, &["sh", "-c", &checked(script)]).unwrap()
}

/// The runtime under test on each platform of this host but the one that all other cases run on.
fn other_platforms() -> Vec<Runtime> {
    let first = Runtime::under_test().unwrap().platform;
    let mut all = Runtime::matrix().unwrap();
    all.retain(|runtime| runtime.platform != first);
    all
}

/// Leaves the test where engines can't run.
macro_rules! needs_root {
    () => {
        if !fixtures::engines::available() {
            return;
        }
    };
}
pub(crate) use needs_root;
