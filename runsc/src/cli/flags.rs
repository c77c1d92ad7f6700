//! `runsc flags`: every global flag, as Go's flag package describes them.

use std::fmt::Write;

use anyhow::Result;
use clap::{Arg, CommandFactory};

use crate::cli::{CommandLine, print};

pub(crate) fn run() -> Result<u8> {
    print(&describe());
    Ok(0)
}

fn describe() -> String {
    let mut text = String::new();
    for arg in CommandLine::command().get_arguments() {
        describe_one(&mut text, arg);
    }
    text
}

/// Writing to a string does not fail.
fn describe_one(text: &mut String, arg: &Arg) {
    let _ = write!(text, "  -{}", arg.get_long().unwrap_or_default());
    if let Some(short) = arg.get_short() {
        let _ = write!(text, ", -{short}");
    }
    if arg.get_action().takes_values() {
        text.push_str(" value");
    }
    let _ = write!(
        text,
        "\n    \t{}",
        arg.get_help().cloned().unwrap_or_default()
    );
    let values: Vec<_> = arg
        .get_possible_values()
        .iter()
        .map(|v| v.get_name().to_owned())
        .collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        let _ = write!(text, ": {}", values.join(", "));
    }
    for default in arg.get_default_values() {
        let _ = write!(text, " (default {})", default.display());
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    #[test]
    fn global_flags() {
        insta::assert_snapshot!("flags", super::describe());
    }
}
