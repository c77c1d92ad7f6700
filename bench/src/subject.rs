//! What is measured: the host itself, and runtimes by their command lines.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use fixtures::runtime::Runtime;

/// The host or a runtime.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its name in the results.
    pub(crate) name: String,
    /// The runtime's program and global flags; empty for the host.
    words: Vec<OsString>,
}

impl Subject {
    /// The host, without any runtime.
    pub(crate) fn native() -> Self {
        Self {
            name: "native".to_owned(),
            words: Vec::new(),
        }
    }

    /// The runtime's command line up to the subcommand, with its state in `root`; none for the host.
    pub(crate) fn command(&self, root: &Path) -> Option<Command> {
        let (program, flags) = self.words.split_first()?;
        let mut command = Command::new(program);
        command.args(flags).arg("--root").arg(root);
        Some(command)
    }
}

/// The runtime under test on each of its platforms.
///
/// # Errors
/// It can't be built or found.
pub(crate) fn under_test() -> anyhow::Result<Vec<Subject>> {
    let matrix = Runtime::matrix().context("the runtime under test")?;
    let subject = |runtime: &Runtime| {
        let root = Path::new("ROOT");
        let command = runtime.command(root);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        Subject {
            name: runtime.name(),
            words: words
                .filter(|word| *word != "--root" && *word != root)
                .map(OsString::from)
                .collect(),
        }
    };
    Ok(matrix.iter().map(subject).collect())
}

/// runc, from the search path.
///
/// # Errors
/// It does not run.
pub(crate) fn runc() -> anyhow::Result<Subject> {
    let version = Command::new("runc").arg("--version").output();
    version.context("runc is missing: run scripts/setup")?;
    Ok(Subject {
        name: "runc".to_owned(),
        words: vec!["runc".into()],
    })
}

/// Reads `NAME=COMMAND`; the command's words are separated by blanks.
///
/// # Errors
/// The name or the command is missing.
pub(crate) fn parse(text: &str) -> Result<Subject, String> {
    let (name, command) = text.split_once('=').ok_or("not of the form NAME=COMMAND")?;
    let words: Vec<OsString> = command.split_whitespace().map(OsString::from).collect();
    if name.is_empty() || words.is_empty() {
        return Err("the name or the command is empty".to_owned());
    }
    if name.contains([',', '|', '"', '<', '&', '\n']) {
        return Err(format!("a name without , | \" < & is needed: {name:?}"));
    }
    Ok(Subject {
        name: name.to_owned(),
        words,
    })
}

/// Checks that no two have one name.
///
/// # Errors
/// Two have.
pub(crate) fn check_names(subjects: &[Subject]) -> anyhow::Result<()> {
    for (index, subject) in subjects.iter().enumerate() {
        let earlier = subjects.get(..index).unwrap_or_default();
        if earlier.iter().any(|other| other.name == subject.name) {
            bail!("two runtimes are called {}", subject.name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Subject, check_names, parse};
    use std::path::Path;

    #[test]
    fn command_keeps_its_flags_before_the_state_directory() {
        let subject = parse("old=/usr/bin/runsc  --platform=ptrace --network=none").unwrap();
        let command = subject.command(Path::new("/r")).unwrap();
        let args: Vec<_> = command.get_args().collect();
        assert_eq!(subject.name, "old");
        assert_eq!(
            args,
            ["--platform=ptrace", "--network=none", "--root", "/r"]
        );
    }

    #[test]
    fn name_or_command_must_not_be_empty() {
        for text in ["runsc", "=runsc", "old=", "old= ", "a,b=runsc"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn native_name_is_taken() {
        let subjects = [Subject::native(), parse("native=runsc").unwrap()];
        assert!(check_names(&subjects).is_err());
    }
}
