//! What is measured: the host itself, and runtimes by their command lines.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use fixtures::runtime::Runtime;

/// The host's name in the results.
pub const NATIVE: &str = "native";

/// The host or a runtime.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name in the results.
    pub name: String,
    /// The runtime; none for the host.
    pub runtime: Option<Runtime>,
}

impl Subject {
    /// The host, without any runtime.
    pub fn native() -> Self {
        Self {
            name: NATIVE.to_owned(),
            runtime: None,
        }
    }

    /// The runtime's command line up to the subcommand, with its state in `root`; none for the host.
    pub(crate) fn command(&self, root: &Path) -> Option<Command> {
        let runtime = self.runtime.as_ref()?;
        Some(runtime.command(root))
    }

    /// Whether it is the workspace's runsc on KVM.
    pub fn is_kvm(&self) -> bool {
        let platform = self.runtime.as_ref().and_then(|it| it.platform.as_deref());
        platform == Some("kvm")
    }
}

impl From<Runtime> for Subject {
    fn from(runtime: Runtime) -> Self {
        Self {
            name: runtime.name(),
            runtime: Some(runtime),
        }
    }
}

/// The host, the runtime under test on each platform that works here, runc if wanted, and others.
///
/// # Errors
/// A runtime is missing, or two have one name.
pub fn all(with_runc: bool, others: &[Runtime]) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = vec![Subject::native()];
    let under_test = Runtime::matrix().context("the runtime under test")?;
    subjects.extend(under_test.into_iter().map(Subject::from));
    if with_runc {
        subjects.push(Runtime::runc()?.into());
    }
    subjects.extend(others.iter().cloned().map(Subject::from));
    check_names(&subjects)?;
    Ok(subjects)
}

/// Checks that no two have one name.
///
/// # Errors
/// Two have.
fn check_names(subjects: &[Subject]) -> anyhow::Result<()> {
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
    use super::{Subject, check_names};
    use fixtures::runtime::Runtime;

    #[test]
    fn native_name_is_taken() {
        let other = Runtime::parse("native=/bin/true").unwrap();
        let subjects = [Subject::native(), other.into()];
        assert!(check_names(&subjects).is_err());
    }
}
