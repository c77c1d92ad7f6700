//! The container in the kernel: its mounts, its init process, and what control requests do to it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use control::{
    BootConfig, Container, CpuLimits, FailureKind, IdentityMap, NOTIFY_SOCKET, Process,
    ProcessInfo, Reply, StartHook, Target, Usage,
};
use gofer::RemoteTree;
use memory::{HostMemory, MemoryFile};
use parking_lot::Mutex;
use platform::Platform;
use sentry::kernel::cgroup;
use sentry::kernel::kernel::{Kernel, KernelConfig};
use sentry::kernel::namespaces::UtsNames;
use sentry::kernel::process::ProcessSpec;
use sentry::kernel::signal::{Signal, SignalInfo, send};
use sentry::kernel::thread_group::ThreadGroup;
use sentry::socket::unix::UnixSocket;
use sentry::strace;
use sentry::vfs::mount::MountNamespace;

use crate::end::End;
use crate::error::SandboxError;
use crate::failure::Failure;
use crate::notices;
use crate::oom_events::OomEvents;
use crate::start_hook::HookFiles;
use crate::terminal::Terminal;
use crate::{mounts, processes, start, start_hook};

/// A process that was started from outside.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    group: Arc<ThreadGroup>,
    pid: i32,
    terminal: Option<Arc<Terminal>>,
}

impl Running {
    fn new(group: Arc<ThreadGroup>, terminal: Option<Terminal>) -> Running {
        let pid = i32::try_from(group.pid()).unwrap_or(0);
        Running {
            group,
            pid,
            terminal: terminal.map(Arc::new),
        }
    }

    /// Its id in the container.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Blocks until it has ended, and what it wrote to its terminal is shown.
    pub(crate) fn wait(&self) -> u8 {
        let status = self.group.wait_for_exit().shell_code();
        if let Some(terminal) = &self.terminal {
            terminal.finish();
        }
        status
    }

    /// Blocks until it has ended, so long at most.
    pub(crate) fn wait_for(&self, limit: Duration) -> Option<u8> {
        let status = self.group.wait_for_exit_within(limit)?;
        Some(status.shell_code())
    }

    /// The window behind its terminal has another size.
    pub(crate) fn window_changed(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_size();
        }
    }

    /// Sends it a signal from outside.
    pub(crate) fn signal(&self, number: i32) -> Result<(), Failure> {
        send_to(&self.group, number)
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        send::send_to_group(&self.group, SignalInfo::kernel(Signal::SIGKILL));
    }
}

/// How long a container may take to end once it is killed.
const KILL_PATIENCE: Duration = Duration::from_millis(1500);
/// How long what it wrote to a terminal may then take to be shown.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(300);
/// The exit code of what SIGKILL has ended.
const KILLED: u8 = 128 + 9;

/// The one container of this sandbox.
#[derive(Debug)]
pub(crate) struct Guest {
    kernel: Arc<Kernel>,
    container: Container,
    namespace: Arc<MountNamespace>,
    /// Kept for its name.
    _notify: Option<Arc<UnixSocket>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The init process's descriptors, until it is started.
    files: Option<Vec<OwnedFd>>,
    init: Option<Running>,
}

impl Guest {
    /// Builds the kernel and the container's tree of mounts. Nothing runs yet.
    pub(crate) fn new(
        config: BootConfig,
        platform: Arc<Platform>,
        host_memory: (HostMemory, Option<OomEvents>),
        gofer: OwnedFd,
        stdio: Vec<OwnedFd>,
        preserved: Vec<OwnedFd>,
        notify: Option<OwnedFd>,
    ) -> Result<Arc<Guest>, SandboxError> {
        let step = SandboxError::host;
        memory::install_fault_handler().map_err(step("handle faults of memory copies"))?;
        let container = config.container.clone();
        let make_room = {
            let platform = platform.clone();
            move || platform.make_room()
        };
        let kernel = make_kernel(&config, platform, host_memory)?;
        limit_tasks(&kernel, container.pids_limit);
        kernel.cgroups.set_limits(cpu_limits(&container.cpu));
        kernel.cgroups.show_on_host(container.group_files.clone());
        for (name, value) in &container.sysctl {
            let failed = |errno| SandboxError::Sysctl {
                name: name.clone(),
                value: value.clone(),
                errno,
            };
            kernel.set_sysctl(name, value).map_err(failed)?;
        }
        let tree = Arc::new(RemoteTree::new(gofer));
        tree.when_full(make_room);
        let namespace = mounts::build(&kernel, &config, &tree)?;
        let notify = notify.map(|host| {
            let path = NOTIFY_SOCKET;
            UnixSocket::notify(&kernel, &namespace, path.as_bytes(), host).map_err(|errno| {
                SandboxError::Mount {
                    path: path.to_owned(),
                    errno,
                }
            })
        });
        let files: Vec<OwnedFd> = stdio.into_iter().chain(preserved).collect();
        Ok(Arc::new(Guest {
            kernel,
            container,
            namespace,
            _notify: notify.transpose()?,
            state: Mutex::new(State {
                files: Some(files),
                init: None,
            }),
        }))
    }

