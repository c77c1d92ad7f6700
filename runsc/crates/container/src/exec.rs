//! `exec`: another process in a running container, and the watcher that stands for it on the host.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use control::{Connection, ExecSpec, LogConfig, Process, Reply, Report, Request};
use host::signal_fd::SignalFd;
use host::spawn::{Child, Namespaces, Spawn, keep_donated, take_donated};
use host::{empty_root, errno, privilege};
use rustix::process::ioctl_tiocsctty;
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use crate::console::{self, Pty, RawTerminal};
use crate::host_user::NOBODY;
use crate::launch::{as_nobody, config_slot, joinable, write_config};
use crate::lifecycle::{self, write_pid_file};
use crate::spec::inherit_limits;
use crate::state::{State, StateDir, Status};
use crate::{ContainerError, Result, Settings, foreground};

/// What `exec` is asked for.
#[derive(Debug)]
pub struct Exec<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Makes the process from the init process's own.
    pub process: Process,
    /// Return once it runs.
    pub detach: bool,
    /// Where to write the watcher's process id.
    pub pid_file: Option<PathBuf>,
    /// Where to write the process's id in the container.
    pub internal_pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on go to the process.
    pub preserve_fds: u32,
    /// Where to send the terminal.
    pub console_socket: Option<PathBuf>,
    /// Where to send a descriptor of the watcher's process.
    pub pidfd_socket: Option<PathBuf>,
}

/// The init process of container `id`: what `exec` takes its defaults from.
///
/// # Errors
/// [`ContainerError::DoesNotExist`], [`ContainerError::WrongState`].
pub fn defaults(settings: &Settings, id: &str, ignore_paused: bool) -> Result<Process> {
    let directory = StateDir::new(&settings.root);
    let state = directory.load(id)?;
    match state.status() {
        Status::Running => Ok(state.process),
        Status::Stopped => Err(lifecycle::not_running(&directory, id)),
        Status::Paused if ignore_paused => Ok(state.process),
        Status::Paused => Err(ContainerError::Paused(id.to_owned())),
        status @ Status::Created => Err(ContainerError::WrongState {
            verb: "execute in",
            id: id.to_owned(),
            status: status.as_str(),
        }),
    }
}

/// Runs it. Returns the exit code: the process's own, or 0 when detached.
///
/// # Errors
/// Of every step.
pub fn exec(settings: &Settings, mut request: Exec<'_>) -> Result<u8> {
    let signals = SignalFd::block_all().map_err(ContainerError::host("receive signals"))?;
    let directory = StateDir::new(&settings.root);
    let state = directory.load(request.id)?;
    let connection = lifecycle::connect(&directory, &state)?;
    let (stdio, pty) = stdio(&mut request)?;
    inherit_limits(&mut request.process);
    let terminal = request.process.terminal && request.console_socket.is_none() && !request.detach;
    let spec = ExecSpec {
        id: request.id.to_owned(),
        process: request.process,
    };
    let preserved = lifecycle::preserved(request.preserve_fds)?;
    let fds: Vec<BorrowedFd<'_>> = stdio.iter().chain(&preserved).map(AsFd::as_fd).collect();
    let _raw = if terminal {
        RawTerminal::new(std::io::stdin().as_fd())?
    } else {
        None
    };
    connection.send(&Request::Exec(Box::new(spec)), &fds)?;
    let Reply::Started { pid } = lifecycle::answer(&connection, request.id)? else {
        return Err(ContainerError::Refused(
            "an answer that does not fit the question".into(),
        ));
    };
    drop((stdio, preserved));
    if let Some(path) = &request.internal_pid_file {
        write_pid_file(path, pid)?;
    }
    if request.detach {
        let watcher = spawn_watcher(settings, &state, connection, pty)?;
        if let Some(path) = &request.pid_file {
            write_pid_file(path, watcher.pid())?;
        }
        if let Some(path) = &request.pidfd_socket {
            console::send_descriptor(path, watcher.pidfd().as_fd(), b"pidfd")?;
        }
        return Ok(0);
    }
    drop(pty);
    if let Some(path) = &request.pid_file {
        write_pid_file(path, i32::try_from(std::process::id()).unwrap_or(0))?;
    }
    foreground::supervise(&signals, &connection, request.id)
}

/// The standard descriptors, and the user end of the terminal if they are a new one.
fn stdio(request: &mut Exec<'_>) -> Result<([OwnedFd; 3], Option<OwnedFd>)> {
    if let Some(socket) = &request.console_socket {
        request.process.terminal = true;
        let pty = Pty::open(None)?;
        pty.send_master(socket)?;
        return Ok((console::thrice(&pty.slave)?, Some(pty.slave)));
    }
    if request.process.terminal && !rustix::termios::isatty(std::io::stdin()) {
        tracing::warn!("a terminal is asked for, but standard input is none: going on without");
        request.process.terminal = false;
    }
    Ok((console::own_stdio()?, None))
}

