//! `runsc kill`: sends a signal into a container.

use anyhow::{Result, bail};
use container::{lifecycle, signal};
use control::Target;

use crate::cli::{Command, Invocation};
use crate::flags::{Kind, flag};

pub(crate) const COMMAND: Command = Command {
    name: "kill",
    usage: "[flags] ID [SIGNAL]",
    about: "send a signal to a container, TERM by default",
    flags: &[
        flag(
            "all",
            Kind::Switch,
            "false",
            "send it to every process of the container",
        )
        .or("a"),
        flag(
            "pid",
            Kind::Number,
            "0",
            "send it to the process of this id in the container",
        ),
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let (id, signal) = match invocation.args {
        [id] => (id, signal::TERM),
        [id, signal] => (id, signal::parse(signal)?),
        args => bail!(
            "want a container's id and a signal; got {} arguments",
            args.len()
        ),
    };
    let flags = invocation.flags;
    let target = match (flags.is_set("all"), i32::try_from(flags.number("pid"))) {
        (true, Ok(0)) => Target::All,
        (false, Ok(0)) => Target::Init,
        (false, Ok(pid)) if pid > 0 => Target::Pid(pid),
        (true, Ok(_)) => bail!("-all and -pid exclude each other"),
        _ => bail!("invalid value for -pid"),
    };
    lifecycle::kill(&invocation.config.settings, id, target, signal)?;
    Ok(0)
}
