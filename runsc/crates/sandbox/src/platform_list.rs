//! `runsc help platforms`: which platforms there are, and which work here.

use platform::{NAMES, self_test};

/// A platform, and what trying it on this host has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformReport {
    /// The name as `--platform` takes it.
    pub name: &'static str,
    /// Why it does not work here; `None` if it does.
    pub reason: Option<String>,
}

/// Tries every platform.
#[must_use]
pub fn try_platforms() -> Vec<PlatformReport> {
    let report = |&name: &&'static str| PlatformReport {
        name,
        reason: self_test(name).err().map(|reason| reason.to_string()),
    };
    NAMES.iter().map(report).collect()
}
