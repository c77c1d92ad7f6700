//! `runsc flags`: every global flag.

use anyhow::Result;

use crate::cli::{Command, Invocation, print};
use crate::config::FLAGS;
use crate::flags::describe;

pub(crate) const COMMAND: Command = Command {
    name: "flags",
    usage: "",
    about: "describe the global flags",
    flags: &[],
    run,
};

fn run(_invocation: &Invocation<'_>) -> Result<u8> {
    print(&describe(FLAGS));
    Ok(0)
}
