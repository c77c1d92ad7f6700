//! Reading and writing the control files.

use std::fs;
use std::io;
use std::path::Path;

use crate::{ContainerError, Result};

/// Writes a value; the error names the file and the value.
pub(super) fn write(path: &Path, value: &str) -> Result<()> {
    try_write(path, value).map_err(|error| failed(path, value, &error))
}

pub(super) fn try_write(path: &Path, value: &str) -> io::Result<()> {
    // Never made: a file that is missing is a feature that the kernel lacks.
    let mut file = fs::File::options().write(true).open(path)?;
    io::Write::write_all(&mut file, value.as_bytes())
}

pub(super) fn failed(path: &Path, value: &str, error: &io::Error) -> ContainerError {
    let reason = error.raw_os_error().map_or_else(
        || error.to_string(),
        |number| host::Errno::from_raw(number).message().to_owned(),
    );
    ContainerError::Cgroup {
        path: path.to_owned(),
        value: value.to_owned(),
        reason,
    }
}

/// A file's one number; `max` and what does not fit are the largest.
pub(super) fn number(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    parse_number(text.trim())
}

fn parse_number(text: &str) -> Option<u64> {
    match text {
        "max" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

/// A file of lines with a key and a number each.
pub(super) fn table(path: &Path) -> std::collections::BTreeMap<String, u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), parse_number(value.trim())?))
        })
        .collect()
}
