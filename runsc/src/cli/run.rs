//! `runsc run`: create, start, wait and delete in one command.

use anyhow::Result;
use clap::Args;
use container::bundle::Bundle;
use container::lifecycle::Create as Request;
use container::{foreground, lifecycle};

use crate::cli::create::Create;
use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    create: Create,
    /// Return once it runs
    #[arg(long, short)]
    detach: bool,
}

impl Run {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let settings = &config.settings;
        if self.detach {
            self.create.run(config)?;
            if let Err(error) = lifecycle::start(settings, &self.create.id) {
                // It was never seen to run: nothing of it may stay.
                let _ = lifecycle::delete(settings, &self.create.id, true);
                return Err(error.into());
            }
            return Ok(0);
        }
        let bundle = Bundle::load(&self.create.bundle)?;
        let request = Request {
            foreground: true,
            ..self.create.request(&bundle)
        };
        Ok(foreground::run(settings, request)?)
    }
}
