//! Starts the gofer and the sandbox of a container and waits until both are ready.
//!
//! Until the caller says [`Launched::detach`], both end with this process: the sandbox holds the
//! read end of a lifeline whose write end is here, and the gofer ends with the sandbox.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use control::{
    BootConfig, BootFds, Connection, ConnectionError, Container, DeniedLog, GoferConfig, LogConfig,
    Report,
};
use host::errno;
use host::spawn::{Child, IdRange, Namespaces, Spawn};
use rustix::fs::{self, MemfdFlags, SealFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{getegid, geteuid};
use rustix::system::{setdomainname, sethostname};
use serde::Serialize;

use crate::bundle::{Bundle, Joined};
use crate::cgroups::Cgroup;
use crate::host_user::{HostUser, NOBODY};
use crate::spec::{Resolved, capability_bit};
use crate::state::StateDir;
use crate::{ContainerError, Result, Settings, clock, exit_code, namespaces};

/// A byte on the lifeline: nobody waits any more.
pub const DETACHED: u8 = b'd';

/// What a container's processes are started with.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Who the sandbox is outside of its user namespace.
    pub user: HostUser,
    /// Its bundle.
    pub bundle: &'a Bundle,
    /// What its spec amounts to.
    pub resolved: Resolved,
    /// Global flags.
    pub settings: &'a Settings,
    /// Standard descriptors of the init process.
    pub stdio: [OwnedFd; 3],
    /// Its descriptors from 3 on.
    pub preserved: Vec<OwnedFd>,
    /// The file for messages to the container's user.
    pub user_log: Option<OwnedFd>,
    /// The caller stays until the container ends.
    pub foreground: bool,
    /// The service manager's socket, if it is to be told of the container.
    pub notify: Option<OwnedFd>,
    /// The control socket, listening.
    pub control: OwnedFd,
    /// The control groups that both processes live in.
    pub cgroup: Option<&'a Cgroup>,
}

/// The processes of a container, killed when dropped unless given up before.
#[derive(Debug)]
pub struct Launched {
    sandbox: Child,
    gofer: Child,
    lifeline: Option<OwnedFd>,
    keep: bool,
}

impl Launched {
    /// The sandbox.
    #[must_use]
    pub fn sandbox(&self) -> &Child {
        &self.sandbox
    }

    /// The gofer.
    #[must_use]
    pub fn gofer(&self) -> &Child {
        &self.gofer
    }

    /// Lets both outlive this process.
    ///
    /// # Errors
    /// [`ContainerError::Host`] when the sandbox is gone.
    pub fn detach(&mut self) -> Result<()> {
        if let Some(lifeline) = self.lifeline.take() {
            rustix::io::write(&lifeline, &[DETACHED])
                .map_err(|e| ContainerError::host("leave the sandbox on its own")(errno(e)))?;
        }
        self.keep = true;
        Ok(())
    }

    /// Waits for the sandbox's end, which is the init process's, and then for the gofer's.
    ///
    /// # Errors
    /// [`ContainerError::Host`].
    pub fn wait(mut self) -> Result<u8> {
        let status = self
            .sandbox
            .wait()
            .map_err(ContainerError::host("wait for the sandbox"))?;
        self.keep = true;
        self.gofer
            .wait()
            .map_err(ContainerError::host("wait for the gofer"))?;
        Ok(exit_code(status))
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if !self.keep {
            end(&self.sandbox);
            end(&self.gofer);
        }
    }
}

fn end(child: &Child) {
    child.kill();
    let _ = child.wait();
}

