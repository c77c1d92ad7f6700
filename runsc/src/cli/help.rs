//! `runsc help`, and `--version`.

use std::fmt::Write;

use anyhow::{Result, bail};

use crate::cli::{COMMANDS, Command, Invocation, print};
use crate::config::{SPEC_VERSION, VERSION};
use crate::flags::describe;

pub(crate) const COMMAND: Command = Command {
    name: "help",
    usage: "[SUBCOMMAND | syscalls]",
    about: "describe a subcommand, or the system calls of the kernel",
    flags: &[],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    match invocation.args {
        [] => overview(),
        [topic] if topic == "syscalls" => {
            print(&sandbox::describe_syscalls());
            Ok(0)
        }
        [topic] => match COMMANDS.iter().find(|command| command.name == topic) {
            Some(found) => command(found),
            None => bail!("unknown subcommand {topic:?}; see runsc help"),
        },
        _ => bail!("want one subcommand; see runsc help"),
    }
}

/// Prints what there is.
pub(crate) fn overview() -> Result<u8> {
    print(&overview_text());
    Ok(0)
}

fn overview_text() -> String {
    let mut text = String::from(
        "Usage: runsc [global flags] SUBCOMMAND [flags] [arguments]\n\nSubcommands:\n",
    );
    for command in COMMANDS {
        let _ = writeln!(text, "  {:<10} {}", command.name, command.about);
    }
    text.push_str("\nThe global flags: runsc flags\nOne subcommand: runsc help SUBCOMMAND\n");
    text
}

/// Prints what one subcommand takes.
pub(crate) fn command(command: &Command) -> Result<u8> {
    print(&command_text(command));
    Ok(0)
}

fn command_text(command: &Command) -> String {
    let usage = format!("Usage: runsc {} {}", command.name, command.usage);
    format!(
        "{}\n\n{}\n{}",
        usage.trim_end(),
        command.about,
        describe(command.flags)
    )
}

/// Prints the versions.
pub(crate) fn version() -> Result<u8> {
    print(&format!("runsc version {VERSION}\nspec: {SPEC_VERSION}\n"));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::{command_text, overview_text};
    use crate::cli::COMMANDS;
    use crate::config::FLAGS;
    use crate::flags::describe;

    #[test]
    fn help_texts() {
        insta::assert_snapshot!("overview", overview_text());
        insta::assert_snapshot!("flags", describe(FLAGS));
        let all: Vec<String> = COMMANDS.iter().map(command_text).collect();
        insta::assert_snapshot!("subcommands", all.join("\n"));
    }
}
