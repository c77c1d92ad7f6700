//! `runsc completions`: scripts that complete command lines in a shell.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::{CommandLine, print};

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<u8> {
        let table = CommandLine::command();
        // What has a help of its own is a topic of help.
        let topics: Vec<clap::Command> = table
            .get_subcommands()
            .map(|command| clap::Command::new(&*command.get_name().to_owned().leak()))
            .collect();
        let mut table = table.mut_subcommand("help", |help| help.subcommands(topics));
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut table, "runsc", &mut script);
        print(&String::from_utf8(script)?);
        Ok(0)
    }
}
