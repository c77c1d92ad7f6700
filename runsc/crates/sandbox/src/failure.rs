//! [`Failure`]: what the caller of a control request is told, for `start` and `exec` in the words that engines know.

use std::fmt::Display;

use control::FailureKind;
use host::Errno;
use sentry::kernel::process::StartError;

/// Why a control request could not be met.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, reason: impl Display) -> Failure {
        Failure {
            kind,
            reason: reason.to_string(),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let kind = match error {
            StartError::Host(_) => FailureKind::Failed,
            _ => FailureKind::Program,
        };
        Failure::new(kind, sentence(&error))
    }
}

fn sentence(error: &StartError) -> String {
    match error {
        StartError::NotFound(name) if name.contains(&b'/') => {
            let name = text(name);
            format!("exec: {name:?}: stat {name}: no such file or directory")
        }
        StartError::NotFound(name) => {
            format!("exec: {:?}: executable file not found in $PATH", text(name))
        }
        StartError::Program(name, errno) => format!("exec: {:?}: {}", text(name), reason(*errno)),
        StartError::Cwd(path, errno) => format!(
            "chdir to cwd ({:?}) set in config.json failed: {}",
            text(path),
            reason(*errno)
        ),
        StartError::Filter(errno) => {
            format!("cannot install the seccomp filter: {}", reason(*errno))
        }
        StartError::Host(errno) => format!("cannot make a process: {}", reason(*errno)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn reason(errno: Errno) -> String {
    errno.message().to_lowercase()
}

#[cfg(test)]
mod tests {
    use host::Errno;
    use sentry::kernel::process::StartError;

    use super::sentence;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let sentence = |name: &str| sentence(&StartError::NotFound(name.into()));
        assert_eq!(
            sentence("none"),
            r#"exec: "none": executable file not found in $PATH"#
        );
        assert_eq!(
            sentence("/none"),
            r#"exec: "/none": stat /none: no such file or directory"#
        );
    }

    #[test]
    fn a_reason_follows_the_program() {
        let error = StartError::Program(b"/text".to_vec(), Errno::EACCES);
        assert_eq!(sentence(&error), r#"exec: "/text": permission denied"#);
    }
}
