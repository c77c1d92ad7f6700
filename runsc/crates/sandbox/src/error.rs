//! Why the sandbox could not be started.

use host::Errno;

/// A failure before the container's program runs, named by the step that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    #[error("cannot {step}: {errno}")]
    Host { step: &'static str, errno: Errno },
    #[error("{0}")]
    Platform(#[from] platform::Unusable),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("{0}")]
    Filter(#[from] seccomp::FilterError),
    #[error("cannot mount {path}: {errno}")]
    Mount { path: String, errno: Errno },
    #[error("cannot set sysctl {name} to {value:?}: {}", sysctl_reason(*errno))]
    Sysctl {
        name: String,
        value: String,
        errno: Errno,
    },
}

impl SandboxError {
    /// Names the step that failed.
    pub(crate) fn host(step: &'static str) -> impl FnOnce(Errno) -> SandboxError {
        move |errno| SandboxError::Host { step, errno }
    }
}

fn sysctl_reason(errno: Errno) -> String {
    match errno {
        Errno::ENOENT => "this kernel has none of that name, or it can't be set".into(),
        errno => errno.to_string(),
    }
}
