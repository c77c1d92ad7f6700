//! `runsc resume`: lets the processes of a paused container run again.

use anyhow::Result;
use container::lifecycle::{ask, connect};
use container::state::StateDir;
use control::Request;

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
    let directory = StateDir::new(&invocation.config.settings.root);
    let connection = connect(&directory, &directory.load(id)?)?;
    ask(&connection, &Request::Resume { id: id.to_owned() }, id)?;
    Ok(0)
}
