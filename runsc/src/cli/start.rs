//! `runsc start`: runs the program of a created container.

use anyhow::Result;
use container::lifecycle;

use crate::config::Config;

pub(crate) fn run(config: &Config, id: &str) -> Result<u8> {
    lifecycle::start(&config.settings, id)?;
    Ok(0)
}