/// What a watcher is started with.
#[derive(Debug, Serialize, Deserialize)]
pub struct WatchConfig {
    /// The container's id.
    pub id: String,
    /// Where it reports that it is ready.
    pub report: i32,
    /// The control connection whose end kills the process.
    pub connection: i32,
    /// The process's terminal, whose changes of size reach the watcher as its session's leader.
    pub terminal: Option<i32>,
    /// Held until it ends: its user on the host is the container's own.
    pub host_user: Option<i32>,
    /// Logging.
    pub log: LogConfig,
}

fn spawn_watcher(
    settings: &Settings,
    state: &State,
    connection: Connection,
    terminal: Option<OwnedFd>,
) -> Result<Child> {
    let id = &state.id;
    let mut spawn = Spawn::new(["runsc", "watch", id]);
    let (slot, mut fill) = config_slot()?;
    spawn.donate(slot);
    spawn.cgroups(joinable(state.cgroup.as_ref())?);
    as_nobody(&mut spawn, state.user);
    spawn.namespaces(
        Namespaces::USER
            | Namespaces::MOUNT
            | Namespaces::IPC
            | Namespaces::UTS
            | Namespaces::NETWORK,
    );
    let (report, report_end) = Connection::pair()?;
    let file = match &settings.debug_log {
        Some(log) => Some(log.open("watch", id, &crate::clock::now())?),
        None => None,
    };
    let log = LogConfig {
        debug: settings.debug,
        fd: file.map(|file| spawn.donate(file.into())),
        user: None,
        denied: None,
        last_words: None,
    };
    let config = WatchConfig {
        id: id.clone(),
        report: spawn.donate(report_end),
        connection: spawn.donate(connection.into()),
        terminal: terminal.map(|fd| spawn.donate(fd)),
        host_user: state.user.hold()?.map(|fd| spawn.donate(fd)),
        log,
    };
    write_config(&mut fill, &config)?;
    let child = spawn
        .spawn()
        .map_err(ContainerError::host("start the watcher"))?;
    match report.receive::<Report>() {
        Ok(received) if received.message == Report::Ready => Ok(child),
        _ => Err(ContainerError::Child {
            child: "watcher",
            reason: "it ended before it was ready".into(),
        }),
    }
}

/// Reads the configuration that the parent donated.
///
/// # Errors
/// [`ContainerError::Control`] when this is not a child of this program's.
pub fn load_watch_config() -> Result<WatchConfig> {
    Ok(control::read_config(host::spawn::FIRST_DONATED)?)
}

/// What runs as `runsc watch`: stands for one executed process until it ends. Returns its exit code.
///
/// # Errors
/// Of every step.
pub fn watch(config: &WatchConfig) -> Result<u8> {
    let step = ContainerError::host;
    let report = Connection::new(take_donated(config.report).map_err(step("take a socket"))?);
    let connection =
        Connection::new(take_donated(config.connection).map_err(step("take a socket"))?);
    let _ = config.host_user.and_then(keep_donated);
    let signals = SignalFd::block_all().map_err(step("receive signals"))?;
    if let Some(terminal) = config.terminal {
        // It leads a session that has this terminal, without keeping the terminal open.
        let terminal = take_donated(terminal).map_err(step("take the terminal"))?;
        ioctl_tiocsctty(&terminal).map_err(|e| step("lead the terminal's session")(errno(e)))?;
    }
    let _ = rustix::thread::set_name(c"runsc-watch");
    // It needs nothing of the host but what it holds.
    empty_root::enter().map_err(step("enter an empty root"))?;
    privilege::become_user(NOBODY, NOBODY).map_err(step("become nobody"))?;
    privilege::limit_capabilities(CapabilitySet::empty()).map_err(step("give up capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| step("set no_new_privs")(errno(e)))?;
    let refused = |error: seccomp::FilterError| ContainerError::Refused(error.to_string());
    host::denied_call::install_handler(config.log.denied_report("watcher"))
        .map_err(step("handle SIGSYS"))?;
    seccomp::Filter::new(seccomp::watcher::ENTRIES, &[])
        .map_err(refused)?
        .install()
        .map_err(refused)?;
    report.send(&Report::Ready, &[])?;
    drop(report);
    foreground::supervise(&signals, &connection, &config.id)
}
