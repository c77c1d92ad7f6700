//! `create`: the sandbox runs and has loaded nothing.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use control::Endpoint;
use host::spawn::take_donated;
use oci_spec::runtime::Hooks;
use rustix::process::{geteuid, getuid};

use super::delete::remove_noted;
use crate::bundle::Bundle;
use crate::cgroups::{Cgroup, Place};
use crate::console::{self, Pty};
use crate::host_user::Claim;
use crate::launch::{Launched, Plan, launch};
use crate::process_ref::ProcessRef;
use crate::spec::Resolved;
use crate::state::{Lock, State, StateDir, write_atomically};
use crate::{
    ContainerError, Result, Settings, clock, hooks, id, mount_points, notices, notify, program,
    spec,
};

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
    let mut creation = Creation::begin(settings, &request)?;
    let created = creation.carry_out();
    if created.is_err() {
        creation.undo();
    }
    created
}

/// A container that is being created: what its steps share, and what is left to undo.
struct Creation<'a> {
    settings: &'a Settings,
    request: &'a Create<'a>,
    directory: StateDir,
    lock: Lock,
    endpoint: Endpoint,
    cgroup: Option<Cgroup>,
}

impl<'a> Creation<'a> {
    /// Takes the id.
    fn begin(settings: &'a Settings, request: &'a Create<'a>) -> Result<Creation<'a>> {
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
        Ok(Creation {
            settings,
            request,
            directory,
            lock,
            endpoint,
            cgroup: None,
        })
    }

    fn carry_out(&mut self) -> Result<Created> {
        let bundle = self.request.bundle;
        let mut resolved = spec::resolve(self.request.id, bundle, self.settings)?;
        let socket = self.request.notify_socket.as_deref();
        let notify = socket.and_then(|socket| notify::pass_on(socket, &mut resolved.container));
        program::check(&resolved.container, bundle.rootfs())?;
        mount_points::make(&resolved.container, bundle.rootfs());
        self.cgroup = self.make_cgroup()?;
        let stdio = stdio(self.request, &mut resolved.container.process)?;
        let process = resolved.container.process.clone();
        // Those of whoever executes another process may be others: they are not kept.
        spec::inherit_limits(&mut resolved.container.process);
        let claim = Claim::new()?;
        let launched = self.launch(resolved, &claim, stdio, notify)?;
        let state = self.state(&launched, &claim, process);
        let launched = self.run_hooks(launched, &state)?;
        self.tell(&launched)?;
        self.directory.save(&state, &self.lock)?;
        Ok(Created { state, launched })
    }

    fn make_cgroup(&self) -> Result<Option<Cgroup>> {
        if self.settings.ignore_cgroups {
            return Ok(None);
        }
        let linux = self.request.bundle.spec().linux().as_ref();
        let place = Place {
            path: linux.and_then(|linux| linux.cgroups_path().as_deref()),
            id: self.request.id,
            systemd: self.settings.systemd_cgroup,
            lenient: !geteuid().is_root(),
        };
        let planned = Cgroup::planned(&place)?;
        self.directory
            .note_groups(self.request.id, &planned, &self.lock)?;
        Cgroup::create(&place, linux.and_then(|linux| linux.resources().as_ref()))
    }

    fn launch(
        &self,
        mut resolved: Resolved,
        claim: &Claim,
        stdio: [OwnedFd; 3],
        notify: Option<OwnedFd>,
    ) -> Result<Launched> {
        let cgroup = self.cgroup.as_ref();
        resolved.container.group_files = cgroup.map(Cgroup::shown).unwrap_or_default();
        let user_log = self.request.user_log.as_deref();
        launch(Plan {
            user: claim.user(),
            id: self.request.id,
            bundle: self.request.bundle,
            resolved,
            settings: self.settings,
            stdio,
            preserved: preserved(self.request.preserve_fds)?,
            user_log: user_log.map(appended).transpose()?,
            foreground: self.request.foreground,
            notify,
            control: self
                .endpoint
                .listen()
                .map_err(ContainerError::host("make the control socket"))?,
            cgroup,
        })
    }

    fn state(&self, launched: &Launched, claim: &Claim, process: control::Process) -> State {
        let bundle = self.request.bundle;
        let spec = bundle.spec();
        let annotations = spec.annotations().clone().unwrap_or_default();
        State {
            version: State::version(),
            id: self.request.id.to_owned(),
            oci_version: spec.version().clone(),
            bundle: bundle.directory().to_owned(),
            rootfs: bundle.rootfs().to_owned(),
            created: clock::now().rfc3339(),
            owner: owner(),
            annotations: annotations.into_iter().collect(),
            started: false,
            sandbox: ProcessRef::of(launched.sandbox().pid()),
            gofer: ProcessRef::of(launched.gofer().pid()),
            user: claim.user(),
            process,
            cgroup: self.cgroup.clone(),
            paused: false,
            hooks: hooks::saved(&self.spec_hooks()),
            notices: notices::of_spec(spec),
        }
    }

    fn spec_hooks(&self) -> Hooks {
        let hooks = self.request.bundle.spec().hooks().clone();
        hooks.unwrap_or_default()
    }

    fn run_hooks(&self, launched: Launched, state: &State) -> Result<Launched> {
        if let Err(error) = hooks::run_at_create(&self.spec_hooks(), state) {
            // The specification: the container is stopped and goes on to its end, of which poststop is part.
            drop(launched);
            hooks::run_each(&state.hooks.poststop, state, "stopped");
            return Err(error);
        }
        Ok(launched)
    }

    /// Tells the sandbox's process to whoever asked for it.
    fn tell(&self, launched: &Launched) -> Result<()> {
        if let Some(path) = &self.request.pid_file {
            write_pid_file(path, launched.sandbox().pid())?;
        }
        if let Some(path) = &self.request.pidfd_socket {
            console::send_descriptor(path, launched.sandbox().pidfd().as_fd(), b"pidfd")?;
        }
        Ok(())
    }

    /// Leaves nothing. The processes have ended: whoever made them has let go of them.
    fn undo(self) {
        if let Some(cgroup) = &self.cgroup {
            let _ = cgroup.remove();
        }
        let _ = self.endpoint.remove();
        let _ = self.directory.remove(self.request.id, self.lock);
    }
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
