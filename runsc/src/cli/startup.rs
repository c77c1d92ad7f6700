//! The lines with which a command's debug log begins.

use anyhow::Result;
use clap::{ArgMatches, FromArgMatches};

use crate::cli::ignored;
use crate::config::{self, Global};
use crate::logging::STARTUP;

/// Logs the arguments, who runs them, every global flag's value, and which of them do nothing.
pub(crate) fn log(args: &[String], table: &clap::Command, matches: &ArgMatches) -> Result<()> {
    let log = |line: String| tracing::info!(target: STARTUP, "{line}");
    log(format!("args: {:?}", without_values(args)));
    log(format!("version: {}", config::VERSION));
    log(format!("pid: {}", std::process::id()));
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    log(format!("uid: {}, gid: {}", uid.as_raw(), gid.as_raw()));
    config::lines(table, matches).into_iter().for_each(log);
    ignored::log("", matches);
    let flags = Global::from_arg_matches(matches)?;
    if flags.log_packets {
        tracing::info!("--log-packets is ignored: loopback carries no packets to log");
    }
    if flags.overlay2.in_file {
        tracing::warn!("overlay2: the writable layer is kept in memory, not in a file");
    }
    Ok(())
}

/// The container's id on a subcommand's line as spelled for clap, or nothing where it takes none.
pub(crate) fn id<'a>(table: &clap::Command, line: &'a [String]) -> &'a str {
    let command = line.first().and_then(|name| table.find_subcommand(name));
    let first = command.and_then(|command| command.get_arguments().find(|arg| arg.is_positional()));
    let takes_id = first.is_some_and(|arg| arg.get_value_names() == Some(&["ID".into()]));
    let mut after = line.iter().skip_while(|arg| *arg != "--").skip(1);
    let id = after.next().filter(|_| takes_id);
    id.map_or("", String::as_str)
}

/// The arguments without the values of environment variables that they set, which are often secret.
fn without_values(args: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(args.len());
    let mut is_variable = false;
    for arg in args {
        let flag = arg.trim_start_matches('-');
        let joined = flag.len() < arg.len() && (flag.starts_with("env=") || flag.starts_with("e="));
        let names = if joined { 2 } else { usize::from(is_variable) };
        let parts: Vec<&str> = arg.splitn(names + 1, '=').collect();
        shown.push(match names {
            0 => arg.clone(),
            _ => parts[..parts.len().min(names)].join("="),
        });
        is_variable = matches!(arg.as_str(), "-e" | "-env" | "--env" | "--e");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{id, without_values};
    use crate::cli::{spell_subcommand, table};

    #[test]
    fn values_of_variables_are_not_logged() {
        let args = [
            "runsc",
            "exec",
            "--env",
            "A=1=2",
            "-e",
            "B=3",
            "--env=C=4",
            "id",
            "sh",
            "x=y",
        ];
        let shown = without_values(&args.map(str::to_owned));
        let expected = [
            "runsc", "exec", "--env", "A", "-e", "B", "--env=C", "id", "sh", "x=y",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn ids_are_found_behind_flags_and_their_values() {
        for (name, args, expected) in [
            ("create", "-bundle /b c", "c"),
            ("exec", "--user 5 c sh -c x", "c"),
            ("delete", "-force c d", "c"),
            ("do", "sh", ""),
            ("list", "", ""),
        ] {
            let args: Vec<String> = args.split(' ').map(ToOwned::to_owned).collect();
            let line = spell_subcommand(&table(), name, &args).unwrap();
            assert_eq!(id(&table(), &line), expected, "{name}");
        }
    }
}
