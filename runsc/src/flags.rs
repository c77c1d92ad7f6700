//! Flags in Go's form: `-x` and `--x` are the same, booleans take `=true` and `=false` only, the
//! first argument that is no flag ends them, and so does `--`.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// A value.
    Text,
    /// A number.
    Number,
    /// A value, each time it is given.
    List,
    /// Nothing, or `=value`.
    OptionalText,
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its name.
    pub(crate) name: &'static str,
    /// A second name, if it has one.
    pub(crate) short: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Its value when it is not given.
    pub(crate) default: &'static str,
    /// What it is for. Empty: it is accepted for callers of other runtimes and has no effect here.
    pub(crate) help: &'static str,
}

/// A flag without a second name.
pub(crate) const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        short: "",
        kind,
        default,
        help,
    }
}

/// A flag that other runtimes have and a sandbox has no use for: accepted and logged.
pub(crate) const fn ignored(name: &'static str, kind: Kind) -> Flag {
    Flag {
        name,
        short: "",
        kind,
        default: "",
        help: "",
    }
}

impl Flag {
    /// With a second name.
    pub(crate) const fn or(self, short: &'static str) -> Flag {
        Flag { short, ..self }
    }
}

/// What was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    given: BTreeMap<&'static str, Vec<String>>,
    defaults: BTreeMap<&'static str, &'static str>,
}

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
    #[error("invalid value {value:?} for flag -{name}: parse error")]
    NotNumber { name: String, value: String },
    #[error("help requested")]
    Help,
}

/// Splits `args` into flags and what follows them.
pub(crate) fn parse<'a>(
    table: &[Flag],
    args: &'a [String],
) -> Result<(Values, &'a [String]), FlagError> {
    let defaults = table.iter().map(|flag| (flag.name, flag.default)).collect();
    let mut values = Values {
        given: BTreeMap::new(),
        defaults,
    };
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
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let Some(flag) = find(table, name) else {
            return Err(match name {
                "h" | "help" => FlagError::Help,
                _ => FlagError::Unknown(name.to_owned()),
            });
        };
        let value = match (flag.kind, value) {
            (_, Some(value)) => value,
            (Kind::Switch | Kind::OptionalText, None) => "true".to_owned(),
            (_, None) => {
                let (value, after) = rest
                    .split_first()
                    .ok_or_else(|| FlagError::NeedsArgument(name.to_owned()))?;
                rest = after;
                value.clone()
            }
        };
        values
            .given
            .entry(flag.name)
            .or_default()
            .push(check(flag, name, value)?);
    }
    log_ignored(table, &values);
    Ok((values, rest))
}

fn find<'t>(table: &'t [Flag], name: &str) -> Option<&'t Flag> {
    table
        .iter()
        .find(|flag| flag.name == name || (!flag.short.is_empty() && flag.short == name))
}

fn check(flag: &Flag, name: &str, value: String) -> Result<String, FlagError> {
    match flag.kind {
        Kind::Switch => match value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false".to_owned()),
            _ => Err(FlagError::NotBoolean {
                name: name.to_owned(),
                value,
            }),
        },
        Kind::Number if value.parse::<i64>().is_err() => Err(FlagError::NotNumber {
            name: name.to_owned(),
            value,
        }),
        _ => Ok(value),
    }
}

fn log_ignored(table: &[Flag], values: &Values) {
    for flag in table.iter().filter(|flag| flag.help.is_empty()) {
        if values.given.contains_key(flag.name) {
            tracing::info!(
                "--{} has no meaning for a sandbox and is ignored",
                flag.name
            );
        }
    }
}

impl Values {
    /// The value last given, or the default.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.given
            .get(name)
            .and_then(|values| values.last())
            .map(String::as_str)
            .or_else(|| self.defaults.get(name).copied())
            .unwrap_or_default()
    }

    /// The value, if it is not empty.
    pub(crate) fn nonempty(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether a switch is on.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// Whether it was given at all.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// A number; flags of that kind were checked.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// All values given.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        self.given.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The table as people read it.
pub(crate) fn describe(table: &[Flag]) -> String {
    let mut text = String::new();
    for flag in table.iter().filter(|flag| !flag.help.is_empty()) {
        let argument = match flag.kind {
            Kind::Switch => "",
            Kind::Text | Kind::List => " string",
            Kind::Number => " int",
            Kind::OptionalText => "[=string]",
        };
        let short = if flag.short.is_empty() {
            String::new()
        } else {
            format!(", -{}", flag.short)
        };
        let _ = write!(
            text,
            "  -{}{short}{argument}\n    \t{}",
            flag.name, flag.help
        );
        let shown = !matches!(flag.default, "" | "false" | "0");
        if shown {
            let _ = match flag.kind {
                Kind::Text | Kind::List => write!(text, " (default {:?})", flag.default),
                _ => write!(text, " (default {})", flag.default),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Flag, FlagError, Kind, flag, parse};

    const TABLE: &[Flag] = &[
        flag("b", Kind::Switch, "false", "a switch"),
        flag("x", Kind::Text, "d", "a text").or("y"),
        flag("n", Kind::Number, "1", "a number"),
        flag("l", Kind::List, "", "a list"),
        flag("o", Kind::OptionalText, "", "optional"),
    ];

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn one_and_two_dashes_are_the_same() {
        for text in [
            "-b -x v -n 3 rest -b",
            "--b=true --x=v --n=3 rest -b",
            "-b -y=v -n 3 -- rest -b",
        ] {
            let args = args(text);
            let (values, rest) = parse(TABLE, &args).unwrap();
            assert!(values.is_set("b"), "{text}");
            assert_eq!((values.text("x"), values.number("n")), ("v", 3), "{text}");
            assert_eq!(rest, ["rest", "-b"], "{text}");
        }
    }

    #[test]
    fn errors_are_those_of_go() {
        for (text, error) in [
            ("--zz", "flag provided but not defined: -zz"),
            ("-x", "flag needs an argument: -x"),
            (
                "--b=maybe",
                "invalid boolean value \"maybe\" for -b: parse error",
            ),
            ("-n many", "invalid value \"many\" for flag -n: parse error"),
            ("---b", "bad flag syntax: ---b"),
        ] {
            assert_eq!(parse(TABLE, &args(text)).unwrap_err().to_string(), error);
        }
        assert_eq!(parse(TABLE, &args("-h")).unwrap_err(), FlagError::Help);
    }

    #[test]
    fn lists_add_up_and_others_are_replaced() {
        let args = args("-l a -l=b -x 1 -x 2 -o -o=w");
        let (values, _) = parse(TABLE, &args).unwrap();
        assert_eq!(values.list("l"), ["a", "b"]);
        assert_eq!((values.text("x"), values.text("o")), ("2", "w"));
    }

    proptest! {
        #[test]
        fn no_command_line_panics(args in any::<Vec<String>>()) {
            let _ = parse(TABLE, &args);
        }
    }
}