    /// Checks that the request is for this sandbox's container.
    pub(crate) fn check(&self, id: &str) -> Result<(), Failure> {
        if id == self.container.id {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::NoSuchContainer,
            format!("no container {id} here"),
        ))
    }

    /// Starts the init process, after the hooks that run inside. It has its number before them.
    pub(crate) fn start(
        &self,
        hooks: &[StartHook],
        fds: Vec<OwnedFd>,
        notices: &[String],
    ) -> Result<Running, Failure> {
        let hook_files = start_hook::sort_files(hooks.len(), fds)
            .ok_or_else(|| Failure::new(FailureKind::Failed, "want three descriptors per hook"))?;
        let files = self.state.lock().files.take().ok_or_else(|| {
            Failure::new(FailureKind::WrongState, "the container was started before")
        })?;
        for notice in notices {
            notices::tell(notice, &files);
        }
        let (spec, terminal) = self.spec(&self.container.process, files)?;
        if let Some(terminal) = &terminal {
            terminal.be_console(&self.kernel, &self.namespace);
        }
        let process = self.kernel.new_process(spec)?;
        for (hook, files) in hooks.iter().zip(hook_files) {
            self.run_hook(hook, files)?;
        }
        let running = Running::new(process.start()?, terminal);
        self.state.lock().init = Some(running.clone());
        Ok(running)
    }

    fn run_hook(&self, hook: &StartHook, files: HookFiles) -> Result<(), Failure> {
        let process = start_hook::process(hook, &self.container.process);
        let failed = |reason: String| {
            let reason = format!("startContainer hook {} failed: {reason}", hook.path);
            Failure::new(FailureKind::Failed, reason)
        };
        let (mut spec, _) = self.spec(&process, files.into())?;
        spec.program = Some(hook.path.clone().into_bytes());
        // Its environment is what the hook says, no more.
        spec.accounts = None;
        let group = self.kernel.start_process(spec);
        let running = Running::new(
            group.map_err(|error| failed(Failure::from(error).reason))?,
            None,
        );
        start_hook::wait(&running, hook.timeout_s).map_err(failed)
    }

    /// Starts another process.
    pub(crate) fn exec(&self, process: &Process, files: Vec<OwnedFd>) -> Result<Running, Failure> {
        if self.state.lock().init.is_none() {
            return Err(Failure::new(
                FailureKind::WrongState,
                "the container was not started yet",
            ));
        }
        if files.len() < 3 {
            return Err(Failure::new(
                FailureKind::Failed,
                "want three standard descriptors",
            ));
        }
        self.launch(process, files)
    }

    fn launch(&self, process: &Process, files: Vec<OwnedFd>) -> Result<Running, Failure> {
        let (spec, terminal) = self.spec(process, files)?;
        Ok(Running::new(self.kernel.start_process(spec)?, terminal))
    }

    fn spec(
        &self,
        process: &Process,
        files: Vec<OwnedFd>,
    ) -> Result<(ProcessSpec, Option<Terminal>), Failure> {
        let mounts = self.namespace.clone();
        let (mut spec, terminal) = start::process_spec(&self.kernel, mounts, process, files)
            .map_err(|errno| Failure::new(FailureKind::Failed, errno))?;
        spec.filters
            .extend(self.container.seccomp.iter().map(start::filter));
        Ok((spec, terminal))
    }

    /// Sends a signal. Before the init process is started, one that would end it ends the sandbox.
    pub(crate) fn signal(
        &self,
        target: Target,
        number: i32,
        end: &Arc<End>,
    ) -> Result<(), Failure> {
        let Some(init) = self.state.lock().init.clone() else {
            if ends_by_default(number) {
                end.with(128 | u8::try_from(number).unwrap_or(0));
            }
            return Ok(());
        };
        let namespace = self.kernel.root_pid_ns();
        let is_kill = number == i32::from(Signal::SIGKILL.number());
        match target {
            Target::Init | Target::Foreground | Target::Executed | Target::All if is_kill => {
                self.kill(init, end.clone());
                Ok(())
            }
            Target::Init | Target::Foreground | Target::Executed => init.signal(number),
            Target::All => namespace
                .groups()
                .iter()
                .try_for_each(|(_, group)| send_to(group, number)),
            Target::Pid(pid) => {
                let group = u32::try_from(pid).ok().and_then(|pid| namespace.group(pid));
                send_to(&group.ok_or_else(|| no_process(pid))?, number)
            }
        }
    }

    /// Kills the container: its init process, and with it all others, which its end would kill anyway; whoever
    /// traces it must not keep it. Should the kernel not manage that in time, the sandbox ends all the same.
    fn kill(&self, init: Running, end: Arc<End>) {
        init.kill();
        for (_, group) in self.kernel.root_pid_ns().groups() {
            send::send_to_group(&group, SignalInfo::kernel(Signal::SIGKILL));
        }
        let watch = move || {
            let status = init.wait_for(KILL_PATIENCE).unwrap_or_else(|| {
                tracing::error!("the container does not end when killed: ending the sandbox");
                KILLED
            });
            std::thread::sleep(OUTPUT_PATIENCE);
            end.with(status);
        };
        let started = std::thread::Builder::new()
            .name("kill".into())
            .stack_size(64 << 10)
            .spawn(watch.clone());
        if started.is_err() {
            watch();
        }
    }

    /// Waits for the init process, or for the process `pid`.
    pub(crate) fn wait(&self, pid: Option<i32>) -> Result<u8, Failure> {
        let init = self.state.lock().init.clone();
        let Some(pid) = pid else {
            let init = init.ok_or_else(|| {
                Failure::new(FailureKind::WrongState, "the container was not started yet")
            })?;
            return Ok(init.wait());
        };
        let group = u32::try_from(pid)
            .ok()
            .and_then(|pid| self.kernel.root_pid_ns().group(pid));
        Ok(group
            .ok_or_else(|| no_process(pid))?
            .wait_for_exit()
            .shell_code())
    }

    /// Lists the processes.
    pub(crate) fn processes(&self) -> Vec<ProcessInfo> {
        processes::list(&self.kernel)
    }

    /// A terminal that donated stdio is has another size.
    pub(crate) fn window_changed(&self) {
        if let Some(init) = &self.state.lock().init {
            init.window_changed();
        }
    }

    /// Stops everything until it is resumed.
    pub(crate) fn pause(&self) -> Result<Reply, Failure> {
        if self.state.lock().init.is_none() {
            return Err(Failure::new(
                FailureKind::WrongState,
                "the container was not started yet",
            ));
        }
        self.kernel.freeze();
        Ok(Reply::Done)
    }

    /// Lets everything run again.
    pub(crate) fn resume(&self) -> Result<Reply, Failure> {
        self.kernel.thaw();
        Ok(Reply::Done)
    }

    /// Changes the limits that the kernel itself keeps.
    pub(crate) fn update(&self, limits: control::Limits) -> Reply {
        if let Some(bytes) = limits.memory_bytes {
            let bytes = Some(bytes).filter(|bytes| *bytes != u64::MAX);
            self.kernel.memory().set_limit(bytes);
        }
        if let Some(most) = limits.pids {
            let most = Some(most).filter(|most| *most != u64::MAX);
            limit_tasks(&self.kernel, most);
        }
        self.kernel.cgroups.change_limits(cpu_limits(&limits.cpu));
        self.kernel.cgroups.show_on_host(limits.group_files);
        Reply::Done
    }

    /// What the kernel itself counts.
    pub(crate) fn usage(&self) -> Usage {
        let namespace = self.kernel.root_pid_ns();
        let (tasks, most) = namespace.task_count();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let mut usage = Usage {
            pids: count(tasks),
            pids_limit: most.map(count),
            ..Usage::default()
        };
        for (_, group) in namespace.groups() {
            for part in [group.usage(), group.children_usage()] {
                usage.user_ns = usage.user_ns.saturating_add(part.user_ns);
                usage.system_ns = usage.system_ns.saturating_add(part.system_ns);
            }
        }
        usage
    }
}

