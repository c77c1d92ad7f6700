//! Requests to the control server and its replies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CpuLimits, Process};

/// What the command line asks of a sandbox. Each names its container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Load and run the init process, after the hooks that belong inside; for each of these come three
    /// standard descriptors. Answer: [`Reply::Started`].
    Start {
        /// The container.
        id: String,
        /// Programs of the container's own to run first, in order.
        hooks: Vec<StartHook>,
        /// What the container's user is to be told, a line each.
        notices: Vec<String>,
    },
    /// Run another process; its standard input, output and error come as descriptors, and those from 3 on.
    /// Answers: [`Reply::Started`], and [`Reply::Exited`] at its end. Closing the connection before
    /// kills it.
    Exec(Box<ExecSpec>),
    /// Send a signal. Answer: [`Reply::Done`].
    Signal {
        /// The container.
        id: String,
        /// Whom.
        target: Target,
        /// Linux's number.
        signal: i32,
    },
    /// The terminal behind a process's stdio has another size now. Answer: [`Reply::Done`].
    WindowChanged {
        /// The container.
        id: String,
    },
    /// Wait for a process's end. Answer: [`Reply::Exited`].
    Wait {
        /// The container.
        id: String,
        /// Guest process id; the init process when absent.
        pid: Option<i32>,
    },
    /// List the processes. Answer: [`Reply::Processes`].
    Processes {
        /// The container.
        id: String,
    },
    /// Stop all tasks until [`Request::Resume`]. Answer: [`Reply::Done`].
    Pause {
        /// The container.
        id: String,
    },
    /// Let them run again. Answer: [`Reply::Done`].
    Resume {
        /// The container.
        id: String,
    },
    /// Change the limits that the kernel itself keeps. Answer: [`Reply::Done`].
    Update {
        /// The container.
        id: String,
        /// The new limits.
        limits: Limits,
    },
    /// How much the container uses of what the kernel itself counts. Answer: [`Reply::Usage`].
    Usage {
        /// The container.
        id: String,
    },
}

/// A `startContainer` hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartHook {
    /// The program's path in the container.
    pub path: String,
    /// Its arguments, its name first; empty: the path alone.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// It is killed, and has failed, after so many seconds.
    pub timeout_s: Option<u64>,
}

/// Another process for a container that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// The container.
    pub id: String,
    /// What to run.
    pub process: Process,
}

/// Limits that the kernel itself keeps. An absent one stays as it is; `u64::MAX` is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Most tasks.
    pub pids: Option<u64>,
    /// What limits its use of processors; what is empty stays.
    pub cpu: CpuLimits,
    /// As [`crate::Container::group_files`], all of them.
    pub group_files: BTreeMap<String, String>,
}

/// What the kernel itself counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tasks, zombies included.
    pub pids: u64,
    /// Most tasks, if limited.
    pub pids_limit: Option<u64>,
    /// Processor time of all processes, those that have ended included, in nanoseconds.
    pub user_ns: u64,
    /// The same in the kernel.
    pub system_ns: u64,
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The init process.
    Init,
    /// The process of this guest id.
    Pid(i32),
    /// Every process of the container.
    All,
    /// The process that this connection's [`Request::Exec`] started.
    Executed,
    /// The foreground process group of the container's terminal.
    Foreground,
}

/// What the sandbox answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// It was done.
    Done,
    /// The process runs.
    Started {
        /// Its guest process id.
        pid: i32,
    },
    /// The process has ended.
    Exited {
        /// Exit code, or 128 + the signal's number.
        status: u8,
    },
    /// The container's processes.
    Processes(Vec<ProcessInfo>),
    /// What it uses.
    Usage(Usage),
    /// It could not be done.
    Failed {
        /// The class of failure.
        kind: FailureKind,
        /// One line for people.
        reason: String,
    },
}

/// Classes of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The sandbox holds no container of that id.
    NoSuchContainer,
    /// There is no such process.
    NoSuchProcess,
    /// The container was not started yet, or was before.
    WrongState,
    /// The program does not exist or can't be executed.
    Program,
    /// Anything else.
    Failed,
}

/// One guest process, as `ps` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Effective user id.
    pub uid: u32,
    /// Guest process id.
    pub pid: i32,
    /// Its parent's.
    pub ppid: i32,
    /// Its process group.
    pub pgid: i32,
    /// Processor use in percent over its life.
    pub cpu_percent: u32,
    /// The terminal, `?` without.
    pub tty: String,
    /// When it started, seconds since 1970.
    pub start_seconds: u64,
    /// Processor time used, in milliseconds.
    pub time_ms: u64,
    /// The command's name.
    pub command: String,
    /// The stub process on the host, in the sandbox's process id namespace.
    pub host_pid: Option<i32>,
}
