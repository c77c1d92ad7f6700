//! Tasks: threads of the application.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use locks::{Mutex, rank};
use mm::AddressSpace;
use platform::{Context, Interrupter, ThreadState};

use crate::kernel::credentials::{Capability, Credentials};
use crate::kernel::fs_context::{FsContext, FsUser};
use crate::kernel::kernel::Kernel;
use crate::kernel::namespaces::Namespaces;
use crate::kernel::pids::{PidNamespace, PidNumbers};
use crate::kernel::program::Running;
use crate::kernel::ptrace;
use crate::kernel::seccomp;
use crate::kernel::signal::state::TaskSignals;
use crate::kernel::thread_group::{ExitStatus, ThreadGroup};
use crate::kernel::user_count::Charge;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::fd_table::FdTable;

/// One thread of the application. Its own host thread runs it; others see it through locks.
#[derive(Debug)]
pub struct Task {
    kernel: Arc<Kernel>,
    group: Arc<ThreadGroup>,
    numbers: Mutex<PidNumbers>,
    /// The registers while the task is in the kernel.
    pub registers: Mutex<ThreadState>,
    pub(crate) running: Mutex<Option<Running>>,
    pub(crate) fs: Mutex<FsUser>,
    pub(crate) files: Mutex<Arc<FdTable>>,
    credentials: Mutex<Arc<Credentials>>,
    /// One of its real user's tasks, from its first number to its last. Locked with `credentials` locked.
    counted: Mutex<Option<Charge>>,
    /// Being traced, while `traced` is set.
    pub(crate) tracing: Mutex<Option<Box<ptrace::Tracing>>>,
    /// A glance at `tracing`.
    pub(crate) traced: AtomicBool,
    /// What a tracer has put in place of the signal of the current stop.
    pub(crate) trace_info: Mutex<Option<crate::kernel::signal::SignalInfo>>,
    /// Whom it traces.
    pub(crate) tracees: Mutex<Vec<ptrace::Tracee>>,
    seccomp: Mutex<seccomp::State>,
    /// There is a seccomp mode: a glance for every call.
    has_seccomp: AtomicBool,
    pub(crate) namespaces: Mutex<Arc<Namespaces>>,
    /// Where children are put (`unshare(CLONE_NEWPID)`, `setns`).
    pub(crate) child_pid_ns: Mutex<Arc<PidNamespace>>,
    /// The thread's share of signals.
    pub signals: Mutex<TaskSignals, rank::TaskSignals>,
    pub(crate) interrupter: Interrupter,
    pub(crate) host_thread: OnceLock<std::thread::Thread>,
    /// The platform's side of the task, while the task is in the kernel; only its own thread uses it, puts it
    /// here and takes it away for good.
    pub(crate) context: Mutex<Option<Box<Context>>>,
    /// A signal is to be handled, or a stop to be joined (`Task::is_interrupted`). Set at first, so that a
    /// new thread looks at what its group has for it.
    pub(crate) signal_pending: AtomicBool,
    /// [`OwnState::affinity`] is not where the task runs yet.
    pub(crate) affinity_changed: AtomicBool,
    /// The task is to exit as soon as it can: set before a kick.
    pub(crate) exit_requested: AtomicBool,
    /// What `exit(2)` was given.
    pub(crate) exit_status: Mutex<Option<ExitStatus>>,
    /// Told when the task stops using its address space (`vfork(2)`, `man 2 clone` on `CLONE_VFORK`).
    pub(crate) vfork_done: Mutex<Option<Arc<VforkDone>>>,
    /// Odds and ends that only the task itself changes.
    pub own: Mutex<OwnState>,
    pub(crate) state: Mutex<RunState>,
    /// Processor time.
    pub cpu: crate::kernel::cpu_time::CpuTime,
    pub(crate) faults: AtomicU64,
    /// The call that strace prints, if one is being made.
    pub(crate) strace_call: Mutex<Option<crate::strace::Traced>>,
    /// What it has read and written.
    pub(crate) io: crate::kernel::io_count::IoCount,
}

/// Wakes the parent of a `vfork(2)`.
#[derive(Debug, Default)]
pub struct VforkDone {
    done: AtomicBool,
    queue: WaitQueue,
}

impl VforkDone {
    /// The child no longer uses the parent's memory.
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::Release);
        self.queue.wake(Events::IN);
    }

    /// Whether it has finished.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Told when it finishes.
    pub(crate) fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

/// What the task is doing, as `/proc/[pid]/stat` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// R
    Running,
    /// S
    Sleeping,
    /// T
    Stopped,
    /// t
    Traced,
    /// Z
    Zombie,
    /// X
    Dead,
}