fn no_process(pid: i32) -> Failure {
    Failure::new(
        FailureKind::NoSuchProcess,
        format!("no process {pid} in the container"),
    )
}

fn send_to(group: &Arc<ThreadGroup>, number: i32) -> Result<(), Failure> {
    let signal = u64::try_from(number)
        .ok()
        .and_then(Signal::new)
        .ok_or_else(|| Failure::new(FailureKind::Failed, format!("there is no signal {number}")))?;
    send::send_to_group(group, SignalInfo::user(signal, 0, 0));
    Ok(())
}

/// Whether a process that handles no signal is ended by this one (`man 7 signal`).
fn ends_by_default(number: i32) -> bool {
    const CHLD: i32 = 17;
    const CONT: i32 = 18;
    const STOP_TO_TTOU: std::ops::RangeInclusive<i32> = 19..=22;
    const URG: i32 = 23;
    const WINCH: i32 = 28;
    (1..=64).contains(&number)
        && ![CHLD, CONT, URG, WINCH].contains(&number)
        && !STOP_TO_TTOU.contains(&number)
}

fn cpu_limits(cpu: &CpuLimits) -> cgroup::Limits {
    cgroup::Limits {
        cpu_shares: cpu.shares,
        cpu_quota_us: cpu.quota_us,
        cpu_period_us: cpu.period_us,
        cpus: cpu.cpus.clone(),
        mems: cpu.mems.clone(),
    }
}

