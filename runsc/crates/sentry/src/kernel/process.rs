//! Processes that come from outside: a container's init, and what `runsc exec` adds.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use abi::Errno;
use locks::Mutex;

use crate::fs::tty::Tty;
use crate::kernel::accounts;
use crate::kernel::clone;
use crate::kernel::credentials::Credentials;
use crate::kernel::exec;
use crate::kernel::exit;
use crate::kernel::fs_context::FsContext;
use crate::kernel::kernel::Kernel;
use crate::kernel::limits::Limits;
use crate::kernel::namespaces::Namespaces;
use crate::kernel::pids::{PidNumbers, Session};
use crate::kernel::seccomp::{self, install::InitialFilter};
use crate::kernel::signal::Signal;
use crate::kernel::signal::state::{Dispositions, TaskSignals};
use crate::kernel::task::{OwnState, Task, TaskParts};
use crate::kernel::thread_group::ThreadGroup;
use crate::loader::Arguments;
use crate::strace;
use crate::vfs::fd_table::{Descriptor, FdTable};
use crate::vfs::file::OpenFile;
use crate::vfs::mount::MountNamespace;
use crate::vfs::walk::{self, WalkFlags};

/// A process to be made.
#[derive(Debug)]
pub struct ProcessSpec {
    /// The program, if the first argument does not name it.
    pub program: Option<Vec<u8>>,
    /// Arguments; the first names the program, looked up in the PATH of `envp` if it has no slash.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub envp: Vec<Vec<u8>>,
    /// The accounts file that HOME comes from if `envp` has none: an absolute path.
    pub accounts: Option<Vec<u8>>,
    /// Its mounts; its root is theirs.
    pub mounts: Arc<MountNamespace>,
    /// Its working directory, an absolute path.
    pub cwd: Vec<u8>,
    /// Umask.
    pub umask: u32,
    /// Ids and capabilities.
    pub credentials: Credentials,
    /// Resource limits.
    pub limits: Limits,
    /// Its descriptors, from 0 on.
    pub files: Vec<Arc<OpenFile>>,
    /// `/proc/[pid]/oom_score_adj`
    pub oom_score_adj: i32,
    /// The terminal that is to control its session.
    pub terminal: Option<Arc<Tty>>,
    /// Seccomp filters that apply from its first instruction on, the first at the bottom.
    pub filters: Vec<InitialFilter>,
}

/// Why a process could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// There is no such program.
    NotFound(Vec<u8>),
    /// The program can't be executed.
    Program(Vec<u8>, Errno),
    /// The working directory can't be entered.
    Cwd(Vec<u8>, Errno),
    /// The host gives no more threads, processes or memory.
    Host(Errno),
    /// A seccomp filter is not one.
    Filter(Errno),
}

/// A process that has its number and has loaded nothing yet. Dropped, it never was.
#[derive(Debug)]
pub struct NewProcess {
    task: Arc<Task>,
    group: Arc<ThreadGroup>,
    go: SyncSender<Arc<Task>>,
    cwd: Vec<u8>,
    program: Vec<u8>,
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
    filters: Vec<InitialFilter>,
    started: bool,
}

impl NewProcess {
    /// Loads its program and lets it run.
    pub fn start(mut self) -> Result<Arc<ThreadGroup>, StartError> {
        let (argv, envp) = (
            std::mem::take(&mut self.argv),
            std::mem::take(&mut self.envp),
        );
        strace::starts(&self.task, &argv, envp.len());
        load(&self.task, &self.cwd, &self.program, argv, envp)?;
        seccomp::install::install_initial(&self.task, &self.filters).map_err(StartError::Filter)?;
        self.started = true;
        // The thread waits for its task; it has no other way to end.
        let _ = self.go.send(self.task.clone());
        Ok(self.group.clone())
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        if !self.started {
            exit::abandon(&self.task);
        }
    }
}

impl Kernel {
    /// Makes and starts a process of its own session. The first one is the init of the pid namespace.
    pub fn start_process(
        self: &Arc<Self>,
        spec: ProcessSpec,
    ) -> Result<Arc<ThreadGroup>, StartError> {
        self.new_process(spec)?.start()
    }

