//! `runsc delete`: removes containers, whatever is left of them.

use anyhow::{Result, bail};
use container::lifecycle;

use crate::cli::{Command, Invocation};
use crate::flags::{Kind, flag};

pub(crate) const COMMAND: Command = Command {
    name: "delete",
    usage: "[flags] ID…",
    about: "delete containers",
    flags: &[flag("force", Kind::Switch, "false", "kill a container that runs").or("f")],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    if invocation.args.is_empty() {
        bail!("want at least one container's id");
    }
    let force = invocation.flags.is_set("force");
    for id in invocation.args {
        lifecycle::delete(&invocation.config.settings, id, force)?;
    }
    Ok(0)
}
