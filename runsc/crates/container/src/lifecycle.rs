//! The verbs: create, start, kill, delete, wait. Each locks the container's state while it changes it.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::{Connection, Endpoint, FailureKind, Limits, Reply, Request, StartHook, Target};
use host::errno;
use host::spawn::take_donated;
use oci_spec::runtime::{Hook, LinuxResources};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{geteuid, getuid};

use crate::bundle::Bundle;
use crate::cgroups::{Cgroup, Place};
use crate::console::{self, Pty};
use crate::host_user::Claim;
use crate::launch::{Launched, Plan, launch};
use crate::process_ref::ProcessRef;
use crate::spec::Resolved;
use crate::state::{Lock, State, StateDir, Status, write_atomically};
use crate::{
    ContainerError, Result, Settings, clock, hooks, id, mount_points, notices, notify, program,
    signal, spec,
};

/// How long a killed process may take to be gone.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a sandbox may take to say that it kills its container, before the host kills the sandbox.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the processes of a container that could not be started may take to be gone.
const FAILED_TIMEOUT: Duration = Duration::from_secs(2);

/// What `create` is asked for.
#[derive(Debug)]
pub struct Create<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its bundle.
    pub bundle: &'a Bundle,
    /// Where to write the sandbox's process id.
    pub pid_file: Option<PathBuf>,
    /// Where to send the terminal.
    pub console_socket: Option<PathBuf>,
    /// Where to send a descriptor of the sandbox's process.
    pub pidfd_socket: Option<PathBuf>,
    /// How many descriptors from 3 on go to the guest.
    pub preserve_fds: u32,
    /// File for messages to the container's user.
    pub user_log: Option<PathBuf>,
    /// The service manager's socket (`NOTIFY_SOCKET`).
    pub notify_socket: Option<OsString>,
    /// The caller stays, and its terminal is the container's.
    pub foreground: bool,
}

/// A container just created.
#[derive(Debug)]
pub struct Created {
    /// Its state, saved.
    pub state: State,
    /// Its processes.
    pub launched: Launched,
}

/// Creates a container: its sandbox runs and has loaded nothing.
///
/// # Errors
/// Of every step; then nothing is left of it.
pub fn create(settings: &Settings, request: Create<'_>) -> Result<Created> {
    let directory = StateDir::new(&settings.root);
    id::validate(request.id)?;
    directory.create()?;
    let lock = directory.lock(request.id)?;
    if directory.exists(request.id) {
        return Err(ContainerError::AlreadyExists(request.id.to_owned()));
    }
    remove_noted(&directory, request.id);
    let endpoint = Endpoint::new(directory.path(), request.id)
        .map_err(ContainerError::host("open the state directory"))?;
    let made = create_locked(settings, &directory, &endpoint, &request, &lock);
    if made.is_err() {
        let _ = endpoint.remove();
        let _ = directory.remove(request.id, lock);
    }
    made
}

fn create_locked(
    settings: &Settings,
    directory: &StateDir,
    endpoint: &Endpoint,
    request: &Create<'_>,
    lock: &Lock,
) -> Result<Created> {
    let bundle = request.bundle;
    let mut resolved = spec::resolve(request.id, bundle, settings)?;
    let socket = request.notify_socket.as_deref();
    let notify = socket.and_then(|socket| notify::pass_on(socket, &mut resolved.container));
    program::check(&resolved.container, bundle.rootfs())?;
    mount_points::make(&resolved.container, bundle.rootfs());
    let cgroup = make_cgroup(settings, directory, request, lock)?;
    let made = create_in(
        cgroup.as_ref(),
        (resolved, notify),
        settings,
        directory,
        endpoint,
        request,
        lock,
    );
    if let (Err(_), Some(cgroup)) = (&made, &cgroup) {
        // Its processes have ended: whoever made them has let go of them.
        let _ = cgroup.remove();
    }
    made
}

fn make_cgroup(
    settings: &Settings,
    directory: &StateDir,
    request: &Create<'_>,
    lock: &Lock,
) -> Result<Option<Cgroup>> {
    if settings.ignore_cgroups {
        return Ok(None);
    }
    let linux = request.bundle.spec().linux().as_ref();
    let place = Place {
        path: linux.and_then(|linux| linux.cgroups_path().as_deref()),
        id: request.id,
        systemd: settings.systemd_cgroup,
        lenient: !geteuid().is_root(),
    };
    directory.note_groups(request.id, &Cgroup::planned(&place)?, lock)?;
    Cgroup::create(&place, linux.and_then(|linux| linux.resources().as_ref()))
}

