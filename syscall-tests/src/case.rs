//! What a test is: a function that returns an [`Outcome`], and the macros that it checks with.

use std::fmt;

use crate::sys::SysError;

/// The result of a test, or of a part of one.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a test did not pass.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The kernel behaved differently from Linux.
    Failed(String),
    /// The test can't run here (a missing capability, say).
    Skipped(String),
}

impl From<SysError> for Failure {
    fn from(error: SysError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => write!(f, "{reason}"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

/// A named test.
pub(crate) struct Case {
    /// The function's path, with the program's name in front.
    pub(crate) path: &'static str,
    /// The test itself.
    pub(crate) run: fn() -> Outcome,
}

impl Case {
    /// The name as `list` prints it: `family::behaviour`.
    pub(crate) fn name(&self) -> &'static str {
        self.path
            .strip_prefix("syscall_tests::tests::")
            .unwrap_or(self.path)
    }
}

/// Lists the tests of a module.
macro_rules! cases {
    ($($test:ident),+ $(,)?) => {
        /// The tests of this family.
        pub(crate) const CASES: &[crate::case::Case] = &[
            $(crate::case::Case { path: concat!(module_path!(), "::", stringify!($test)), run: $test }),+
        ];
    };
}

/// Fails the test with a message and the place.
macro_rules! fail {
    ($($message:tt)+) => {
        return Err(crate::case::Failure::Failed(format!("{} ({}:{})", format_args!($($message)+), file!(), line!())))
    };
}

/// Skips the test.
macro_rules! skip {
    ($($why:tt)+) => {
        return Err(crate::case::Failure::Skipped(format!($($why)+)))
    };
}

/// Fails the test unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        check!($condition, "{}", stringify!($condition))
    };
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            fail!($($message)+);
        }
    };
}

/// Fails the test unless both values are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) if *left == *right => {}
            (left, right) => fail!("{} is {left:?}, expected {right:?}", stringify!($left)),
        }
    };
}

/// Fails the test unless the call fails with this error number.
macro_rules! errno_is {
    ($call:expr, $errno:ident) => {
        match $call {
            Ok(value) => fail!(
                "{} gave {value:?}, expected {}",
                stringify!($call),
                stringify!($errno)
            ),
            Err(error) if error.errno == libc::$errno => {}
            Err(error) => fail!("expected {}, got: {error}", stringify!($errno)),
        }
    };
}
