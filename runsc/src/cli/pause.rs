//! `runsc pause`: stops every process of a container until resume.

use anyhow::Result;
use container::lifecycle;

use crate::config::Config;

pub(crate) fn run(config: &Config, id: &str) -> Result<u8> {
    lifecycle::pause(&config.settings, id)?;
    Ok(0)
}