fn create_in(
    cgroup: Option<&Cgroup>,
    (mut resolved, notify): (Resolved, Option<OwnedFd>),
    settings: &Settings,
    directory: &StateDir,
    endpoint: &Endpoint,
    request: &Create<'_>,
    lock: &Lock,
) -> Result<Created> {
    let bundle = request.bundle;
    let stdio = stdio(request, &mut resolved.container.process)?;
    let process = resolved.container.process.clone();
    // Those of whoever executes another process may be others: they are not kept.
    spec::inherit_limits(&mut resolved.container.process);
    resolved.container.group_files = cgroup.map(Cgroup::shown).unwrap_or_default();
    let claim = Claim::new()?;
    let plan = Plan {
        user: claim.user(),
        id: request.id,
        bundle,
        resolved,
        settings,
        stdio,
        preserved: preserved(request.preserve_fds)?,
        user_log: request.user_log.as_deref().map(appended).transpose()?,
        foreground: request.foreground,
        notify,
        control: endpoint
            .listen()
            .map_err(ContainerError::host("make the control socket"))?,
        cgroup,
    };
    let launched = launch(plan)?;
    let spec_hooks = bundle.spec().hooks().clone().unwrap_or_default();
    let state = State {
        version: State::version(),
        id: request.id.to_owned(),
        oci_version: bundle.spec().version().clone(),
        bundle: bundle.directory().to_owned(),
        rootfs: bundle.rootfs().to_owned(),
        created: clock::now().rfc3339(),
        owner: owner(),
        annotations: bundle
            .spec()
            .annotations()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        started: false,
        sandbox: ProcessRef::of(launched.sandbox().pid()),
        gofer: ProcessRef::of(launched.gofer().pid()),
        user: claim.user(),
        process,
        cgroup: cgroup.cloned(),
        paused: false,
        hooks: hooks::saved(&spec_hooks),
        notices: notices::of_spec(bundle.spec()),
    };
    if let Err(error) = hooks::run_at_create(&spec_hooks, &state) {
        // The specification: the container is stopped and goes on to its end, of which poststop is part.
        drop(launched);
        hooks::run_each(&state.hooks.poststop, &state, "stopped");
        return Err(error);
    }
    if let Some(path) = &request.pid_file {
        write_pid_file(path, launched.sandbox().pid())?;
    }
    if let Some(path) = &request.pidfd_socket {
        console::send_descriptor(path, launched.sandbox().pidfd().as_fd(), b"pidfd")?;
    }
    directory.save(&state, lock)?;
    Ok(Created { state, launched })
}

/// Writes a process id as engines read it: a bare decimal.
///
/// # Errors
/// [`ContainerError::Path`].
pub fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    write_atomically(path, pid.to_string().as_bytes(), 0o644)
}

fn stdio(request: &Create<'_>, process: &mut control::Process) -> Result<[OwnedFd; 3]> {
    if let Some(socket) = &request.console_socket {
        if !process.terminal {
            return Err(ContainerError::Spec(
                "--console-socket is given, but process.terminal is false".into(),
            ));
        }
        let pty = Pty::open(console_size(request.bundle))?;
        pty.send_master(socket)?;
        return console::thrice(&pty.slave);
    }
    if process.terminal && !request.foreground {
        return Err(ContainerError::Spec(
            "process.terminal is true, but there is no --console-socket to send the terminal to"
                .into(),
        ));
    }
    if process.terminal && !rustix::termios::isatty(std::io::stdin()) {
        tracing::warn!(
            "process.terminal is true, but standard input is no terminal: going on without"
        );
        process.terminal = false;
    }
    console::own_stdio()
}

/// Opens a log.
fn appended(path: &Path) -> Result<OwnedFd> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map(OwnedFd::from)
        .map_err(ContainerError::path("open", path))
}

fn console_size(bundle: &Bundle) -> Option<(u16, u16)> {
    let size = bundle.spec().process().as_ref()?.console_size()?;
    Some((
        u16::try_from(size.width()).ok()?,
        u16::try_from(size.height()).ok()?,
    ))
}

pub(crate) fn preserved(count: u32) -> Result<Vec<OwnedFd>> {
    (0..count)
        .map(|index| {
            let number = i32::try_from(index).unwrap_or(i32::MAX).saturating_add(3);
            take_donated(number).map_err(ContainerError::host("preserve a descriptor"))
        })
        .collect()
}

