//! `runsc man`: the manual pages.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};

use crate::cli::CommandLine;
use crate::config::VERSION;

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory to write them to, such as /usr/local/share/man/man1
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> Result<u8> {
        let directory = &self.directory;
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let table = CommandLine::command()
            .version(VERSION)
            .disable_version_flag(true);
        clap_mangen::generate_to(table, directory)
            .with_context(|| format!("cannot write manual pages to {}", directory.display()))?;
        Ok(0)
    }
}