    /// Makes a process of its own session that does not run yet: others may be started meanwhile, in the pid
    /// namespace whose init it is to be.
    pub fn new_process(self: &Arc<Self>, spec: ProcessSpec) -> Result<NewProcess, StartError> {
        let (interrupter, go) = clone::first_thread(self).map_err(StartError::Host)?;
        let dispositions = Arc::new(Mutex::new(Dispositions::default()));
        let group = ThreadGroup::new(self, dispositions, spec.limits, Signal::SIGCHLD.number());
        group
            .oom_score_adj
            .store(spec.oom_score_adj, std::sync::atomic::Ordering::Relaxed);
        let files = FdTable::default();
        for file in spec.files {
            let descriptor = Descriptor {
                file,
                close_on_exec: false,
            };
            files
                .insert(descriptor, 0, u64::MAX)
                .map_err(StartError::Host)?;
        }
        let root = spec.mounts.root_path();
        let mounts = spec.mounts.clone();
        let namespaces = Namespaces {
            mounts: Some(spec.mounts),
            ..(**self.namespaces()).clone()
        };
        let parts = TaskParts {
            registers: platform::ThreadState::default(),
            running: None,
            fs: FsContext::new(root.clone(), root, spec.umask).used_by(&group),
            files: Arc::new(files),
            credentials: Arc::new(spec.credentials),
            namespaces: Arc::new(namespaces),
            child_pid_ns: self.root_pid_ns().clone(),
            signals: TaskSignals::default(),
            interrupter,
            vfork_done: None,
            own: OwnState {
                timer_slack_ns: 50_000,
                ..OwnState::default()
            },
        };
        let task = Task::new(group.clone(), parts);
        self.publish_first(&task, &group)
            .map_err(StartError::Host)?;
        if let Some(terminal) = spec.terminal {
            terminal.control(&group);
        }
        let mut envp = spec.envp;
        if let Some(accounts) = &spec.accounts {
            accounts::add_home(&task, &mounts, accounts, &mut envp);
        }
        Ok(NewProcess {
            task,
            group,
            go,
            cwd: spec.cwd,
            program: spec
                .program
                .or_else(|| spec.argv.first().cloned())
                .unwrap_or_default(),
            argv: spec.argv,
            envp,
            filters: spec.filters,
            started: false,
        })
    }

    fn publish_first(&self, task: &Arc<Task>, group: &Arc<ThreadGroup>) -> Result<(), Errno> {
        let _tree = self.task_set.lock();
        let numbers = PidNumbers::allocate(self.root_pid_ns(), task)?;
        task.set_numbers(numbers.clone());
        let process_group = Session::create(numbers, group);
        group.adopt_leader(task, None, Some(process_group));
        Ok(())
    }
}

fn load(
    task: &Task,
    cwd: &[u8],
    name: &[u8],
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
) -> Result<(), StartError> {
    let enter = walk::resolve(task, None, cwd, WalkFlags::FOLLOW | WalkFlags::DIRECTORY);
    task.fs()
        .set_cwd(enter.map_err(|errno| StartError::Cwd(cwd.to_vec(), errno))?);
    let (file, filename) = find_program(task, name, &envp)?;
    let arguments = Arguments {
        argv,
        envp,
        filename,
        inaccessible: false,
    };
    exec::load_first(task, file, arguments)
        .map_err(|errno| StartError::Program(name.to_vec(), errno))
}

/// Finds a program as `execvp(3)` does. EACCES of one candidate counts only if no other is there.
fn find_program(
    task: &Task,
    name: &[u8],
    envp: &[Vec<u8>],
) -> Result<(Arc<OpenFile>, Vec<u8>), StartError> {
    let mut denied = None;
    for candidate in candidates(name, envp) {
        match exec::open_executable(task, None, &candidate, WalkFlags::FOLLOW) {
            Ok(file) => return Ok((file, candidate)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(errno) => denied = denied.or(Some(errno)),
        }
    }
    Err(denied.map_or_else(
        || StartError::NotFound(name.to_vec()),
        |errno| StartError::Program(name.to_vec(), errno),
    ))
}

fn candidates(name: &[u8], envp: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let path = envp
        .iter()
        .find_map(|variable| variable.strip_prefix(b"PATH="));
    let path = path.unwrap_or(b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let join = |directory: &[u8]| {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        [directory, b"/", name].concat()
    };
    path.split(|byte| *byte == b':').map(join).collect()
}