fn limit_tasks(kernel: &Kernel, most: Option<u64>) {
    let most = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    kernel.root_pid_ns().limit_tasks(most);
}

fn id_range(map: &IdentityMap) -> [u32; 3] {
    [map.container, map.host, map.size]
}

fn make_kernel(
    config: &BootConfig,
    platform: Arc<Platform>,
    (host_memory, oom_events): (HostMemory, Option<OomEvents>),
) -> Result<Arc<Kernel>, SandboxError> {
    let container = &config.container;
    let memory = MemoryFile::with_host_memory(container.memory_limit_bytes, host_memory)
        .map_err(SandboxError::host("make the guest's memory"))?;
    tracing::info!(
        "huge pages of the host for the guest's memory: {:?}",
        memory.huge_pages()
    );
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let host_total = rustix::system::sysinfo();
    let total = host_total
        .totalram
        .saturating_mul(u64::from(host_total.mem_unit));
    let strace = strace::Settings {
        enabled: config.strace.enabled,
        calls: config.strace.calls.clone(),
        max_string: usize::try_from(config.strace.log_size).unwrap_or(1024),
    };
    for name in strace.unknown_calls() {
        tracing::warn!("-strace-syscalls: there is no system call {name:?}");
    }
    Ok(Kernel::new(KernelConfig {
        on_oom: oom_events.map(|events| events.notice(&memory, &platform)),
        platform,
        memory,
        names: UtsNames {
            host: container.hostname.clone().into_bytes(),
            domain: container.domainname.clone().into_bytes(),
        },
        processors,
        // As in a container of Linux: the limit shows in its cgroup, not here.
        total_memory: total,
        processor_description: container.processor_description.clone(),
        strace,
        uid_map: container.uid_map.iter().map(id_range).collect(),
        gid_map: container.gid_map.iter().map(id_range).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::ends_by_default;

    #[test]
    fn which_signals_end_a_created_container() {
        for number in [1, 9, 15, 34, 64] {
            assert!(ends_by_default(number), "{number}");
        }
        for number in [0, 17, 18, 19, 28, 65, -1] {
            assert!(!ends_by_default(number), "{number}");
        }
    }
}
