//! `runsc exec`: another process in a running container.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use container::exec::{self, Exec as Request};
use container::spec::{
    capability_bit, check_process, convert_process, parse_with_capabilities,
    warn_of_unknown_capabilities,
};
use control::Process;

use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// A variable for the environment, besides the container's
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// User to run as
    #[arg(long, short, value_name = "UID[:GID]", value_parser = user)]
    user: Option<(u32, u32)>,
    /// Supplementary group
    #[arg(long, short = 'g', value_name = "GID", value_delimiter = ',')]
    additional_gids: Vec<u32>,
    /// Capability to add
    #[arg(long, short, value_name = "CAPABILITY", value_delimiter = ',')]
    cap: Vec<String>,
    /// Give it a terminal for standard input and output
    #[arg(long, short)]
    tty: bool,
    /// Return once it runs
    #[arg(long, short)]
    detach: bool,
    /// File with the process, as JSON
    #[arg(long, short, value_name = "FILE")]
    process: Option<PathBuf>,
    /// File for the process id that stands for it on the host
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// File for its process id in the container
    #[arg(long, value_name = "FILE")]
    internal_pid_file: Option<PathBuf>,
    /// Unix socket that the terminal is sent to
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Allow it in a paused container, where it waits for resume
    #[arg(long)]
    ignore_paused: bool,
    /// Number of further descriptors, from 3 on, for the process
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    preserve_fds: u32,
    /// Unix socket that a descriptor of the process is sent to
    #[arg(long, value_name = "SOCKET")]
    pidfd_socket: Option<PathBuf>,
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", required_unless_present = "process")]
    args: Vec<String>,
}

impl Exec {
    pub(crate) fn run(self, config: &Config) -> Result<u8> {
        let settings = &config.settings;
        let defaults = exec::defaults(settings, &self.id, self.ignore_paused)?;
        let process = match &self.process {
            Some(path) => from_file(path)?,
            None => self.change(defaults)?,
        };
        let request = Request {
            id: &self.id,
            process,
            detach: self.detach,
            pid_file: self.pid_file,
            internal_pid_file: self.internal_pid_file,
            preserve_fds: self.preserve_fds,
            console_socket: self.console_socket,
            pidfd_socket: self.pidfd_socket,
        };
        Ok(exec::exec(settings, request)?)
    }

    /// The container's own process, as the flags change it.
    fn change(&self, defaults: Process) -> Result<Process> {
        let mut process = Process {
            args: self.args.clone(),
            terminal: self.tty,
            ..defaults
        };
        if let Some(cwd) = &self.cwd {
            process.cwd.clone_from(cwd);
        }
        process.env.extend(self.env.iter().cloned());
        if let Some(user) = self.user {
            set_user(&mut process, user);
        }
        process.user.additional_gids.extend(&self.additional_gids);
        add_capabilities(&mut process, &self.cap);
        check_process(&process)?;
        Ok(process)
    }
}

fn from_file(path: &Path) -> Result<Process> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let process = parse_with_capabilities(&text, "/capabilities")
        .with_context(|| format!("cannot parse {}", path.display()))?;
    Ok(convert_process(&process)?)
}

fn add_capabilities(process: &mut Process, names: &[String]) {
    for name in names.iter().map(|name| name.trim()) {
        let Ok(bit) = capability_bit(name) else {
            warn_of_unknown_capabilities([name]);
            continue;
        };
        process.capabilities.bounding |= bit;
        process.capabilities.effective |= bit;
        process.capabilities.permitted |= bit;
    }
}

fn user(text: &str) -> Result<(u32, u32), &'static str> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, ""));
    let parse = |id: &str| id.parse().map_err(|_| "want UID[:GID]");
    Ok((parse(uid)?, if gid.is_empty() { 0 } else { parse(gid)? }))
}

fn set_user(process: &mut Process, (uid, gid): (u32, u32)) {
    process.user.uid = uid;
    process.user.gid = gid;
    process.user.additional_gids.clear();
    if uid != 0 {
        // As execve of a non-root user leaves them (man 7 capabilities).
        process.capabilities.effective = 0;
        process.capabilities.permitted = 0;
    }
}

#[cfg(test)]
mod tests {
    use control::Process;

    use crate::cli::{Command, tests::command};

    #[test]
    fn flags_change_the_init_process() {
        let line =
            "exec -e A=1 --env=B=2 -u 5:6 --additional-gids 7,8 --cap CAP_KILL -t id prog -arg";
        let Command::Exec(exec) = command(line) else {
            panic!("not exec");
        };
        let defaults = Process {
            cwd: "/".into(),
            env: vec!["P=x".into()],
            ..Process::default()
        };
        let process = exec.change(defaults).unwrap();
        assert_eq!(process.args, ["prog", "-arg"]);
        assert_eq!(process.env, ["P=x", "A=1", "B=2"]);
        assert_eq!((process.user.uid, process.user.gid), (5, 6));
        assert_eq!(process.user.additional_gids, [7, 8]);
        assert_eq!(process.capabilities.effective, 1 << 5);
        assert!(process.terminal);
    }
}
