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
    /// Mebibytes in each second.
    MebibytesPerSecond,
    /// Files, processes or runs in each second, as the symbol says.
    PerSecond(&'static str),
}

impl Unit {
    /// Its symbol.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::MicrosecondsPerSecond => "µs/s",
            Self::MebibytesPerSecond => "MiB/s",
            Self::PerSecond(symbol) => symbol,
        }
    }

    /// Whether it is a rate of work, so that more is better.
    pub const fn is_throughput(self) -> bool {
        matches!(self, Self::MebibytesPerSecond | Self::PerSecond(_))
    }
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Entering the kernel, and a clock that should not need to.
    Call,
    /// Files and pipes.
    File,
    /// Mappings and first touches.
    Memory,
    /// Processes and threads.
    Process,
    /// Real programs.
    Program,
    /// The sandbox itself: its start, and what it takes while idle.
    Sandbox,
}

/// In which run of which program a row is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The guest program's own loops.
    Guest,
    /// Programs of busybox.
    Busybox,
    /// Programs of Debian.
    Debian,
    /// Starts of a sandbox.
    Start,
    /// A sandbox left alone.
    Idle,
}

impl Stage {
    /// All in the order of measurement.
    pub(crate) const ALL: [Self; 5] = [
        Self::Guest,
        Self::Busybox,
        Self::Debian,
        Self::Start,
        Self::Idle,
    ];

    /// Its rows.
    pub(crate) fn rows(self) -> impl Iterator<Item = Row> {
        ALL.into_iter().filter(move |row| row.stage == self)
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
    /// What it is about.
    pub class: Class,
    pub(crate) stage: Stage,
}

/// The key of `run true` from nothing.
pub(crate) const RUN: &str = "run";
/// The key of an idle sandbox's memory.
pub(crate) const IDLE: &str = "idle";
/// The key of the CPU time that an idle sandbox takes.
pub(crate) const IDLE_CPU: &str = "idle_cpu";

/// All rows in their order.
pub(crate) const ALL: [Row; 25] = [
    us("empty", "empty call (getppid)", Class::Call),
    us("clock_gettime", "clock_gettime", Class::Call),
    us("read", "read 4 KiB, tmpfs", Class::File),
    us("write", "write 4 KiB, tmpfs", Class::File),
    us("open", "open + close, tmpfs", Class::File),
    us("stat", "stat, tmpfs", Class::File),
    us("open_root", "open + close, root fs", Class::File),
    us("stat_root", "stat, root fs", Class::File),
    us("mmap", "mmap, touch 3 pages, munmap", Class::Memory),
    us("pipe", "pipe ping-pong", Class::File),
    us("fork", "fork + wait", Class::Process),
    us("exec", "fork + exec + wait", Class::Process),
    us("thread", "thread create + join", Class::Process),
    us("touch", "first touch of 64 MiB", Class::Memory),
    us(
        "fork_large",
        "fork + wait, 256 MiB resident",
        Class::Process,
    ),
    us("busy", "200 µs of work + call, 8 threads", Class::Process),
    program(
        "sha256sum",
        "sha256sum of a file",
        Unit::MebibytesPerSecond,
        Stage::Busybox,
    ),
    program(
        "tr",
        "cat | tr | wc through pipes",
        Unit::MebibytesPerSecond,
        Stage::Busybox,
    ),
    program(
        "tar",
        "unpack + delete small files",
        Unit::PerSecond("files/s"),
        Stage::Busybox,
    ),
    program(
        "sh",
        "shell loop that runs true",
        Unit::PerSecond("processes/s"),
        Stage::Busybox,
    ),
    program(
        "gcc",
        "gcc -O1 of a small file",
        Unit::PerSecond("runs/s"),
        Stage::Debian,
    ),
    program(
        "python",
        "python3 with imports",
        Unit::PerSecond("runs/s"),
        Stage::Debian,
    ),
    sandbox(
        RUN,
        "run true from nothing",
        Unit::Milliseconds,
        Stage::Start,
    ),
    sandbox(IDLE, "idle memory (PSS)", Unit::Mebibytes, Stage::Idle),
    sandbox(
        IDLE_CPU,
        "idle CPU time",
        Unit::MicrosecondsPerSecond,
        Stage::Idle,
    ),
];

/// A row of the guest program.
const fn us(key: &'static str, title: &'static str, class: Class) -> Row {
    Row {
        key,
        title,
        unit: Unit::Microseconds,
        class,
        stage: Stage::Guest,
    }
}

/// A row of a real program.
const fn program(key: &'static str, title: &'static str, unit: Unit, stage: Stage) -> Row {
    Row {
        key,
        title,
        unit,
        class: Class::Program,
        stage,
    }
}

/// A row of the sandbox itself.
const fn sandbox(key: &'static str, title: &'static str, unit: Unit, stage: Stage) -> Row {
    Row {
        key,
        title,
        unit,
        class: Class::Sandbox,
        stage,
    }
}

/// The row of this key.
pub(crate) fn find(key: &str) -> Option<Row> {
    ALL.into_iter().find(|row| row.key == key)
}
