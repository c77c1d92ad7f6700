//! `runsc create`: a container whose sandbox runs and has loaded nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use container::bundle::Bundle;
use container::lifecycle::{self, Create};

use crate::cli::{Command, Invocation};
use crate::flags::{Flag, Kind, Values, flag, ignored};

/// The flags that `create` and `run` share.
pub(crate) const BUNDLE: Flag = flag("bundle", Kind::Text, ".", "directory of the bundle").or("b");
pub(crate) const CONSOLE_SOCKET: Flag = flag(
    "console-socket",
    Kind::Text,
    "",
    "unix socket that the terminal is sent to",
);
pub(crate) const PID_FILE: Flag = flag(
    "pid-file",
    Kind::Text,
    "",
    "file to write the sandbox's process id to",
);
pub(crate) const USER_LOG: Flag = flag(
    "user-log",
    Kind::Text,
    "",
    "file for messages to the container's user: calls that are refused, sockets out of reach, processes killed for want of memory",
);
pub(crate) const PIDFD_SOCKET: Flag = flag(
    "pidfd-socket",
    Kind::Text,
    "",
    "unix socket that a descriptor of the process is sent to",
);
pub(crate) const PRESERVE_FDS: Flag = flag(
    "preserve-fds",
    Kind::Number,
    "0",
    "number of further descriptors, from 3 on, for the container",
);

pub(crate) const COMMAND: Command = Command {
    name: "create",
    usage: "[flags] ID",
    about: "create a container, without starting its program",
    flags: &[
        BUNDLE,
        CONSOLE_SOCKET,
        PID_FILE,
        USER_LOG,
        PRESERVE_FDS,
        ignored("no-pivot", Kind::Switch),
        ignored("no-new-keyring", Kind::Switch),
        PIDFD_SOCKET,
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    create_detached(invocation, id)?;
    Ok(0)
}

/// Creates a container that outlives this command.
pub(crate) fn create_detached(invocation: &Invocation<'_>, id: &str) -> Result<()> {
    let bundle = Bundle::load(Path::new(invocation.flags.text("bundle")))?;
    let request = request(invocation.flags, id, &bundle, false)?;
    let mut created = lifecycle::create(&invocation.config.settings, request)?;
    created.launched.detach()?;
    Ok(())
}

/// What the flags ask for.
pub(crate) fn request<'a>(
    flags: &Values,
    id: &'a str,
    bundle: &'a Bundle,
    foreground: bool,
) -> Result<Create<'a>> {
    let path = |name: &str| flags.nonempty(name).map(PathBuf::from);
    let preserve_fds =
        u32::try_from(flags.number("preserve-fds")).context("invalid value for -preserve-fds")?;
    Ok(Create {
        id,
        bundle,
        pid_file: path("pid-file"),
        console_socket: path("console-socket"),
        pidfd_socket: path("pidfd-socket"),
        preserve_fds,
        user_log: path("user-log"),
        notify_socket: std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()),
        foreground,
    })
}
