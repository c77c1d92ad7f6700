//! `runsc help`, and `--version`.

use std::fmt::Write;

use anyhow::{Result, bail};

use crate::cli::{COMMANDS, Command, Invocation, print};
use crate::config::{SPEC_VERSION, VERSION};
use crate::flags::{Flag, Kind, describe, flag, parse};
use sandbox::PlatformReport;

pub(crate) const COMMAND: Command = Command {
    name: "help",
    usage: "[SUBCOMMAND | syscalls [--format json|csv] | platforms [--format json]]",
    about: "describe a subcommand, the system calls of the kernel, or the platforms that work here",
    flags: &[],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    match invocation.args {
        [] => overview(),
        [topic, flags @ ..] if topic == "syscalls" => syscalls(flags),
        [topic, flags @ ..] if topic == "platforms" => platforms(flags),
        [topic] => match COMMANDS.iter().find(|command| command.name == topic) {
            Some(found) => command(found),
            None => bail!("unknown subcommand {topic:?}; see runsc help"),
        },
        _ => bail!("want one subcommand; see runsc help"),
    }
}

/// Prints the table of system calls.
fn syscalls(flags: &[String]) -> Result<u8> {
    const FLAGS: &[Flag] = &[flag("format", Kind::Text, "text", "text, json or csv").or("f")];
    let (values, rest) = parse(FLAGS, flags)?;
    if !rest.is_empty() {
        bail!("want no more than --format; see runsc help");
    }
    let render = match values.text("format") {
        "text" => sandbox::describe_syscalls,
        "json" => sandbox::syscalls_json,
        "csv" => sandbox::syscalls_csv,
        other => bail!("invalid value {other:?} for flag -format: want text, json or csv"),
    };
    print(&render());
    Ok(0)
}

/// Prints which platforms there are, after trying each.
fn platforms(flags: &[String]) -> Result<u8> {
    const FLAGS: &[Flag] = &[flag("format", Kind::Text, "text", "text or json").or("f")];
    let (values, rest) = parse(FLAGS, flags)?;
    if !rest.is_empty() {
        bail!("want no more than --format; see runsc help");
    }
    let render = match values.text("format") {
        "text" => platforms_text,
        "json" => platforms_json,
        other => bail!("invalid value {other:?} for flag -format: want text or json"),
    };
    print(&render(&sandbox::try_platforms()));
    Ok(0)
}

fn platforms_text(platforms: &[PlatformReport]) -> String {
    let mut text = String::new();
    for PlatformReport { name, reason } in platforms {
        let outcome = reason.as_deref().unwrap_or("works");
        let _ = writeln!(text, "{name:<8} {outcome}");
    }
    text
}

fn platforms_json(platforms: &[PlatformReport]) -> String {
    let object = |report: &PlatformReport| {
        serde_json::json!({
            "name": report.name,
            "works": report.reason.is_none(),
            "reason": report.reason,
        })
    };
    let all: Vec<_> = platforms.iter().map(object).collect();
    format!("{}\n", serde_json::Value::from(all))
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
    use super::{PlatformReport, command_text, overview_text, platforms_json, platforms_text};
    use crate::cli::COMMANDS;
    use crate::config::FLAGS;
    use crate::flags::describe;

    #[test]
    fn platforms_say_why_they_do_not_work() {
        let report = |name, reason: Option<&str>| PlatformReport {
            name,
            reason: reason.map(ToOwned::to_owned),
        };
        let both = [report("ptrace", None), report("kvm", Some("no device"))];
        assert_eq!(
            platforms_text(&both),
            "ptrace   works\nkvm      no device\n"
        );
        assert_eq!(
            platforms_json(&both),
            "[{\"name\":\"ptrace\",\"reason\":null,\"works\":true},\
             {\"name\":\"kvm\",\"reason\":\"no device\",\"works\":false}]\n"
        );
    }

    #[test]
    fn help_texts() {
        insta::assert_snapshot!("overview", overview_text());
        insta::assert_snapshot!("flags", describe(FLAGS));
        let all: Vec<String> = COMMANDS.iter().map(command_text).collect();
        insta::assert_snapshot!("subcommands", all.join("\n"));
    }
}
