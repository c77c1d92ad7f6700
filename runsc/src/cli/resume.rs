//! `runsc resume`: lets the processes of a paused container run again.

use anyhow::Result;
use container::lifecycle;

use crate::config::Config;

pub(crate) fn run(config: &Config, id: &str) -> Result<u8> {
    lifecycle::set_paused(&config.settings, id, false)?;
    Ok(0)
}