fn owner() -> String {
    let uid = getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let field = |line: &str, n: usize| line.split(':').nth(n).map(ToOwned::to_owned);
    passwd
        .lines()
        .find(|line| field(line, 2).and_then(|id| id.parse().ok()) == Some(uid))
        .and_then(|line| field(line, 0))
        .unwrap_or_else(|| uid.to_string())
}

/// Starts the init process of a created container.
///
/// # Errors
/// [`ContainerError::WrongState`], and the kernel's own reason.
pub fn start(settings: &Settings, id: &str) -> Result<()> {
    let directory = StateDir::new(&settings.root);
    let lock = directory.lock_existing(id)?;
    let mut state = directory.load(id)?;
    let status = state.status();
    if status != Status::Created {
        return Err(ContainerError::WrongState {
            verb: "start",
            id: id.to_owned(),
            status: status.as_str(),
        });
    }
    if state.process.args.is_empty() {
        return Err(spec::invalid(
            "process is missing: there is nothing to start",
        ));
    }
    let connection = connect(&directory, &state)?;
    let request = Request::Start {
        id: id.to_owned(),
        hooks: start_hooks(&state),
        notices: state
            .notices
            .iter()
            .cloned()
            .chain(notices::of_network(settings.network, state.sandbox.pid))
            .collect(),
    };
    let files = hooks::files_inside(&state)?;
    let files: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    connection.send(&request, &files).map_err(gone(id))?;
    answer(&connection, id).inspect_err(|_| wait_for_failed(&state))?;
    state.started = true;
    directory.save(&state, &lock)?;
    hooks::run_each(&state.hooks.poststart, &state, "running");
    Ok(())
}

/// A start that failed ends the sandbox. An engine deletes what it knows to have ended, so it must not learn of
/// the failure before whoever waits for the sandbox has learned of its end.
fn wait_for_failed(state: &State) {
    for process in [&state.sandbox, &state.gofer] {
        if let Err(error) = process.wait_until_reaped(FAILED_TIMEOUT) {
            tracing::warn!("after the failed start: {error}");
        }
    }
}

/// The hooks that belong inside the container, where they run as its init process would.
fn start_hooks(state: &State) -> Vec<StartHook> {
    let convert = |hook: &Hook| StartHook {
        path: hook.path().to_string_lossy().into_owned(),
        args: hook.args().clone().unwrap_or_default(),
        env: hook.env().clone().unwrap_or_default(),
        timeout_s: hook.timeout().and_then(|s| u64::try_from(s).ok()),
    };
    state.hooks.start_container.iter().map(convert).collect()
}

/// Connects to the sandbox of `state`.
///
/// # Errors
/// [`ContainerError::NotRunning`].
pub fn connect(directory: &StateDir, state: &State) -> Result<Connection> {
    let gone = |_| ContainerError::NotRunning(state.id.clone());
    if state.status() == Status::Stopped {
        return Err(not_running(directory, &state.id));
    }
    Endpoint::new(directory.path(), &state.id)
        .and_then(|endpoint| endpoint.connect())
        .map_err(gone)
}

/// That a container has ended, having said why.
pub(crate) fn not_running(directory: &StateDir, id: &str) -> ContainerError {
    tell_last_words(directory, id);
    ContainerError::NotRunning(id.to_owned())
}

/// Says why a container's processes ended, where nobody was told when they did.
pub fn tell_last_words(directory: &StateDir, id: &str) {
    if let Some(words) = directory.last_words(id) {
        tracing::warn!("{words}");
    }
}

/// Sends a request and waits for its answer.
///
/// # Errors
/// The answer's, in the words that engines look for.
pub fn ask(connection: &Connection, request: &Request, id: &str) -> Result<Reply> {
    connection.send(request, &[]).map_err(gone(id))?;
    answer(connection, id)
}

/// Waits for the next answer.
///
/// # Errors
/// The answer's.
pub fn answer(connection: &Connection, id: &str) -> Result<Reply> {
    match connection.receive::<Reply>().map_err(gone(id))?.message {
        Reply::Failed { kind, reason } => Err(match kind {
            FailureKind::NoSuchContainer => ContainerError::DoesNotExist(id.to_owned()),
            FailureKind::NoSuchProcess => ContainerError::NoSuchProcess(reason),
            FailureKind::Program => ContainerError::Program(reason),
            FailureKind::WrongState | FailureKind::Failed => ContainerError::Refused(reason),
        }),
        reply => Ok(reply),
    }
}

