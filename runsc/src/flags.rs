//! Go's spelling of flags, put into clap's: `-x` and `--x` are the same, a value follows as `=value` or as the
//! next argument, booleans take `=true` and `=false` only, and the first argument that is no flag ends them, as
//! `--` does.

use std::error::Error;
use std::num::ParseIntError;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

/// A command line that makes no sense, in the words of Go's flag package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(String),
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    NotBoolean { name: String, value: String },
}

/// Spells a subcommand's arguments for clap: its flags, `--`, and what follows them as it is. A subcommand of
/// the subcommand comes in between.
pub(crate) fn spell_all(table: &Command, args: &[String]) -> Result<Vec<String>, FlagError> {
    let (mut line, rest) = spell(table, args)?;
    match rest.split_first() {
        Some((name, after)) if table.has_subcommands() => {
            line.push(name.clone());
            if let Some(inner) = table.find_subcommand(name) {
                line.extend(spell_all(inner, after)?);
            }
        }
        None if table.has_subcommands() => {}
        _ => {
            line.push("--".to_owned());
            line.extend_from_slice(rest);
        }
    }
    Ok(line)
}

/// Spells the flags at the head of `args` for clap. Returns them, and what follows them.
pub(crate) fn spell<'a>(
    table: &Command,
    args: &'a [String],
) -> Result<(Vec<String>, &'a [String]), FlagError> {
    let mut flags: Vec<String> = Vec::new();
    let mut rest = args;
    while let Some((argument, after)) = rest.split_first() {
        let Some(text) = argument.strip_prefix('-').filter(|text| !text.is_empty()) else {
            break;
        };
        rest = after;
        if text == "-" {
            break;
        }
        let text = text.strip_prefix('-').unwrap_or(text);
        if text.starts_with(['-', '=']) {
            return Err(FlagError::Syntax(argument.clone()));
        }
        let (name, mut value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(arg) = find(table, name) else {
            if matches!(name, "h" | "help") {
                let help = if name == "h" { "-h" } else { "--help" };
                flags.push(help.to_owned());
                continue;
            }
            return Err(FlagError::Unknown(name.to_owned()));
        };
        if value.is_none() && needs_value(arg) {
            let (next, after) = rest
                .split_first()
                .ok_or_else(|| FlagError::NeedsArgument(name.to_owned()))?;
            (value, rest) = (Some(next.as_str()), after);
        }
        let flag = format!("--{}", arg.get_long().unwrap_or(name));
        if !matches!(arg.get_action(), ArgAction::Append) {
            // The last one counts.
            flags.retain(|given| given.split('=').next() != Some(&flag));
        }
        flags.extend(spell_one(arg, flag, name, value)?);
    }
    Ok((flags, rest))
}

fn find<'t>(table: &'t Command, name: &str) -> Option<&'t Arg> {
    let is_short = |arg: &Arg| {
        arg.get_short()
            .is_some_and(|short| name == short.to_string())
    };
    let is_alias = |arg: &Arg| arg.get_all_aliases().unwrap_or_default().contains(&name);
    table
        .get_arguments()
        .find(|arg| arg.get_long() == Some(name) || is_short(arg) || is_alias(arg))
}

fn needs_value(arg: &Arg) -> bool {
    let is_optional = arg.get_num_args().is_some_and(|n| n.min_values() == 0);
    arg.get_action().takes_values() && !is_optional
}

/// One flag for clap, which knows switches without values only: one that is off is left out, and so is an empty
/// value that replaces no default.
fn spell_one(
    arg: &Arg,
    flag: String,
    name: &str,
    value: Option<&str>,
) -> Result<Option<String>, FlagError> {
    let is_list = matches!(arg.get_action(), ArgAction::Append);
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, Some(value)) => Ok(boolean(name, value)?.then_some(flag)),
        (_, Some("")) if !is_list && arg.get_default_values().is_empty() => Ok(None),
        (_, Some(value)) => Ok(Some(format!("{flag}={value}"))),
        (_, None) => Ok(Some(flag)),
    }
}

