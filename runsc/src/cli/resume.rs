//! `runsc resume`: lets the processes of a paused container run again.

use anyhow::Result;
use container::lifecycle;

use crate::cli::{Command, Invocation};

pub(crate) const COMMAND: Command = Command {
    name: "resume",
    usage: "ID",
    about: "let the processes of a paused container run again",
    flags: &[],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    lifecycle::set_paused(&invocation.config.settings, id, false)?;
    Ok(0)
}
