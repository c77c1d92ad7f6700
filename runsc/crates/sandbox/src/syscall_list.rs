//! `runsc help syscalls`: the kernel's table as people read it.

use std::fmt::Write;

use sentry::syscalls::Support;
use sentry::syscalls::table::rows;

/// One line per call: number, name, support.
#[must_use]
pub fn describe_syscalls() -> String {
    let mut text = String::new();
    for call in rows() {
        let support = match call.support {
            Support::Full => "full".to_owned(),
            Support::Partial(missing) => format!("partial: {missing}"),
            Support::Hint => "hint: accepted without effect".to_owned(),
            Support::Refused(errno, why) => format!("refused with {}: {why}", errno.name()),
        };
        let _ = writeln!(text, "{:>3}  {:<24} {support}", call.number, call.name);
    }
    text
}
