//! `runsc kill`: sends a signal into a container.

use anyhow::Result;
use clap::Args;
use container::{lifecycle, signal};
use control::Target;

use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Send it to every process of the container
    #[arg(long, short, conflicts_with = "pid")]
    all: bool,
    /// Send it to the process of this id in the container
    #[arg(long, default_value = "0", hide_default_value = true, value_parser = clap::value_parser!(i32).range(0..))]
    pid: i32,
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
    /// A number, or a name with or without SIG
    #[arg(value_name = "SIGNAL", default_value = "TERM", value_parser = signal::parse)]
    signal: i32,
}

impl Kill {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let target = match (self.all, self.pid) {
            (true, _) => Target::All,
            (false, 0) => Target::Init,
            (false, pid) => Target::Pid(pid),
        };
        lifecycle::kill(&config.settings, &self.id, target, self.signal)?;
        Ok(0)
    }
}
