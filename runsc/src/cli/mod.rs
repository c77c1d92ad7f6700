//! The command line: one file per subcommand, and the table of them.

mod boot;
mod checkpoint;
mod create;
mod delete;
mod r#do;
mod events;
mod exec;
mod features;
mod flags;
mod gofer;
mod help;
mod install;
mod kill;
mod list;
mod pause;
mod ps;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod template;
mod update;
mod wait;
mod watch;

use anyhow::{Result, bail};

use crate::config::{self, Config};
use crate::flags::{self as flag, Flag, FlagError, Values};
use crate::logging;

/// The exit code of every failure of this program's own.
pub(crate) const FAILURE: u8 = 128;

/// One subcommand.
pub(crate) struct Command {
    /// Its name.
    pub(crate) name: &'static str,
    /// What follows its name.
    pub(crate) usage: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    /// Its flags.
    pub(crate) flags: &'static [Flag],
    /// Does it. Returns the exit code.
    pub(crate) run: fn(&Invocation<'_>) -> Result<u8>,
}

/// What a subcommand is called with.
pub(crate) struct Invocation<'a> {
    /// Global flags.
    pub(crate) config: &'a Config,
    /// Its own flags.
    pub(crate) flags: &'a Values,
    /// Its other arguments.
    pub(crate) args: &'a [String],
}

/// Every subcommand that is shown.
pub(crate) const COMMANDS: &[Command] = &[
    checkpoint::CHECKPOINT,
    create::COMMAND,
    delete::COMMAND,
    r#do::COMMAND,
    events::COMMAND,
    exec::COMMAND,
    features::COMMAND,
    flags::COMMAND,
    help::COMMAND,
    install::INSTALL,
    kill::COMMAND,
    list::COMMAND,
    pause::COMMAND,
    ps::COMMAND,
    checkpoint::RESTORE,
    resume::COMMAND,
    run::COMMAND,
    spec::COMMAND,
    start::COMMAND,
    state::COMMAND,
    install::UNINSTALL,
    update::COMMAND,
    wait::COMMAND,
];

impl Invocation<'_> {
    /// The one argument of a command that takes an id alone.
    pub(crate) fn only_id(&self) -> Result<&str> {
        match self.args {
            [id] => Ok(id),
            _ => bail!(
                "want one argument, the container's id; got {}",
                self.args.len()
            ),
        }
    }
}

/// Runs the program with `args`. Returns its exit code.
pub(crate) fn main(args: &[String]) -> u8 {
    // Children of this program's own come first: they have no flags and log elsewhere.
    match args.first().map(String::as_str) {
        Some("boot") => return boot::main(),
        Some("gofer") => return gofer::main(),
        Some("watch") => return watch::main(),
        _ => {}
    }
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            let reason = format!("{error:#}");
            logging::complain(&reason);
            tracing::error!(target: logging::FINAL, "{reason}");
            FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<u8> {
    let (values, rest) = match flag::parse(config::FLAGS, args) {
        Err(FlagError::Help) => return help::overview(),
        parsed => parsed?,
    };
    if values.is_set("version") {
        return help::version();
    }
    let config = Config::new(&values)?;
    let Some((name, rest)) = rest.split_first() else {
        bail!("no subcommand given; see runsc help");
    };
    let id = rest
        .iter()
        .find(|arg| !arg.starts_with('-'))
        .map_or("", String::as_str);
    logging::init(&config, name, id)?;
    log_startup(args, &values);
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        bail!("unknown subcommand {name:?}; see runsc help");
    };
    let (flags, args) = match flag::parse(command.flags, rest) {
        Err(FlagError::Help) => return help::command(command),
        parsed => parsed?,
    };
    let invocation = Invocation {
        config: &config,
        flags: &flags,
        args,
    };
    let code = (command.run)(&invocation)?;
    tracing::debug!("exit code {code}");
    Ok(code)
}

fn log_startup(args: &[String], values: &Values) {
    let log = |line: String| tracing::info!(target: logging::STARTUP, "{line}");
    log(format!("args: {:?}", without_values(args)));
    log(format!("version: {}", config::VERSION));
    log(format!("pid: {}", std::process::id()));
    let (uid, gid) = (
        host::rustix::process::getuid(),
        host::rustix::process::getgid(),
    );
    log(format!("uid: {}, gid: {}", uid.as_raw(), gid.as_raw()));
    Config::lines(values).into_iter().for_each(log);
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

/// Prints on standard output.
#[expect(
    clippy::print_stdout,
    reason = "the one place where commands print their results"
)]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests {
    use super::without_values;

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
}