/// Starts both processes.
///
/// # Errors
/// [`ContainerError::Child`] with the child's own reason.
pub fn launch(plan: Plan<'_>) -> Result<Launched> {
    let (gofer_socket, sandbox_socket) = Connection::pair()?;
    let (lifeline, sandbox_lifeline) = pipe()?;
    let (gofer_lifeline_write, gofer_lifeline_read) = pipe()?;
    let (gofer_report, report) = Connection::pair()?;
    let cgroup = plan.cgroup;
    let wanted_score = plan.resolved.container.process.oom_score_adj;
    let gofer = spawn_gofer(&plan, report, gofer_socket.into(), gofer_lifeline_write)?;
    let (sandbox_report, report) = Connection::pair()?;
    let ends = SandboxEnds {
        report,
        gofer: sandbox_socket,
        gofer_lifeline: gofer_lifeline_read,
        lifeline: sandbox_lifeline,
    };
    let sandbox = spawn_sandbox(plan, ends).inspect_err(|_| end(&gofer))?;
    let launched = Launched {
        sandbox,
        gofer,
        lifeline: Some(lifeline),
        keep: false,
    };
    // The sandbox first: when the gofer fails, it knows only that, and the gofer knows why.
    let sandbox = ready("sandbox", &sandbox_report, &launched.sandbox);
    ready("gofer", &gofer_report, &launched.gofer)?;
    sandbox?;
    spare_from_oom(launched.sandbox.pid(), wanted_score);
    if let Some(cgroup) = cgroup {
        cgroup.count_sandbox(launched.sandbox.pid());
    }
    Ok(launched)
}

/// The sandbox made its stubs the host's first choice when memory runs out, itself included until now. It gets what
/// the spec wants of the container, else what this process has.
fn spare_from_oom(pid: i32, wanted: Option<i32>) {
    let own = || std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let score = wanted.map_or_else(own, |score| score.to_string());
    // Without the right to lower it, sandbox and stubs are equally likely to be killed.
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), score.trim());
}

