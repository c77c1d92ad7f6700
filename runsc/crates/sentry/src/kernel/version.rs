//! Which kernel this is: what `uname(2)`, the kernel log and `/proc` say.

/// The name of the system.
pub(crate) const SYSTEM: &str = "Linux";
/// The release: a current long-term one.
pub(crate) const RELEASE: &str = "6.12.0";
/// The version line: how the application can tell which kernel it runs on.
pub(crate) const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC runsc";
/// The hardware.
pub(crate) const MACHINE: &str = "x86_64";

/// The line of the kernel log and of `/proc/version`.
pub(crate) fn line() -> String {
    format!("{SYSTEM} version {RELEASE} (runsc) {VERSION}")
}