fn boolean(name: &str, value: &str) -> Result<bool, FlagError> {
    parse_boolean(value).map_err(|_| FlagError::NotBoolean {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// A boolean as Go's `strconv.ParseBool` reads it.
pub(crate) fn parse_boolean(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("parse error"),
    }
}

/// What clap says of a value or of arguments, in one line. `given` counts the arguments that are no flags.
pub(crate) fn in_one_line(error: &clap::Error, table: &Command, given: usize) -> String {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let argument = context(ContextKind::InvalidArg);
    let name = flag_name(&argument);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            unknown_subcommand(&context(ContextKind::InvalidSubcommand))
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            format!("-{name} and -{} exclude each other", flag_name(&other))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let reason = reason(error);
            if !argument.starts_with('-') {
                return reason;
            }
            let value = context(ContextKind::InvalidValue);
            format!("invalid value {value:?} for flag -{name}: {reason}")
        }
        _ => format!("{}; got {given}", wanted(table)),
    }
}

pub(crate) fn unknown_subcommand(name: &str) -> String {
    format!("unknown subcommand {name:?}; see runsc help")
}

/// `name` of `--name <VALUE>`.
fn flag_name(argument: &str) -> &str {
    let name = argument.trim_start_matches('-');
    name.split([' ', '=', '[']).next().unwrap_or(name)
}

fn reason(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
        && let Some((last, others)) = values.split_last()
    {
        return format!("want {} or {last}", others.join(", "));
    }
    match error.source() {
        Some(source) if source.is::<ParseIntError>() => "parse error".to_owned(),
        Some(source) => source.to_string(),
        None => "want a value".to_owned(),
    }
}

fn wanted(table: &Command) -> String {
    let arguments: Vec<String> = table.get_positionals().map(ToString::to_string).collect();
    match &arguments[..] {
        [] => "want no arguments".to_owned(),
        [one] if one == "<ID>" => "want one argument, the container's id".to_owned(),
        several => format!("want {}", several.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command};
    use proptest::prelude::{any, proptest};

    use super::{FlagError, spell, spell_all};

    fn table() -> Command {
        Command::new("test")
            .arg(Arg::new("b").long("bool").action(ArgAction::SetTrue))
            .arg(Arg::new("x").long("text").short('y').alias("te_xt"))
            .arg(Arg::new("d").long("default").default_value("d"))
            .arg(Arg::new("l").long("list").action(ArgAction::Append))
            .arg(Arg::new("o").long("optional").num_args(0..=1))
    }

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(ToOwned::to_owned).collect()
    }

    fn spelled(text: &str) -> Result<String, FlagError> {
        spell_all(&table(), &args(text)).map(|line| line.join(" "))
    }

    #[test]
    fn one_and_two_dashes_are_the_same() {
        for text in [
            "-bool -text v rest -bool",
            "--bool=T --text=v rest -bool",
            "-bool -y=v -- rest -bool",
            "-bool --te_xt v rest -bool",
        ] {
            assert_eq!(spelled(text).unwrap(), "--bool --text=v -- rest -bool");
        }
    }

    #[test]
    fn the_last_one_counts_and_lists_add_up() {
        for (given, expected) in [
            ("-bool -bool=0", "--"),
            ("-bool=F --bool", "--bool --"),
            ("-text a -text b", "--text=b --"),
            ("-text a -text=", "--"),
            ("-text --bool", "--text=--bool --"),
            ("-default=", "--default= --"),
            ("-list a -list= -list b", "--list=a --list= --list=b --"),
            ("-optional -bool", "--optional --bool --"),
            ("-optional=v - -b", "--optional=v -- - -b"),
            ("-h", "-h --"),
            ("-help", "--help --"),
        ] {
            assert_eq!(spelled(given).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn errors_are_those_of_go() {
        for (text, error) in [
            ("--zz", "flag provided but not defined: -zz"),
            ("-text", "flag needs an argument: -text"),
            (
                "--bool=no",
                "invalid boolean value \"no\" for -bool: parse error",
            ),
            ("---b", "bad flag syntax: ---b"),
        ] {
            assert_eq!(spelled(text).unwrap_err().to_string(), error);
        }
    }

    proptest! {
        #[test]
        fn no_command_line_panics(args in any::<Vec<String>>()) {
            let _ = spell(&table(), &args);
        }
    }
}
