//! Debug logs: a file of its own for every command and every process.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::clock::Moment;
use crate::{ContainerError, Result};

/// Where debug logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugLog {
    pattern: String,
}

/// The name of a log in a directory.
const NAME_IN_DIRECTORY: &str = "runsc.log.%TIMESTAMP%.%COMMAND%";

impl DebugLog {
    /// A directory (`--debug-log-dir`).
    #[must_use]
    pub fn in_directory(directory: &str) -> DebugLog {
        DebugLog {
            pattern: format!("{}/{NAME_IN_DIRECTORY}", directory.trim_end_matches('/')),
        }
    }

    /// A pattern with `%ID%`, `%COMMAND%` and `%TIMESTAMP%` (`--debug-log`); one that ends in a
    /// slash is a directory.
    #[must_use]
    pub fn pattern(pattern: &str) -> DebugLog {
        match pattern.strip_suffix('/') {
            Some(directory) => DebugLog::in_directory(directory),
            None => DebugLog {
                pattern: pattern.to_owned(),
            },
        }
    }

    /// The file of one process.
    #[must_use]
    pub fn path(&self, command: &str, id: &str, started: &Moment) -> PathBuf {
        let name = self
            .pattern
            .replace("%TIMESTAMP%", &started.compact())
            .replace("%COMMAND%", command)
            .replace("%ID%", id);
        PathBuf::from(name)
    }

    /// Opens it for appending; its directory is made if need be.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn open(&self, command: &str, id: &str, started: &Moment) -> Result<File> {
        let path = self.path(command, id, started);
        if let Some(directory) = path.parent().filter(|d| *d != Path::new("")) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o775)
                .create(directory)
                .map_err(ContainerError::path(
                    "create debug log directory",
                    directory,
                ))?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            // It may say what is secret: arguments, names, paths.
            .mode(0o600)
            .open(&path)
            .map_err(ContainerError::path("open debug log", &path))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::DebugLog;
    use crate::clock::split;

    #[test]
    fn patterns_are_filled_in() {
        let at = split(Duration::from_secs(0));
        assert_eq!(
            DebugLog::in_directory("/l/").path("boot", "c", &at),
            Path::new("/l/runsc.log.19700101-000000.000000.boot")
        );
        assert_eq!(
            DebugLog::pattern("/l/%ID%.%COMMAND%").path("run", "c", &at),
            Path::new("/l/c.run")
        );
    }
}
