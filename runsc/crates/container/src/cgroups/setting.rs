//! Values for control files, as data, and how they are written.

use std::io;

use crate::cgroups::{Cgroup, Version, files};
use crate::{ContainerError, Result};

/// What to do where the kernel lacks the controller or its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The container can't be had.
    Refuse,
    /// It is logged.
    Warn,
    /// It changes nothing.
    Ignore,
}

/// One value for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) controller: &'static str,
    pub(super) file: String,
    pub(super) value: String,
    pub(super) missing: Missing,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One value.
    One(Setting),
    /// Two that bound each other: in this order, or, where the first is refused, in the other.
    Either(Setting, Setting),
}

impl Setting {
    pub(super) fn new(controller: &'static str, file: &str, value: impl ToString) -> Setting {
        Setting {
            controller,
            file: file.to_owned(),
            value: value.to_string(),
            missing: Missing::Refuse,
        }
    }

    pub(super) fn if_missing(self, missing: Missing) -> Setting {
        Setting { missing, ..self }
    }

    fn write(&self, cgroup: &Cgroup) -> Result<()> {
        self.try_write(cgroup)
            .map_err(|error| self.failed(cgroup, &error))
    }

    fn try_write(&self, cgroup: &Cgroup) -> io::Result<()> {
        let directory = cgroup.directory(self.controller);
        if directory.is_none() && !rustix::process::geteuid().is_root() {
            tracing::warn!("without privilege, {} is not set", self.file);
            return Ok(());
        }
        let written = directory
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            .and_then(|directory| files::try_write(&directory.join(&self.file), &self.value));
        match written {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.missing {
                Missing::Refuse => Err(error),
                Missing::Warn => {
                    tracing::warn!("the kernel has no {}: {} is not set", self.file, self.value);
                    Ok(())
                }
                Missing::Ignore => Ok(()),
            },
            written => written,
        }
    }

    fn failed(&self, cgroup: &Cgroup, error: &io::Error) -> ContainerError {
        match cgroup.directory(self.controller) {
            Some(directory) => files::failed(&directory.join(&self.file), &self.value, error),
            None => self.no_controller(cgroup.version),
        }
    }

    fn no_controller(&self, version: Version) -> ContainerError {
        let version = match version {
            Version::V1 => 1,
            Version::V2 => 2,
        };
        ContainerError::Unsupported(format!(
            "cannot set {} to {:?}: the host has no {} controller in control groups version {version}",
            self.file, self.value, self.controller
        ))
    }
}

impl Step {
    fn first(&self) -> &Setting {
        match self {
            Step::One(setting) | Step::Either(setting, _) => setting,
        }
    }

    /// Which controller it is for.
    pub(super) fn controller(&self) -> &'static str {
        self.first().controller
    }

    /// Whether a container without it is not the one that was asked for.
    pub(super) fn matters(&self) -> bool {
        self.first().missing == Missing::Refuse
    }

    /// Without any groups at all.
    pub(super) fn refuse_or_warn(&self, version: Version) -> Result<()> {
        if rustix::process::geteuid().is_root() {
            return Err(self.first().no_controller(version));
        }
        tracing::warn!("without privilege, {} is not set", self.first().file);
        Ok(())
    }
}

/// Does all steps in order.
pub(super) fn apply(cgroup: &Cgroup, steps: &[Step]) -> Result<()> {
    for step in steps {
        match step {
            Step::One(setting) => setting.write(cgroup)?,
            Step::Either(first, second) => match first.try_write(cgroup) {
                Ok(()) => second.write(cgroup)?,
                Err(error) if error.raw_os_error() == Some(host::Errno::EINVAL.raw()) => {
                    second.write(cgroup)?;
                    first.write(cgroup)?;
                }
                Err(error) => return Err(first.failed(cgroup, &error)),
            },
        }
    }
    Ok(())
}
