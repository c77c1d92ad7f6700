//! `runsc exec`: another process in a running container.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use container::exec::{self, Exec};
use container::spec::{
    capability_bit, check_process, convert_process, parse_with_capabilities,
    warn_of_unknown_capabilities,
};
use control::Process;

use crate::cli::create::{PIDFD_SOCKET, PRESERVE_FDS, USER_LOG};
use crate::cli::{Command, Invocation};
use crate::flags::{Kind, Values, flag, ignored};

pub(crate) const COMMAND: Command = Command {
    name: "exec",
    usage: "[flags] ID COMMAND [ARGUMENT…]",
    about: "run another process in a container",
    flags: &[
        flag("cwd", Kind::Text, "", "working directory"),
        flag(
            "env",
            Kind::List,
            "",
            "NAME=value, added to the container's environment",
        )
        .or("e"),
        flag("user", Kind::Text, "", "UID[:GID]").or("u"),
        flag("additional-gids", Kind::List, "", "supplementary group").or("g"),
        flag("cap", Kind::List, "", "capability to add").or("c"),
        flag(
            "tty",
            Kind::Switch,
            "false",
            "its standard input and output are a terminal",
        )
        .or("t"),
        flag("detach", Kind::Switch, "false", "return once it runs").or("d"),
        flag("process", Kind::Text, "", "file with the process, as JSON").or("p"),
        flag(
            "pid-file",
            Kind::Text,
            "",
            "file for the process id that stands for it on the host",
        ),
        flag(
            "internal-pid-file",
            Kind::Text,
            "",
            "file for its process id in the container",
        ),
        flag(
            "console-socket",
            Kind::Text,
            "",
            "unix socket that the terminal is sent to",
        ),
        flag(
            "ignore-paused",
            Kind::Switch,
            "false",
            "allow it in a paused container, where it waits for resume",
        ),
        ignored("apparmor", Kind::Text),
        ignored("process-label", Kind::Text),
        ignored("no-new-privs", Kind::Switch),
        PRESERVE_FDS,
        USER_LOG,
        ignored("cgroup", Kind::Text),
        PIDFD_SOCKET,
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let Some((id, args)) = invocation.args.split_first() else {
        bail!("want a container's id and a command");
    };
    let settings = &invocation.config.settings;
    let flags = invocation.flags;
    let defaults = exec::defaults(settings, id, flags.is_set("ignore-paused"))?;
    let process = match flags.nonempty("process") {
        Some(path) => from_file(path)?,
        None => from_flags(flags, defaults, args)?,
    };
    let path = |name: &str| flags.nonempty(name).map(PathBuf::from);
    let request = Exec {
        id,
        process,
        detach: flags.is_set("detach"),
        pid_file: path("pid-file"),
        internal_pid_file: path("internal-pid-file"),
        preserve_fds: u32::try_from(flags.number("preserve-fds"))
            .context("invalid value for -preserve-fds")?,
        console_socket: path("console-socket"),
        pidfd_socket: path("pidfd-socket"),
    };
    Ok(exec::exec(settings, request)?)
}

fn from_file(path: &str) -> Result<Process> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    let process = parse_with_capabilities(&text, "/capabilities")
        .with_context(|| format!("cannot parse {path}"))?;
    Ok(convert_process(&process)?)
}

fn from_flags(flags: &Values, defaults: Process, args: &[String]) -> Result<Process> {
    if args.is_empty() {
        bail!("want a container's id and a command");
    }
    let mut process = Process {
        args: args.to_vec(),
        terminal: flags.is_set("tty"),
        ..defaults
    };
    if let Some(cwd) = flags.nonempty("cwd") {
        cwd.clone_into(&mut process.cwd);
    }
    process.env.extend(flags.list("env").iter().cloned());
    if let Some(user) = flags.nonempty("user") {
        set_user(&mut process, user)?;
    }
    for gid in flags
        .list("additional-gids")
        .iter()
        .flat_map(|gids| gids.split(','))
    {
        let gid = gid
            .trim()
            .parse()
            .with_context(|| format!("invalid group {gid:?}"))?;
        process.user.additional_gids.push(gid);
    }
    add_capabilities(&mut process, flags.list("cap"));
    check_process(&process)?;
    Ok(process)
}

fn add_capabilities(process: &mut Process, lists: &[String]) {
    let names = lists.iter().flat_map(|names| names.split(','));
    for name in names.map(str::trim) {
        let Ok(bit) = capability_bit(name) else {
            warn_of_unknown_capabilities([name]);
            continue;
        };
        process.capabilities.bounding |= bit;
        process.capabilities.effective |= bit;
        process.capabilities.permitted |= bit;
    }
}

fn set_user(process: &mut Process, text: &str) -> Result<()> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, ""));
    let parse = |id: &str| {
        id.parse()
            .with_context(|| format!("invalid user {text:?}: want UID[:GID]"))
    };
    process.user.uid = parse(uid)?;
    process.user.gid = if gid.is_empty() { 0 } else { parse(gid)? };
    process.user.additional_gids.clear();
    if process.user.uid != 0 {
        // As execve of a non-root user leaves them (man 7 capabilities).
        process.capabilities.effective = 0;
        process.capabilities.permitted = 0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use control::Process;

    use super::{COMMAND, from_flags};
    use crate::flags::parse;

    #[test]
    fn flags_change_the_init_process() {
        let args: Vec<String> =
            "-e A=1 --env=B=2 -u 5:6 --additional-gids 7,8 --cap CAP_KILL -t id prog arg"
                .split(' ')
                .map(ToOwned::to_owned)
                .collect();
        let (flags, rest) = parse(COMMAND.flags, &args).unwrap();
        let defaults = Process {
            cwd: "/".into(),
            env: vec!["P=x".into()],
            ..Process::default()
        };
        let process = from_flags(&flags, defaults, &rest[1..]).unwrap();
        assert_eq!(process.args, ["prog", "arg"]);
        assert_eq!(process.env, ["P=x", "A=1", "B=2"]);
        assert_eq!((process.user.uid, process.user.gid), (5, 6));
        assert_eq!(process.user.additional_gids, [7, 8]);
        assert_eq!(process.capabilities.effective, 1 << 5);
        assert!(process.terminal);
    }
}
