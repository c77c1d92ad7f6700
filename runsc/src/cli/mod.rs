//! The command line: one file per subcommand, and the table of them.

mod boot;
mod checkpoint;
mod completions;
mod create;
mod delete;
mod r#do;
mod events;
mod exec;
mod features;
mod flags;
mod gofer;
mod help;
mod ignored;
mod install;
mod kill;
mod list;
mod man;
mod pause;
mod ps;
mod resume;
mod run;
mod spec;
mod start;
mod startup;
mod state;
mod template;
mod update;
mod wait;
mod watch;

use anyhow::{Context, Result, anyhow, bail};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{Config, Global};
use crate::flags::{in_one_line, spell, spell_all, unknown_subcommand};
use crate::logging;

/// The exit code of every failure of this program's own.
pub(crate) const FAILURE: u8 = 128;

/// An OCI runtime whose containers run on a kernel of its own, in user space
#[derive(Debug, Parser)]
#[command(
    name = "runsc",
    override_usage = "runsc [GLOBAL FLAGS] SUBCOMMAND [FLAGS] [ARGUMENTS]",
    after_help = "One subcommand: runsc help SUBCOMMAND. What the kernel supports: runsc help syscalls. \
                  Flags may be written -flag, --flag, --flag=value or --flag value.",
    subcommand_help_heading = "Subcommands",
    subcommand_value_name = "SUBCOMMAND",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Refused: a sandbox can't be saved in this release
    Checkpoint(OneId),
    /// Print a script that completes command lines in a shell
    Completions(completions::Completions),
    /// Create a container, without starting its program
    Create(create::Create),
    /// Delete containers
    Delete(delete::Delete),
    /// Run a command in a sandbox, on the host's files beneath a writable layer in memory
    Do(r#do::Do),
    /// Print what a container uses, and when it runs out of memory, as lines of JSON
    Events(events::Events),
    /// Run another process in a container
    Exec(exec::Exec),
    /// Print what this runtime supports, as JSON
    Features,
    /// Describe the global flags
    Flags,
    /// Describe a subcommand, the system calls of the kernel, or the platforms that work here
    Help(help::Help),
    /// Add this runtime to docker's configuration
    Install(install::Install),
    /// Send a signal to a container, TERM by default
    Kill(kill::Kill),
    /// List containers
    List(list::List),
    /// Write the manual pages
    Man(man::Man),
    /// Stop every process of a container
    Pause(OneId),
    /// List the processes of a container
    Ps(ps::Ps),
    /// Refused: a sandbox can't be restored in this release
    Restore(OneId),
    /// Let the processes of a paused container run again
    Resume(OneId),
    /// Create and start a container, and wait for its end
    Run(run::Run),
    /// Write a config.json to begin with
    Spec(spec::Spec),
    /// Start the program of a created container
    Start(OneId),
    /// Print the state of a container
    State(OneId),
    /// Remove this runtime from docker's configuration
    Uninstall(install::Uninstall),
    /// Change the limits of a container
    Update(update::Update),
    /// Wait for the end of a container, or of a process in it
    Wait(wait::Wait),
}

/// A container's id alone.
#[derive(Debug, Args)]
struct OneId {
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
}

/// Forms of what commands print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Table,
    Json,
}

