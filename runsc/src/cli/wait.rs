//! `runsc wait`: waits for a process of a container.

use anyhow::{Context, Result};
use container::lifecycle;
use serde_json::json;

use crate::cli::{Command, Invocation, print};
use crate::flags::{Kind, flag};

pub(crate) const COMMAND: Command = Command {
    name: "wait",
    usage: "[flags] ID",
    about: "wait for the end of a container, or of a process in it",
    flags: &[
        flag(
            "pid",
            Kind::Number,
            "0",
            "wait for the process of this id in the container",
        ),
        flag(
            "rootpid",
            Kind::Number,
            "0",
            "the same, the id being the sandbox's own",
        ),
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    let number = |name| i32::try_from(invocation.flags.number(name)).context("invalid process id");
    let pid = [number("pid")?, number("rootpid")?]
        .into_iter()
        .find(|pid| *pid != 0);
    let status = lifecycle::wait(&invocation.config.settings, id, pid)?;
    print(&format!("{}\n", json!({ "id": id, "exitStatus": status })));
    Ok(0)
}
