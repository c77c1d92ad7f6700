//! `runsc help`, and `--version`.

use std::fmt::Write;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use sandbox::PlatformReport;

use crate::cli::{Format, print};
use crate::config::{SPEC_VERSION, VERSION};

#[derive(Debug, Args)]
pub(crate) struct Help {
    #[command(subcommand)]
    topic: Topic,
}

#[derive(Debug, Subcommand)]
enum Topic {
    /// List the system calls of the kernel
    Syscalls {
        /// Form of the list; json and csv name the behaviour tests too
        #[arg(long, short, default_value = "text")]
        format: TableFormat,
    },
    /// Tell which platforms work here, after trying each
    Platforms {
        /// Form of the list
        #[arg(long, short, default_value = "text")]
        format: Format,
    },
}

/// Forms of a table.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TableFormat {
    Text,
    Json,
    Csv,
}

impl Help {
    /// Describes what is no subcommand; clap describes those.
    pub(crate) fn run(&self) -> Result<u8> {
        match self.topic {
            Topic::Syscalls { format } => print(&match format {
                TableFormat::Text => sandbox::describe_syscalls(),
                TableFormat::Json => sandbox::syscalls_json(),
                TableFormat::Csv => sandbox::syscalls_csv(),
            }),
            Topic::Platforms { format } => {
                let platforms = sandbox::try_platforms();
                print(&match format {
                    Format::Text | Format::Table => platforms_text(&platforms),
                    Format::Json => platforms_json(&platforms),
                });
            }
        }
        Ok(0)
    }
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

/// Prints the versions.
pub(crate) fn version() -> Result<u8> {
    print(&format!("runsc version {VERSION}\nspec: {SPEC_VERSION}\n"));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::{PlatformReport, platforms_json, platforms_text};
    use crate::cli::{dispatch, table};

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

    /// The text that `help` with these arguments gives.
    fn help(args: &[&str]) -> String {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let error = dispatch(&args).unwrap_err();
        let help = error.downcast_ref::<clap::Error>().unwrap();
        help.render().to_string()
    }

    #[test]
    fn help_texts() {
        insta::assert_snapshot!("overview", help(&["help"]));
        assert_eq!(help(&["-h"]), help(&["help"]));
        let table = table();
        let all: Vec<String> = table
            .get_subcommands()
            .map(|command| help(&["help", command.get_name()]))
            .collect();
        insta::assert_snapshot!("subcommands", all.join("\n\n"));
    }
}
