//! `runsc pause`: stops every process of a container until resume.

use anyhow::Result;
use container::lifecycle;

use crate::cli::{Command, Invocation};

pub(crate) const COMMAND: Command = Command {
    name: "pause",
    usage: "ID",
    about: "stop every process of a container",
    flags: &[],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    lifecycle::set_paused(&invocation.config.settings, id, true)?;
    Ok(0)
}
