//! The rows of the results.

/// What a row's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds for one operation.
    Microseconds,
    /// Milliseconds for one operation.
    Milliseconds,
    /// Mebibytes.
    Mebibytes,
}

impl Unit {
    /// Its symbol.
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
        }
    }
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its key in the files, and in what the guest program prints.
    pub(crate) key: &'static str,
    /// Its title for people.
    pub(crate) title: &'static str,
    /// What its numbers are.
    pub(crate) unit: Unit,
}

/// The key of `run true` from nothing.
pub(crate) const RUN: &str = "run";
/// The key of an idle sandbox's memory.
pub(crate) const IDLE: &str = "idle";

/// All rows in their order.
pub(crate) const ALL: [Row; 17] = [
    us("empty", "empty call (getppid)"),
    us("clock_gettime", "clock_gettime"),
    us("read", "read 4 KiB, tmpfs"),
    us("write", "write 4 KiB, tmpfs"),
    us("open", "open + close, tmpfs"),
    us("stat", "stat, tmpfs"),
    us("open_root", "open + close, root fs"),
    us("stat_root", "stat, root fs"),
    us("mmap", "mmap, touch 3 pages, munmap"),
    us("pipe", "pipe ping-pong"),
    us("fork", "fork + wait"),
    us("exec", "fork + exec + wait"),
    us("thread", "thread create + join"),
    us("touch", "first touch of 64 MiB"),
    us("fork_large", "fork + wait, 256 MiB resident"),
    Row {
        key: RUN,
        title: "run true from nothing",
        unit: Unit::Milliseconds,
    },
    Row {
        key: IDLE,
        title: "idle memory (PSS)",
        unit: Unit::Mebibytes,
    },
];

/// A row of the guest program.
const fn us(key: &'static str, title: &'static str) -> Row {
    Row {
        key,
        title,
        unit: Unit::Microseconds,
    }
}

/// The row of this key.
pub(crate) fn find(key: &str) -> Option<Row> {
    ALL.into_iter().find(|row| row.key == key)
}
