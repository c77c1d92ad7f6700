//! What must not be.

use std::fmt;

/// Something that does not hold in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What kind it is, one word.
    pub(crate) kind: &'static str,
    /// What was seen.
    pub(crate) detail: String,
}

impl Finding {
    pub(crate) fn new(kind: &'static str, detail: impl Into<String>) -> Finding {
        Finding {
            kind,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  FINDING {}: {}", self.kind, self.detail)
    }
}

/// The first line of a log or an error output that no session may have: a panic, a host call that a filter refused.
/// What programs inside do, traced or not, is theirs.
pub(crate) fn in_text(place: &str, text: &str) -> Option<Finding> {
    const MARKS: [&str; 8] = [
        "panic",
        "overflow",
        "RUST_BACKTRACE",
        "SIGSYS",
        "Bad system call",
        "refused by the filter",
        "does not allow host system call",
        "assertion",
    ];
    let line = text
        .lines()
        .filter(|line| !line.contains("] [pid ") && !line.contains("a thread group exited"))
        .find(|line| MARKS.iter().any(|mark| line.contains(mark)))?;
    Some(Finding::new("log", format!("{place}: {line}")))
}