fn ready(name: &'static str, report: &Connection, child: &Child) -> Result<()> {
    let failed = |reason: String| ContainerError::Child {
        child: name,
        reason,
    };
    match report.receive::<Report>().map(|received| received.message) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Failed { reason }) => Err(failed(reason)),
        Err(ConnectionError::Closed) => {
            child.kill();
            let status = child
                .wait()
                .map_err(ContainerError::host("wait for a child"))?;
            let code = exit_code(status);
            Err(failed(format!(
                "it ended with exit code {code} before it was ready"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

fn spawn_gofer(
    plan: &Plan<'_>,
    report: OwnedFd,
    socket: OwnedFd,
    lifeline: OwnedFd,
) -> Result<Child> {
    let mut spawn = Spawn::new(["runsc", "gofer", plan.id]);
    let (config_fd, mut fill) = config_slot()?;
    spawn.donate(config_fd);
    let mut config = GoferConfig {
        report: spawn.donate(report),
        sockets: vec![spawn.donate(socket)],
        lifeline: spawn.donate(lifeline),
        host_user: plan.user.hold()?.map(|fd| spawn.donate(fd)),
        trees: plan.resolved.trees.clone(),
        capabilities: gofer_capabilities(plan)?,
        user: plan.bundle.user_namespace().and_then(owner_of_files),
        host_uds: plan.settings.host_uds,
        host_fifo: plan.settings.host_fifo,
        log: LogConfig::default(),
    };
    config.log = child_log(&mut spawn, plan, "gofer")?;
    write_config(&mut fill, &config)?;
    let mut namespaces = Namespaces::MOUNT
        | Namespaces::PID
        | Namespaces::IPC
        | Namespaces::UTS
        | Namespaces::NETWORK;
    if let Some((uids, gids)) = plan.bundle.user_namespace() {
        namespaces |= Namespaces::USER;
        spawn.map_ids(uids, gids).keep_capabilities();
    } else if !geteuid().is_root() {
        namespaces |= Namespaces::USER;
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        spawn
            .map_ids(vec![one(uid, uid)], vec![one(gid, gid)])
            .keep_capabilities();
    }
    spawn.namespaces(namespaces).cgroups(joinable(plan.cgroup)?);
    spawn
        .spawn()
        .map_err(ContainerError::host("start the gofer"))
}

/// What puts a child into the control groups.
pub(crate) fn joinable(cgroup: Option<&Cgroup>) -> Result<Vec<OwnedFd>> {
    cgroup.map_or_else(|| Ok(Vec::new()), Cgroup::joinable)
}

/// The sandbox's ends of what connects it with the others.
struct SandboxEnds {
    report: OwnedFd,
    gofer: OwnedFd,
    gofer_lifeline: OwnedFd,
    lifeline: OwnedFd,
}

/// The files from which the sandbox learns that its control group is full, if the spec limits it.
fn memory_group(plan: &Plan<'_>) -> Option<[OwnedFd; 3]> {
    plan.resolved.container.memory_limit_bytes?;
    plan.cgroup?.memory_files()
}

fn spawn_sandbox(plan: Plan<'_>, ends: SandboxEnds) -> Result<Child> {
    let mut spawn = Spawn::new(["runsc", "boot", plan.id]);
    let (config_fd, mut fill) = config_slot()?;
    spawn.donate(config_fd);
    spawn.cgroups(joinable(plan.cgroup)?);
    let memory_group: Vec<OwnedFd> = memory_group(&plan).into_iter().flatten().collect();
    let mut log = child_log(&mut spawn, &plan, "boot")?;
    let Plan {
        user,
        bundle,
        resolved,
        settings,
        stdio,
        preserved,
        user_log,
        notify,
        control,
        ..
    } = plan;
    let device = platform_device(settings)?;
    log.user = user_log.map(|fd| spawn.donate(fd));
    let config = BootConfig {
        container: resolved.container,
        fds: BootFds {
            report: spawn.donate(ends.report),
            gofer: vec![spawn.donate(ends.gofer)],
            gofer_lifeline: spawn.donate(ends.gofer_lifeline),
            lifeline: spawn.donate(ends.lifeline),
            control: spawn.donate(control),
            stdio: stdio.into_iter().map(|fd| spawn.donate(fd)).collect(),
            preserved: preserved.into_iter().map(|fd| spawn.donate(fd)).collect(),
            notify: notify.map(|fd| spawn.donate(fd)),
            memory_group: memory_group
                .into_iter()
                .map(|fd| spawn.donate(fd))
                .collect(),
            platform_device: device.map(|fd| spawn.donate(fd)),
            host_user: user.hold()?.map(|fd| spawn.donate(fd)),
        },
        platform: settings.platform.clone(),
        network: settings.network,
        strace: settings.strace.clone(),
        log,
        user: NOBODY,
        exclusive_files: settings.exclusive_files,
    };
    write_config(&mut fill, &config)?;
    as_nobody(&mut spawn, user);
    let mut namespaces =
        Namespaces::USER | Namespaces::PID | Namespaces::MOUNT | Namespaces::IPC | Namespaces::UTS;
    namespaces.set(Namespaces::CGROUP, bundle.new_cgroup_namespace());
    let joined = bundle.joined_namespaces();
    let new = joined.iter().fold(namespaces, |new, (kind, _)| new - *kind);
    let child = namespaces::inside(&joined, || {
        in_network_namespace(bundle, settings, spawn, new)
    })?;
    if new.contains(Namespaces::UTS) {
        let named = name_host(child.pid(), &config.container);
        if let Err(error) = named {
            tracing::warn!(%error, "whoever joins the container's UTS namespace finds another name there");
        }
    }
    Ok(child)
}

/// Gives the UTS namespace that the sandbox has on the host the container's names, for those who join it: a pod's
/// other containers.
fn name_host(pid: i32, container: &Container) -> Result<()> {
    let namespace = PathBuf::from(format!("/proc/{pid}/ns/uts"));
    namespaces::inside(&[(Namespaces::UTS, namespace)], || {
        let set = sethostname(container.hostname.as_bytes())
            .and_then(|()| setdomainname(container.domainname.as_bytes()));
        set.map_err(errno)
            .map_err(ContainerError::host("set the host name"))
    })
}

/// In its user namespace, the process can become nobody, and nobody else; outside it is `outside`.
pub(crate) fn as_nobody(spawn: &mut Spawn, outside: HostUser) {
    let uids = vec![one(NOBODY, outside.uid)];
    let gids = vec![one(NOBODY, outside.gid)];
    spawn.map_ids(uids, gids).keep_capabilities();
}

/// Opens what the platform works with, while there are names and permission.
fn platform_device(settings: &Settings) -> Result<Option<OwnedFd>> {
    let Some(path) = &settings.platform_device else {
        return Ok(None);
    };
    let device = File::options().read(true).write(true).open(path);
    let device = device.map_err(ContainerError::path("open the platform's device", path))?;
    Ok(Some(device.into()))
}

/// Spawns within the container's network namespace.
fn in_network_namespace(
    bundle: &Bundle,
    settings: &Settings,
    mut spawn: Spawn,
    new: Namespaces,
) -> Result<Child> {
    let start = move |new| {
        spawn.namespaces(new);
        spawn
            .spawn()
            .map_err(ContainerError::host("start the sandbox"))
    };
    let wanted = match settings.network {
        control::Network::Host => Joined::Shared,
        _ => bundle.network_namespace(),
    };
    match wanted {
        Joined::Shared => start(new),
        Joined::At(path) => namespaces::inside(&[(Namespaces::NETWORK, path)], || start(new)),
        Joined::New => namespaces::in_new(Namespaces::NETWORK, |refused| start(new | refused)),
    }
}

/// Who makes files in a user namespace before they get their owner: an id that it maps, root's if it can be.
fn owner_of_files((uids, gids): (Vec<IdRange>, Vec<IdRange>)) -> Option<(u32, u32)> {
    let first = |ranges: &[IdRange]| ranges.iter().map(|range| range.inside).min();
    Some((first(&uids)?, first(&gids)?))
}

/// What files need, and one that the spec must grant.
fn gofer_capabilities(plan: &Plan<'_>) -> Result<u64> {
    let mut keep = 0;
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
    ] {
        keep |= capability_bit(name)?;
    }
    let granted = plan.resolved.container.process.capabilities.bounding;
    Ok(keep | granted & capability_bit("SETFCAP")?)
}

fn one(inside: u32, outside: u32) -> IdRange {
    IdRange {
        inside,
        outside,
        count: 1,
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC)
        .map(|(read, write)| (write, read))
        .map_err(|e| ContainerError::host("make a pipe")(errno(e)))
}

fn child_log(spawn: &mut Spawn, plan: &Plan<'_>, role: &str) -> Result<LogConfig> {
    let debug = plan.settings.debug;
    let file: Option<OwnedFd> = match &plan.settings.debug_log {
        Some(log) => Some(log.open(role, plan.id, &clock::now())?.into()),
        None if plan.settings.children_log_to_stderr => {
            let [_, _, stderr] = crate::console::own_stdio()?;
            Some(stderr)
        }
        None => None,
    };
    let denied = denied_log(plan)?;
    let last_words = match denied {
        Some(_) => None,
        None => Some(StateDir::new(&plan.settings.root).open_last_words(plan.id)?),
    };
    Ok(LogConfig {
        debug,
        fd: file.map(|fd| spawn.donate(fd)),
        user: None,
        denied: denied.map(|file| DeniedLog {
            fd: spawn.donate(file),
            json: plan.settings.log.is_some() && plan.settings.log_is_json,
        }),
        last_words: last_words.map(|file| spawn.donate(file)),
    })
}

/// What the user reads: the log file, else the standard error of a command that stays. That of one that
/// does not is the container's, and its end is waited for: then the line is kept in the state directory.
fn denied_log(plan: &Plan<'_>) -> Result<Option<OwnedFd>> {
    if let Some(path) = &plan.settings.log {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(ContainerError::path("open", path))?;
        return Ok(Some(file.into()));
    }
    if !plan.foreground {
        return Ok(None);
    }
    let [_, _, stderr] = crate::console::own_stdio()?;
    Ok(Some(stderr))
}

/// A memfd for the child's configuration: one end to donate, one to fill once all numbers are known.
pub(crate) fn config_slot() -> Result<(OwnedFd, File)> {
    let memfd = fs::memfd_create(
        "runsc-config",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )
    .map_err(|e| ContainerError::host("make the configuration's memfd")(errno(e)))?;
    let fill = memfd.try_clone().map_err(|e| ContainerError::Host {
        step: "make the configuration's memfd",
        errno: host::Errno::from_raw(e.raw_os_error().unwrap_or(5)),
    })?;
    Ok((memfd, File::from(fill)))
}

pub(crate) fn write_config(file: &mut File, config: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *file, config).map_err(ConnectionError::Decode)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fs::fcntl_add_seals(&*file, seals)
        .map_err(|e| ContainerError::host("seal the configuration")(errno(e)))
}
