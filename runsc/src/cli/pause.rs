//! `runsc pause`: stops every process of a container until resume.

use anyhow::Result;
use container::lifecycle::{ask, connect};
use container::state::StateDir;
use control::Request;

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
    let directory = StateDir::new(&invocation.config.settings.root);
    let connection = connect(&directory, &directory.load(id)?)?;
    ask(&connection, &Request::Pause { id: id.to_owned() }, id)?;
    Ok(0)
}
