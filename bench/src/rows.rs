//! The rows of the results.

/// What a row's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds for one operation.
    Microseconds,
    /// Milliseconds for one operation.
    Milliseconds,
    /// Mebibytes.
    Mebibytes,
    /// Microseconds of CPU time in each second.
    MicrosecondsPerSecond,
}

impl Unit {
    /// Its symbol.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::MicrosecondsPerSecond => "µs/s",
        }
    }
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its key in the files, and in what the guest program prints.
    pub key: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// What its numbers are.
    pub unit: Unit,
}

/// The key of `run true` from nothing.
pub(crate) const RUN: &str = "run";
/// The key of an idle sandbox's memory.
pub(crate) const IDLE: &str = "idle";
/// The key of the CPU time that an idle sandbox takes.
pub(crate) const IDLE_CPU: &str = "idle_cpu";

/// All rows in their order.
pub(crate) const ALL: [Row; 19] = [
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
    us("busy", "200 µs of work + call, 8 threads"),
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
    Row {
        key: IDLE_CPU,
        title: "idle CPU time",
        unit: Unit::MicrosecondsPerSecond,
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
