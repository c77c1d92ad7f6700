//! `runsc start`: runs the program of a created container.

use anyhow::Result;
use container::lifecycle;

use crate::cli::{Command, Invocation};

pub(crate) const COMMAND: Command = Command {
    name: "start",
    usage: "ID",
    about: "start the program of a created container",
    flags: &[],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    lifecycle::start(&invocation.config.settings, invocation.only_id()?)?;
    Ok(0)
}