fn gone(id: &str) -> impl FnOnce(control::ConnectionError) -> ContainerError {
    let id = id.to_owned();
    move |error| match error {
        control::ConnectionError::Closed => ContainerError::NotRunning(id),
        error => error.into(),
    }
}

/// Sends a signal.
///
/// # Errors
/// [`ContainerError::NotRunning`] when the container has ended.
pub fn kill(settings: &Settings, id: &str, target: Target, number: i32) -> Result<()> {
    let directory = StateDir::new(&settings.root);
    let state = directory.load(id)?;
    let connection = connect(&directory, &state)?;
    let request = Request::Signal {
        id: id.to_owned(),
        target,
        signal: number,
    };
    let is_kill = number == signal::KILL;
    connection.send(&request, &[]).map_err(gone(id))?;
    if is_kill && !matches!(target, Target::Pid(_)) && !answers(&connection, KILL_TIMEOUT)? {
        tracing::warn!("the sandbox of {id} does not answer: the host kills it");
        state.cgroup.iter().for_each(Cgroup::thaw);
        return state.sandbox.kill();
    }
    match answer(&connection, id) {
        // A killed sandbox may be gone before its answer is read.
        Err(ContainerError::NotRunning(_)) if is_kill => Ok(()),
        answered => answered.map(drop),
    }
}