impl Command {
    fn run(self, config: &Config) -> Result<u8> {
        match self {
            Command::Checkpoint(_) => checkpoint::refuse_checkpoint(),
            Command::Completions(command) => command.run(),
            Command::Create(command) => command.run(config),
            Command::Delete(command) => command.run(config),
            Command::Do(command) => command.run(config),
            Command::Events(command) => command.run(config),
            Command::Exec(command) => command.run(config),
            Command::Features => features::run(),
            Command::Flags => flags::run(),
            Command::Help(command) => command.run(),
            Command::Install(command) => command.run(),
            Command::Kill(command) => command.run(config),
            Command::List(command) => command.run(config),
            Command::Man(command) => command.run(),
            Command::Pause(OneId { id }) => pause::run(config, &id),
            Command::Ps(command) => command.run(config),
            Command::Restore(_) => checkpoint::refuse_restore(),
            Command::Resume(OneId { id }) => resume::run(config, &id),
            Command::Run(command) => command.run(config),
            Command::Spec(command) => command.run(),
            Command::Start(OneId { id }) => start::run(config, &id),
            Command::State(OneId { id }) => state::run(config, &id),
            Command::Uninstall(command) => command.run(),
            Command::Update(command) => command.run(config),
            Command::Wait(command) => command.run(config),
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
        Err(error) => match error.downcast_ref::<clap::Error>() {
            Some(help) if !help.use_stderr() => {
                print(&help.render().to_string());
                0
            }
            _ => fail(&error),
        },
    }
}

fn fail(error: &anyhow::Error) -> u8 {
    let reason = format!("{error:#}");
    logging::complain(&reason);
    tracing::error!(target: logging::FINAL, "{reason}");
    FAILURE
}

fn dispatch(args: &[String]) -> Result<u8> {
    let mut table = table();
    let (matches, rest) = parse_global(&mut table, args)?;
    if matches.get_flag("version") {
        return help::version();
    }
    let config = Config::new(&matches)?;
    let (name, rest) = rest
        .split_first()
        .context("no subcommand given; see runsc help")?;
    let line = spell_subcommand(&table, name, rest);
    let id = startup::id(&table, line.as_deref().unwrap_or_default());
    logging::init(&config, name, id)?;
    startup::log(args, &table, &matches)?;
    let line = line?;
    let matches = parse(&mut table, &line)?;
    if let Some((name, matches)) = matches.subcommand() {
        ignored::log(name, matches);
    }
    let command = Command::from_arg_matches(&matches)?;
    let code = command.run(&config)?;
    tracing::debug!("exit code {code}");
    Ok(code)
}

/// The table of all flags and subcommands, with those flags that are accepted only.
pub(crate) fn table() -> clap::Command {
    ignored::accept(CommandLine::command())
}

/// Parses the global flags. Returns what follows them too.
pub(crate) fn parse_global<'a>(
    table: &mut clap::Command,
    args: &'a [String],
) -> Result<(ArgMatches, &'a [String])> {
    let (flags, rest) = spell(table, args)?;
    if rest == ["help"] {
        return Ok((parse(table, &["-h".to_owned()])?, rest));
    }
    Ok((parse(table, &flags)?, rest))
}

/// Spells a subcommand and its arguments for clap; `help NAME` is `NAME --help`.
fn spell_subcommand(table: &clap::Command, name: &str, args: &[String]) -> Result<Vec<String>> {
    if let ("help", [topic]) = (name, args)
        && table.find_subcommand(topic).is_some()
    {
        return Ok(vec![topic.clone(), "--help".to_owned()]);
    }
    let Some(command) = table.find_subcommand(name) else {
        bail!(unknown_subcommand(name));
    };
    let mut line = vec![name.to_owned()];
    line.extend(spell_all(command, args)?);
    Ok(line)
}

/// Parses what is spelled for clap. A call for help is an error of clap's own, any other is one line.
fn parse(table: &mut clap::Command, line: &[String]) -> Result<ArgMatches> {
    let program = ["runsc".to_owned()];
    let parsed = table.try_get_matches_from_mut(program.iter().chain(line));
    parsed.map_err(|error| {
        if !error.use_stderr() {
            return error.into();
        }
        let command = line.first().and_then(|name| table.find_subcommand(name));
        let given = line.iter().skip_while(|arg| *arg != "--").skip(1).count();
        anyhow!(in_one_line(&error, command.unwrap_or(table), given))
    })
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
    use clap::{CommandFactory, FromArgMatches};

    use super::{Command, CommandLine, parse, spell_subcommand, table};

    /// What a subcommand's line becomes.
    pub(crate) fn command(line: &str) -> Command {
        let args: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        let mut table = table();
        let line = spell_subcommand(&table, &args[0], &args[1..]).unwrap();
        Command::from_arg_matches(&parse(&mut table, &line).unwrap()).unwrap()
    }

    #[test]
    fn the_table_is_consistent() {
        CommandLine::command().debug_assert();
        table().debug_assert();
    }
}
