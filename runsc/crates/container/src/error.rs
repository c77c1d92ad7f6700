//! Why a command failed: one line for people, in the words that engines look for.

use std::io;
use std::path::PathBuf;

use control::ConnectionError;
use host::Errno;

/// A failure outside the kernel, named by the step that failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is the sentence it displays")]
pub enum ContainerError {
    #[error(
        "invalid container id {0:?}: it must match ^[A-Za-z0-9_+.-]+$, have at most 1024 bytes, and not be . or .."
    )]
    InvalidId(String),
    #[error("container with id {0} already exists")]
    AlreadyExists(String),
    #[error("container {0}: container does not exist")]
    DoesNotExist(String),
    #[error("container {0}: container not running")]
    NotRunning(String),
    #[error("cannot {verb} container {id} in the {status} state")]
    WrongState {
        verb: &'static str,
        id: String,
        status: &'static str,
    },
    #[error(
        "cannot delete container {0} that is not stopped: it is running; use --force to kill it first"
    )]
    NotStopped(String),
    #[error("cannot exec in paused container {0} (use --ignore-paused to override)")]
    Paused(String),
    #[error("cannot {step} {path}: {reason}")]
    Path {
        step: &'static str,
        path: PathBuf,
        reason: String,
    },
    #[error("cannot set {path} to {value:?}: {reason}")]
    Cgroup {
        path: PathBuf,
        value: String,
        reason: String,
    },
    #[error("cannot parse {path}: {reason}")]
    Parse { path: PathBuf, reason: String },
    #[error("invalid spec: {0}")]
    Spec(String),
    #[error("exec: {0:?}: executable file not found in $PATH")]
    ProgramNotFound(String),
    #[error("exec: {0:?}: stat {0}: no such file or directory")]
    ProgramMissing(String),
    #[error("exec: {0:?}: permission denied")]
    ProgramNotExecutable(String),
    #[error(
        "all {0} users that /etc/subuid and /etc/subgid give runsc are those of running containers"
    )]
    NoUserLeft(usize),
    #[error("cannot {step}: {errno}")]
    Host { step: &'static str, errno: Errno },
    #[error("{child} failed to start: {reason}")]
    Child { child: &'static str, reason: String },
    #[error("hook {path} failed: {reason}")]
    Hook { path: PathBuf, reason: String },
    #[error("the sandbox refused: {0}")]
    Refused(String),
    #[error("{0}")]
    Program(String),
    #[error("no such process: {0}")]
    NoSuchProcess(String),
    #[error(transparent)]
    Control(#[from] ConnectionError),
    #[error("unknown signal {0:?}")]
    UnknownSignal(String),
    #[error("{0}")]
    Unsupported(String),
}

impl ContainerError {
    /// Names the step and the path that failed.
    pub fn path(
        step: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> ContainerError {
        let path = path.into();
        move |error| {
            let reason = match error.raw_os_error() {
                Some(number) => Errno::from_raw(number).message().to_owned(),
                None => error.to_string(),
            };
            ContainerError::Path { step, path, reason }
        }
    }

    /// Names the step that failed.
    pub fn host(step: &'static str) -> impl FnOnce(Errno) -> ContainerError {
        move |errno| ContainerError::Host { step, errno }
    }

    /// Names the step and the path that failed, for an errno.
    pub fn at(
        step: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(Errno) -> ContainerError {
        let path = path.into();
        move |errno| ContainerError::Path {
            step,
            path,
            reason: errno.message().to_owned(),
        }
    }
}