/// What only the task itself changes, and others may look at.
#[derive(Clone, Debug, Default)]
pub struct OwnState {
    /// `/proc/[pid]/comm`, `PR_SET_NAME`: at most 15 bytes.
    pub name: Vec<u8>,
    /// `set_tid_address(2)`: cleared and woken at exit.
    pub clear_child_tid: usize,
    /// `set_robust_list(2)`.
    pub robust_list: usize,
    /// `PR_SET_PDEATHSIG`
    pub parent_death_signal: u8,
    /// What `restart_syscall` goes on with.
    pub restart_block: Option<RestartBlock>,
    /// CPUs it may run on, one bit each (`sched_setaffinity(2)`).
    pub affinity: Vec<u64>,
    /// Nice value, −20 to 19.
    pub nice: i8,
    /// Scheduling policy and priority (`sched_setscheduler(2)`).
    pub policy: i32,
    /// Real-time priority.
    pub priority: i32,
    /// `PR_SET_TIMERSLACK`, in nanoseconds.
    pub timer_slack_ns: u64,
    /// `personality(2)`
    pub personality: u32,
    /// `ioprio_set(2)`
    pub io_priority: i32,
}

/// A call that was interrupted and knows how to go on (`man 2 restart_syscall`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartBlock {
    /// `nanosleep`, `clock_nanosleep`: until this deadline; where to store what is left.
    Sleep {
        deadline: crate::time::Deadline,
        remaining: usize,
    },
    /// `poll`: these descriptors until this deadline.
    Poll {
        fds: usize,
        count: u64,
        deadline: Option<crate::time::Deadline>,
    },
    /// `futex` `FUTEX_WAIT` with a relative time-out.
    Futex {
        address: usize,
        value: u32,
        bitset: u32,
        private: bool,
        deadline: crate::time::Deadline,
    },
}

/// What a task starts with.
#[derive(Debug)]
pub struct TaskParts {
    /// Its registers.
    pub registers: ThreadState,
    /// Its program and memory; none for the first task of a process from outside, until its program is loaded.
    pub running: Option<Running>,
    /// Root, cwd, umask.
    pub fs: FsUser,
    /// Descriptors.
    pub files: Arc<FdTable>,
    /// Credentials.
    pub credentials: Arc<Credentials>,
    /// Namespaces.
    pub namespaces: Arc<Namespaces>,
    /// The namespace of its children.
    pub child_pid_ns: Arc<PidNamespace>,
    /// Signals.
    pub signals: TaskSignals,
    /// What interrupts the platform's side of it, which its host thread brings along.
    pub interrupter: Interrupter,
    /// Whom `vfork(2)` keeps waiting.
    pub vfork_done: Option<Arc<VforkDone>>,
    /// The rest.
    pub own: OwnState,
}

impl Task {
    /// A task of `group` that is not in any table yet.
    #[must_use]
    pub fn new(group: Arc<ThreadGroup>, parts: TaskParts) -> Arc<Task> {
        Arc::new(Task {
            kernel: group.kernel().clone(),
            group,
            numbers: Mutex::new(PidNumbers(Vec::new())),
            registers: Mutex::new(parts.registers),
            running: Mutex::new(parts.running),
            fs: Mutex::new(parts.fs),
            files: Mutex::new(parts.files),
            credentials: Mutex::new(parts.credentials),
            counted: Mutex::default(),
            tracing: Mutex::default(),
            traced: AtomicBool::new(false),
            trace_info: Mutex::default(),
            tracees: Mutex::default(),
            seccomp: Mutex::default(),
            has_seccomp: AtomicBool::new(false),
            namespaces: Mutex::new(parts.namespaces),
            child_pid_ns: Mutex::new(parts.child_pid_ns),
            signals: Mutex::new(parts.signals),
            interrupter: parts.interrupter,
            host_thread: OnceLock::new(),
            context: Mutex::default(),
            signal_pending: AtomicBool::new(true),
            affinity_changed: AtomicBool::new(!parts.own.affinity.is_empty()),
            exit_requested: AtomicBool::new(false),
            exit_status: Mutex::new(None),
            vfork_done: Mutex::new(parts.vfork_done),
            own: Mutex::new(parts.own),
            state: Mutex::new(RunState::Running),
            cpu: crate::kernel::cpu_time::CpuTime::default(),
            faults: AtomicU64::new(0),
            strace_call: Mutex::default(),
            io: crate::kernel::io_count::IoCount::default(),
        })
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// The thread group.
    #[must_use]
    pub fn group(&self) -> &Arc<ThreadGroup> {
        &self.group
    }

    /// The ids.
    #[must_use]
    pub fn numbers(&self) -> PidNumbers {
        self.numbers.lock().clone()
    }

    /// Gives it its numbers, which are in the tables. It counts as one of its user's from here on.
    pub(crate) fn set_numbers(&self, numbers: PidNumbers) {
        *self.numbers.lock() = numbers;
        let credentials = self.credentials.lock();
        let tasks = self.kernel.tasks_of_users.of(credentials.uid);
        *self.counted.lock() = Some(tasks.charge(1));
    }

    /// Frees its numbers, if it has any; it counts no longer. The task set must be locked.
    pub(crate) fn release_numbers(&self) {
        self.numbers().release();
        if self.counted.lock().take().is_some() {
            self.kernel.cgroups.remove_task(&self.group);
        }
    }

    /// Takes the numbers of a leader that has exited, in place of its own. The task set must be locked.
    pub(crate) fn take_numbers_of(self: &Arc<Self>, old: &Task) {
        self.release_numbers();
        let numbers = old.numbers();
        for (namespace, id) in &numbers.0 {
            namespace.replace(*id, self);
        }
        old.counted.lock().take();
        self.set_numbers(numbers);
    }

    /// The thread id in its own namespace: `gettid(2)`.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.numbers.lock().own()
    }

