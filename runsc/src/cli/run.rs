//! `runsc run`: create, start, wait and delete in one command.

use std::path::Path;

use anyhow::Result;
use container::bundle::Bundle;
use container::{foreground, lifecycle};

use crate::cli::create::{
    BUNDLE, CONSOLE_SOCKET, PID_FILE, PIDFD_SOCKET, PRESERVE_FDS, USER_LOG, create_detached,
    request,
};
use crate::cli::{Command, Invocation};
use crate::flags::{Kind, flag, ignored};

pub(crate) const COMMAND: Command = Command {
    name: "run",
    usage: "[flags] ID",
    about: "create and start a container, and wait for its end",
    flags: &[
        BUNDLE,
        CONSOLE_SOCKET,
        PID_FILE,
        USER_LOG,
        PRESERVE_FDS,
        PIDFD_SOCKET,
        flag("detach", Kind::Switch, "false", "return once it runs").or("d"),
        ignored("no-pivot", Kind::Switch),
        ignored("no-new-keyring", Kind::Switch),
        ignored("keep", Kind::Switch),
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    let settings = &invocation.config.settings;
    if invocation.flags.is_set("detach") {
        create_detached(invocation, id)?;
        if let Err(error) = lifecycle::start(settings, id) {
            // It was never seen to run: nothing of it may stay.
            let _ = lifecycle::delete(settings, id, true);
            return Err(error.into());
        }
        return Ok(0);
    }
    let bundle = Bundle::load(Path::new(invocation.flags.text("bundle")))?;
    let request = request(invocation.flags, id, &bundle, true)?;
    Ok(foreground::run(settings, request)?)
}
