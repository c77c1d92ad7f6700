//! The lines as they reach the log.

use std::time::Duration;

/// Writes a line about thread `tid`, with the time a call took.
pub(super) fn write(tid: u32, text: &str, took: Option<Duration>) {
    match took {
        Some(took) => tracing::info!(
            target: "strace",
            "[pid {tid:>5}] {text} <{}.{:06}>",
            took.as_secs(),
            took.subsec_micros(),
        ),
        None => tracing::info!(target: "strace", "[pid {tid:>5}] {text}"),
    }
}
