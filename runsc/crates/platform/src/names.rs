//! The names that `--platform` takes, and what each needs.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use abi::Errno;

use crate::{Exit, Platform, PtraceConfig, SetupError};

/// Works wherever Linux does.
pub const PTRACE: &str = "ptrace";
/// Needs `/dev/kvm`.
pub const KVM: &str = "kvm";
/// Not in this release.
pub const SYSTRAP: &str = "systrap";
/// All names, the preferred one first.
pub const NAMES: &[&str] = &[PTRACE, KVM, SYSTRAP];

/// The device that a platform works with, if it needs one.
#[must_use]
pub fn device(name: &str) -> Option<&'static str> {
    (name == KVM).then_some("/dev/kvm")
}

/// Why a platform does not work here: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is the sentence it displays")]
pub enum Unusable {
    #[error("not in this release")]
    Unknown,
    #[error("its device is not open")]
    NoDevice,
    #[error("cannot open {path}: {errno}")]
    Device { path: &'static str, errno: Errno },
    #[error("cannot {0}")]
    Setup(#[from] SetupError),
    #[error("cannot run a first program: {0}")]
    Program(Errno),
    #[error("a first program stopped with {0:?} instead of its system call")]
    Exit(Exit),
}

impl Platform {
    /// The platform of this name, on its open device if it needs one.
    ///
    /// # Errors
    /// What is missing.
    pub fn named(name: &str, device: Option<OwnedFd>) -> Result<Arc<Platform>, Unusable> {
        match name {
            PTRACE => Ok(Platform::ptrace(PtraceConfig::default())?),
            KVM => Ok(Platform::kvm(device.ok_or(Unusable::NoDevice)?)?),
            _ => Err(Unusable::Unknown),
        }
    }
}
