//! What must not be.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

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

/// The logs in a directory.
pub(crate) fn logs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// What no log may have, one finding a log.
pub(crate) fn in_logs(logs: &[PathBuf]) -> Vec<Finding> {
    let look = |path: &PathBuf| {
        let text = fs::read(path).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        in_text(&name, &String::from_utf8_lossy(&text))
    };
    logs.iter().filter_map(look).collect()
}

/// Writes a session's summary and findings to a directory, and the end of its logs, `most` bytes of each.
///
/// # Errors
/// A file operation failed.
pub(crate) fn keep(
    to: &Path,
    summary: &str,
    findings: &[Finding],
    logs: &[PathBuf],
    most: u64,
) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
    let list: String = findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect();
    fs::write(to.join("session"), format!("{summary}\n{list}"))?;
    for path in logs {
        if let Some(name) = path.file_name() {
            copy_end(path, &to.join(name), most)
                .with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}

fn copy_end(from: &Path, to: &Path, most: u64) -> io::Result<()> {
    let mut from = File::open(from)?;
    let len = from.metadata()?.len();
    from.seek(SeekFrom::Start(len.saturating_sub(most)))?;
    io::copy(&mut from, &mut File::create(to)?)?;
    Ok(())
}