    /// The thread id as `namespace` sees it, 0 if it does not.
    #[must_use]
    pub fn tid_in(&self, namespace: &Arc<PidNamespace>) -> u32 {
        self.numbers.lock().in_namespace(namespace)
    }

    /// The innermost pid namespace.
    #[must_use]
    pub fn pid_namespace(&self) -> Arc<PidNamespace> {
        self.numbers.lock().namespace().clone()
    }

    /// Whether its id is the process id.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        std::ptr::eq(self.group.links.lock().leader.as_ptr(), self)
    }

    /// The address space. A task that has none any more (it is exiting) is not in a system call.
    #[must_use]
    pub fn mm(&self) -> Arc<AddressSpace> {
        self.mm_if_alive()
            .expect("a task in a system call has an address space")
    }

    /// The address space, none once it is exiting: for others that look at the task.
    #[must_use]
    pub fn mm_if_alive(&self) -> Option<Arc<AddressSpace>> {
        self.running
            .lock()
            .as_ref()
            .map(|running| running.mm.clone())
    }

    /// The program and the address space, none once it is exiting.
    #[must_use]
    pub fn running(&self) -> Option<Running> {
        self.running.lock().clone()
    }

    /// Root, working directory, umask.
    #[must_use]
    pub fn fs(&self) -> Arc<FsContext> {
        self.fs.lock().context().clone()
    }

    /// The descriptor table.
    #[must_use]
    pub fn files(&self) -> Arc<FdTable> {
        self.files.lock().clone()
    }

    /// The credentials.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Installs new credentials.
    pub fn set_credentials(&self, credentials: Credentials) {
        let mut slot = self.credentials.lock();
        let ids = |set: &Credentials| [set.euid, set.egid, set.fsuid, set.fsgid];
        // What its user may do in a namespace of that user's own is nothing new.
        let made_here = credentials
            .user_ns
            .parent
            .as_ref()
            .is_some_and(|parent| Arc::ptr_eq(parent, &slot.user_ns))
            && credentials.user_ns.owner == slot.euid;
        let gains = !made_here && !credentials.permitted.is_subset_of(slot.permitted);
        let changes = ids(&slot) != ids(&credentials) || gains;
        if slot.uid != credentials.uid {
            let tasks = self.kernel.tasks_of_users.of(credentials.uid);
            let mut counted = self.counted.lock();
            *counted = counted.take().map(|_| tasks.charge(1));
        }
        *slot = Arc::new(credentials);
        drop(slot);
        // Others of the new user must not look into what the old one left in memory (man 2 prctl,
        // PR_SET_DUMPABLE).
        if changes && let Some(mm) = self.mm_if_alive() {
            mm.set_dumpable(false);
        }
    }

    /// Whether another task traces it (`man 2 ptrace`).
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.traced.load(Ordering::Acquire)
    }

    /// What restricts its calls.
    #[must_use]
    pub fn seccomp(&self) -> seccomp::State {
        self.seccomp.lock().clone()
    }

    /// Whether anything does.
    #[must_use]
    pub(crate) fn has_seccomp(&self) -> bool {
        self.has_seccomp.load(Ordering::Acquire)
    }

    /// Restricts its calls. The task set must be locked, so that TSYNC and clone do not cross.
    pub(crate) fn set_seccomp(&self, state: seccomp::State) {
        let on = state.mode() != 0;
        *self.seccomp.lock() = state;
        self.has_seccomp.store(on, Ordering::Release);
    }

    /// Whether it has `capability` in the outermost user namespace ([`Credentials::has`]).
    #[must_use]
    pub fn has_capability(&self, capability: Capability) -> bool {
        self.credentials.lock().has(capability)
    }

    /// The namespaces other than mount, pid and user.
    #[must_use]
    pub fn namespaces(&self) -> Arc<Namespaces> {
        self.namespaces.lock().clone()
    }

    /// What it is doing.
    #[must_use]
    pub fn run_state(&self) -> RunState {
        *self.state.lock()
    }

    /// Makes it look at its signals and its state soon, whether it sleeps or runs application code.
    pub fn kick(&self) {
        self.interrupter.interrupt();
        if let Some(thread) = self.host_thread.get() {
            thread.unpark();
        }
    }

    /// Runs `body` with the platform's side of the task. Only for the task's own thread, in the kernel.
    pub fn with_context<T>(&self, body: impl FnOnce(&mut Context) -> T) -> T {
        let mut slot = self.context.lock();
        body(
            slot.as_mut()
                .expect("the context is in its slot while the task is in the kernel"),
        )
    }

    /// Whether the task is to exit: nothing may keep it.
    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.exit_requested.load(Ordering::Acquire)
    }

    /// Processor time so far, in nanoseconds: user, system.
    #[must_use]
    pub fn cpu_time(&self) -> (u64, u64) {
        self.cpu.at(self.kernel.clock().monotonic_ns())
    }
}
