//! Why a platform could not be set up.

use abi::Errno;

/// A step of setting a platform up that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("set up the {platform} platform: {step}: {errno}")]
pub struct SetupError {
    /// The platform's name.
    pub platform: &'static str,
    /// The step.
    pub step: &'static str,
    /// The host's error.
    pub errno: Errno,
}

impl From<SetupError> for Errno {
    fn from(error: SetupError) -> Errno {
        error.errno
    }
}
