//! `runsc delete`: removes containers, whatever is left of them.

use anyhow::Result;
use clap::Args;
use container::lifecycle;

use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Kill a container that runs
    #[arg(long, short)]
    force: bool,
    /// The containers' ids
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

impl Delete {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        for id in &self.ids {
            lifecycle::delete(&config.settings, id, self.force)?;
        }
        Ok(0)
    }
}