/// Whether there is something to receive within `timeout`, be it the end of the connection.
fn answers(connection: &Connection, timeout: Duration) -> Result<bool> {
    let timeout = Timespec::try_from(timeout).ok();
    let mut polled = [PollFd::new(connection, PollFlags::IN)];
    match poll(&mut polled, timeout.as_ref()) {
        Ok(nr_ready) => Ok(nr_ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(ContainerError::host("wait for an answer")(errno(error))),
    }
}

/// Stops every process of a container, or lets them run again.
///
/// # Errors
/// [`ContainerError::WrongState`] when it does not run, or is not paused.
pub fn set_paused(settings: &Settings, id: &str, paused: bool) -> Result<()> {
    let directory = StateDir::new(&settings.root);
    let lock = directory.lock_existing(id)?;
    let mut state = directory.load(id)?;
    let (verb, wanted) = if paused {
        ("pause", Status::Running)
    } else {
        ("resume", Status::Paused)
    };
    match state.status() {
        Status::Stopped => return Err(not_running(&directory, id)),
        status if status == wanted => {}
        status => {
            return Err(ContainerError::WrongState {
                verb,
                id: id.to_owned(),
                status: status.as_str(),
            });
        }
    }
    let connection = connect(&directory, &state)?;
    let id = id.to_owned();
    let request = if paused {
        Request::Pause { id: id.clone() }
    } else {
        Request::Resume { id: id.clone() }
    };
    ask(&connection, &request, &id)?;
    state.paused = paused;
    directory.save(&state, &lock)
}

/// Changes the limits of a container that has not ended.
///
/// # Errors
/// [`ContainerError::Cgroup`] and the kernel's own reason.
pub fn update(settings: &Settings, id: &str, resources: &LinuxResources) -> Result<()> {
    let directory = StateDir::new(&settings.root);
    let lock = directory.lock_existing(id)?;
    let mut state = directory.load(id)?;
    let connection = connect(&directory, &state)?;
    let sandbox = state.sandbox.pid;
    match &mut state.cgroup {
        Some(cgroup) => {
            let updated = cgroup.update(resources, sandbox);
            directory.save(&state, &lock)?;
            updated?;
        }
        None => tracing::warn!("without control groups, only limits of the kernel's own change"),
    }
    let limit = |value: Option<i64>| {
        let value = value.filter(|value| *value != 0);
        value.map(|value| u64::try_from(value).unwrap_or(u64::MAX))
    };
    let limits = Limits {
        memory_bytes: limit(
            resources
                .memory()
                .as_ref()
                .and_then(|memory| memory.limit()),
        ),
        pids: limit(resources.pids().as_ref().map(|pids| pids.limit())),
        cpu: spec::cpu_limits(resources.cpu().as_ref()),
        group_files: state.cgroup.as_ref().map(Cgroup::shown).unwrap_or_default(),
    };
    let request = Request::Update {
        id: id.to_owned(),
        limits,
    };
    ask(&connection, &request, id).map(drop)
}

/// Deletes a container, whatever is left of it.
///
/// # Errors
/// [`ContainerError::NotStopped`] when it runs and `force` is false.
pub fn delete(settings: &Settings, id: &str, force: bool) -> Result<()> {
    let directory = StateDir::new(&settings.root);
    id::validate(id)?;
    let lock = match directory.lock_existing(id) {
        Err(ContainerError::DoesNotExist(_)) if directory.noted_groups(id).is_some() => {
            return delete_unfinished(&directory, id);
        }
        Err(ContainerError::DoesNotExist(_)) if force => return Ok(()),
        lock => lock?,
    };
    let state = match directory.load(id) {
        Err(error) if force => {
            tracing::warn!("the state of {id} is deleted unread: {error}");
            return delete_unread(&directory, id, lock);
        }
        state => state?,
    };
    if matches!(state.status(), Status::Running | Status::Paused) && !force {
        return Err(ContainerError::NotStopped(id.to_owned()));
    }
    tell_last_words(&directory, id);
    end_processes(&state)?;
    if let Some(cgroup) = &state.cgroup
        && let Err(error) = cgroup.remove()
    {
        // Someone else's process lives in it: the container is gone all the same.
        tracing::warn!("{error}");
    }
    if let Ok(endpoint) = Endpoint::new(directory.path(), id) {
        endpoint
            .remove()
            .map_err(ContainerError::host("remove the control socket"))?;
    }
    directory.remove(id, lock)?;
    hooks::run_each(&state.hooks.poststop, &state, "stopped");
    Ok(())
}

/// Kills the sandbox and the gofer, neither of which may have to wait for the other, and waits until both are gone.
fn end_processes(state: &State) -> Result<()> {
    state.cgroup.iter().for_each(Cgroup::thaw);
    let processes = [&state.sandbox, &state.gofer];
    processes.iter().try_for_each(|process| process.kill())?;
    processes.iter().try_for_each(|process| {
        let ended = process.wait_for_end(END_TIMEOUT);
        ended.inspect_err(|_| tracing::error!("killed, but still there: {}", process.describe()))
    })
}

/// Deletes what was left when the `create` of a container was killed.
fn delete_unfinished(directory: &StateDir, id: &str) -> Result<()> {
    let lock = directory.lock(id)?;
    // It was being created until now, or is deleted already: neither is ours to touch.
    if directory.exists(id) {
        return Err(ContainerError::NotStopped(id.to_owned()));
    }
    remove_noted(directory, id);
    if let Ok(endpoint) = Endpoint::new(directory.path(), id) {
        endpoint
            .remove()
            .map_err(ContainerError::host("remove the control socket"))?;
    }
    directory.remove(id, lock)
}

/// Removes the control groups of a container that has no state, once its processes have ended.
fn remove_noted(directory: &StateDir, id: &str) {
    if let Some(groups) = directory.noted_groups(id)
        && let Err(error) = groups.remove()
    {
        tracing::warn!("{error}");
    }
}

/// Deletes a container whose state can't be read: its sandbox, if it lives, is found by its socket.
fn delete_unread(directory: &StateDir, id: &str, lock: Lock) -> Result<()> {
    if let Ok(endpoint) = Endpoint::new(directory.path(), id) {
        if let Ok(connection) = endpoint.connect() {
            let kill = Request::Signal {
                id: id.to_owned(),
                target: Target::Init,
                signal: signal::KILL,
            };
            // Its end is what matters, not that it can still answer.
            let _ = ask(&connection, &kill, id);
        }
        endpoint
            .remove()
            .map_err(ContainerError::host("remove the control socket"))?;
    }
    remove_noted(directory, id);
    directory.remove(id, lock)
}

/// Waits for a process of the container to end: its init process, or the guest process `pid`.
///
/// # Errors
/// [`ContainerError::NotRunning`] when the container has ended.
pub fn wait(settings: &Settings, id: &str, pid: Option<i32>) -> Result<u8> {
    let directory = StateDir::new(&settings.root);
    let state = directory.load(id)?;
    let connection = connect(&directory, &state)?;
    match ask(
        &connection,
        &Request::Wait {
            id: id.to_owned(),
            pid,
        },
        id,
    )? {
        Reply::Exited { status } => Ok(status),
        _ => Err(ContainerError::Refused(
            "an answer that does not fit the question".into(),
        )),
    }
}

/// Opens `/dev/null` for a process without input and output.
///
/// # Errors
/// [`ContainerError::Path`].
pub fn null() -> Result<OwnedFd> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
        .map_err(ContainerError::path("open", "/dev/null"))
}
