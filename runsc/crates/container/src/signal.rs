//! Signals as people write them: a number, or a name with or without `SIG`, in any case.

use crate::{ContainerError, Result};

/// Names from 1 (`man 7 signal`, x86-64).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const ALIASES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];
/// First real-time signal as glibc counts them.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// SIGTERM.
pub const TERM: i32 = 15;
/// SIGKILL.
pub const KILL: i32 = 9;
/// SIGWINCH.
pub const WINCH: i32 = 28;
/// SIGCHLD.
pub const CHLD: i32 = 17;

/// Parses a signal.
///
/// # Errors
/// [`ContainerError::UnknownSignal`].
pub fn parse(text: &str) -> Result<i32> {
    let unknown = || ContainerError::UnknownSignal(text.to_owned());
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=RTMAX).contains(&number) {
            Ok(number)
        } else {
            Err(unknown())
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let standard = NAMES
        .iter()
        .position(|n| *n == name)
        .and_then(|i| i32::try_from(i + 1).ok());
    let alias = ALIASES
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, number)| *number);
    standard
        .or(alias)
        .or_else(|| real_time(name))
        .ok_or_else(unknown)
}

fn real_time(name: &str) -> Option<i32> {
    let (base, offset) = if let Some(rest) = name.strip_prefix("RTMIN") {
        (RTMIN, rest)
    } else {
        (RTMAX, name.strip_prefix("RTMAX")?)
    };
    let offset = if offset.is_empty() {
        0
    } else {
        offset.parse::<i32>().ok()?
    };
    let number = base.checked_add(offset)?;
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigkill", 9),
            ("term", 15),
            ("RTMIN", 34),
            ("SIGRTMIN+1", 35),
            ("rtmax-1", 63),
            ("RTMAX", 64),
            ("64", 64),
            ("IOT", 6),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for text in [
            "",
            "0",
            "65",
            "-1",
            "SIG",
            "FOO",
            "RTMIN+31",
            "RTMAX+1",
            "99999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
