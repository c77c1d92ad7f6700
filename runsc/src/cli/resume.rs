//! `runsc resume`: lets the processes of a paused container run again.

use anyhow::Result;
use container::lifecycle;

use crate::config::Config;

pub(crate) fn run(config: &Config, id: &str) -> Result<u8> {
    lifecycle::resume(&config.settings, id)?;
    Ok(0)
}
