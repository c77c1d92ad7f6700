//! Thread groups: what POSIX calls processes.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::kernel::clone::CloneFlags;
use crate::kernel::kernel::Kernel;
use crate::kernel::limits::Limits;
use crate::kernel::pids::ProcessGroup;
use crate::kernel::signal::Signal;
use crate::kernel::signal::state::{GroupSignals, SharedDispositions};
use crate::kernel::task::{RunState, Task};
use crate::kernel::wait_queue::WaitQueue;

/// How a thread group or a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// `exit(2)` with this code, 0 to 255.
    Exited(u8),
    /// A signal killed it; whether Linux would have dumped core.
    Killed { signal: Signal, core: bool },
}

impl ExitStatus {
    /// The status word of `wait4(2)`.
    #[must_use]
    pub fn wait_status(self) -> u32 {
        match self {
            ExitStatus::Exited(code) => u32::from(code) << 8,
            ExitStatus::Killed { signal, core } => {
                u32::from(signal.number()) | if core { 0x80 } else { 0 }
            }
        }
    }

    /// What a shell would call it: the code, or 128 and the signal.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        match self {
            ExitStatus::Exited(code) => code,
            ExitStatus::Killed { signal, .. } => 128 | signal.number(),
        }
    }
}

/// Processor time and counters, of a group or of its reaped children (`man 2 getrusage`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User time in nanoseconds.
    pub user_ns: u64,
    /// System time in nanoseconds.
    pub system_ns: u64,
    /// Page faults served without I/O.
    pub minor_faults: u64,
    /// Voluntary context switches.
    pub voluntary_switches: u64,
    /// Largest resident set in bytes.
    pub max_resident: u64,
}

impl Usage {
    /// The sum; the larger of the resident sets.
    pub fn add(&mut self, other: &Usage) {
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
        self.minor_faults += other.minor_faults;
        self.voluntary_switches += other.voluntary_switches;
        self.max_resident = self.max_resident.max(other.max_resident);
    }
}

/// A thread group.
#[derive(Debug)]
pub struct ThreadGroup {
    kernel: Arc<Kernel>,
    /// Its place in the tree of processes; changes need the kernel's task set lock.
    pub(crate) links: Mutex<Links>,
    /// Signals, stops and their handlers.
    pub signals: Mutex<GroupSignals>,
    /// Dispositions; shared with other groups by `CLONE_SIGHAND` without `CLONE_THREAD`.
    pub dispositions: Mutex<SharedDispositions>,
    /// Resource limits.
    pub limits: Mutex<Limits>,
    /// Signalled for events that `wait4(2)` of this group's threads may report.
    pub child_events: WaitQueue,
    /// Signalled when it becomes a zombie (pidfds).
    pub exit_event: WaitQueue,
    /// Timers: `setitimer(2)`, `timer_create(2)`.
    pub timers: crate::kernel::timers::GroupTimers,
    /// Contexts of asynchronous I/O.
    pub(crate) aio: crate::kernel::aio::Contexts,
    /// What threads that are gone have read and written.
    pub(crate) io: crate::kernel::io_count::IoCount,
    /// `/proc/[pid]/oom_score_adj`
    pub oom_score_adj: AtomicI32,
    /// The commands of `membarrier(2)` that it has registered for.
    pub membarrier: AtomicU32,
    /// `PR_SET_CHILD_SUBREAPER`
    pub subreaper: AtomicBool,
    /// It has called `execve` since it was forked (`setpgid` of the parent is EACCES then).
    pub has_execed: AtomicBool,
    /// Start in nanoseconds of the monotonic clock.
    pub start_ns: AtomicU64,
    /// The signal for the parent at exit, 0 for none.
    pub exit_signal: AtomicU8,
    /// How it ended, for those outside who wait for it.
    exit_report: Mutex<Option<ExitStatus>>,
    exit_reported: parking_lot::Condvar,
}

/// The relations of a thread group.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Live threads and an exited leader.
    pub(crate) tasks: Vec<Arc<Task>>,
    /// The thread whose id is the process id.
    pub(crate) leader: Weak<Task>,
    /// Threads that have not exited.
    pub(crate) live: usize,
    /// How many of them are on their way out, past everything that could still keep them.
    pub(crate) finishing: usize,
    /// The thread that made it, for those who wait with `__WNOTHREAD`.
    pub(crate) maker: Weak<Task>,
    /// None for the init of the outermost namespace, and for what was put in from outside.
    pub(crate) parent: Option<Arc<ThreadGroup>>,
    /// Children, zombies included.
    pub(crate) children: Vec<Arc<ThreadGroup>>,
    /// The process group; none once reaped.
    pub(crate) process_group: Option<Arc<ProcessGroup>>,
    /// Set once the group is to exit, with what the parent is to see.
    pub(crate) exiting: Option<ExitStatus>,
    /// What the last thread that left gave to `exit(2)`: the status if nothing ended the whole group.
    pub(crate) last_status: Option<ExitStatus>,
    /// All threads are gone.
    pub(crate) zombie: bool,
    /// A thread of the group that runs `execve` and waits for the others to go.
    pub(crate) execing: bool,
    /// Of threads that are gone.
    pub(crate) usage: Usage,
    /// Of children that were waited for.
    pub(crate) children_usage: Usage,
}

impl ThreadGroup {
    /// A group without threads or place. `signals`, `dispositions` and `limits` are its own from here on.
    pub(crate) fn new(
        kernel: &Arc<Kernel>,
        dispositions: SharedDispositions,
        limits: Limits,
        exit_signal: u8,
    ) -> Arc<ThreadGroup> {
        Arc::new(ThreadGroup {
            kernel: kernel.clone(),
            links: Mutex::default(),
            signals: Mutex::default(),
            dispositions: Mutex::new(dispositions),
            limits: Mutex::new(limits),
            child_events: WaitQueue::new(),
            exit_event: WaitQueue::new(),
            timers: crate::kernel::timers::GroupTimers::default(),
            aio: crate::kernel::aio::Contexts::default(),
            io: crate::kernel::io_count::IoCount::default(),
            oom_score_adj: AtomicI32::new(0),
            membarrier: AtomicU32::new(0),
            subreaper: AtomicBool::new(false),
            has_execed: AtomicBool::new(false),
            start_ns: AtomicU64::new(kernel.clock().monotonic_ns()),
            exit_signal: AtomicU8::new(exit_signal),
            exit_report: Mutex::new(None),
            exit_reported: parking_lot::Condvar::new(),
        })
    }

    /// The group of a child process of `task`.
    pub(crate) fn fork(task: &Task, flags: CloneFlags, exit_signal: u8) -> Arc<ThreadGroup> {
        let parent = task.group();
        let shared = parent.dispositions.lock().clone();
        let dispositions = if flags.contains(CloneFlags::SIGHAND) {
            shared
        } else if flags.contains(CloneFlags::CLEAR_SIGHAND) {
            Arc::new(Mutex::new(shared.lock().cleared()))
        } else {
            let copy = shared.lock().clone();
            Arc::new(Mutex::new(copy))
        };
        let group = ThreadGroup::new(parent.kernel(), dispositions, parent.limits(), exit_signal);
        group
            .membarrier
            .store(parent.membarrier.load(Ordering::Relaxed), Ordering::Relaxed);
        group.oom_score_adj.store(
            parent.oom_score_adj.load(Ordering::Relaxed),
            Ordering::Relaxed,
        );
        group
    }

    /// Takes in another thread. The task set must be locked.
    pub(crate) fn add_thread(&self, task: &Arc<Task>) {
        let mut links = self.links.lock();
        if links.exiting.is_some() || links.execing {
            // The others were asked to go before this one could be.
            task.exit_requested.store(true, Ordering::Release);
        }
        links.tasks.push(task.clone());
        links.live += 1;
    }

    /// Takes in its first thread and its place in the tree. The task set must be locked.
    pub(crate) fn adopt_leader(
        self: &Arc<Self>,
        leader: &Arc<Task>,
        parent: Option<Arc<ThreadGroup>>,
        process_group: Option<Arc<ProcessGroup>>,
    ) {
        if let Some(parent) = &parent {
            parent.links.lock().children.push(self.clone());
        }
        let mut links = self.links.lock();
        links.tasks.push(leader.clone());
        links.live = 1;
        links.leader = Arc::downgrade(leader);
        links.parent = parent;
        drop(links);
        self.join(process_group);
    }

    /// Puts it in another process group, or in none. The task set must be locked.
    pub(crate) fn join(self: &Arc<Self>, process_group: Option<Arc<ProcessGroup>>) {
        if let Some(new) = &process_group {
            new.add(self);
        }
        let old = std::mem::replace(&mut self.links.lock().process_group, process_group.clone());
        if let Some(old) = old
            && !process_group.is_some_and(|new| Arc::ptr_eq(&new, &old))
        {
            old.remove(self);
        }
    }

    /// Notes which thread made it. The task set must be locked.
    pub(crate) fn set_maker(&self, maker: Weak<Task>) {
        self.links.lock().maker = maker;
    }

    /// What its threads have used so far, living and gone.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let links = self.links.lock();
        let mut usage = links.usage;
        for task in links
            .tasks
            .iter()
            .filter(|task| task.run_state() != RunState::Zombie)
        {
            let (user_ns, system_ns) = task.cpu_time();
            usage.user_ns += user_ns;
            usage.system_ns += system_ns;
            usage.minor_faults += task.faults.load(Ordering::Relaxed);
        }
        usage
    }

    /// Processor time of its threads, living and gone, in nanoseconds: user, system.
    #[must_use]
    pub fn cpu_time(&self) -> (u64, u64) {
        let usage = self.usage();
        (usage.user_ns, usage.system_ns)
    }

    /// What children that were waited for have used.
    #[must_use]
    pub fn children_usage(&self) -> Usage {
        self.links.lock().children_usage
    }

    /// Tells those outside the kernel that it ended.
    pub(crate) fn report_exit(&self, status: ExitStatus) {
        *self.exit_report.lock() = Some(status);
        self.exit_reported.notify_all();
    }

    /// For threads that are no tasks (the control server): blocks until the group has ended.
    #[must_use]
    pub fn wait_for_exit(&self) -> ExitStatus {
        let mut report = self.exit_report.lock();
        loop {
            if let Some(status) = *report {
                return status;
            }
            self.exit_reported.wait(&mut report);
        }
    }

    /// Blocks the calling host thread until the process has ended, for `limit` at most.
    pub fn wait_for_exit_within(&self, limit: std::time::Duration) -> Option<ExitStatus> {
        let deadline = std::time::Instant::now().checked_add(limit)?;
        let mut report = self.exit_report.lock();
        while report.is_none() {
            if self
                .exit_reported
                .wait_until(&mut report, deadline)
                .timed_out()
            {
                break;
            }
        }
        *report
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// How the group is ending, else `own`, how one thread of it does.
    pub(crate) fn exit_status_or(&self, own: Option<ExitStatus>) -> ExitStatus {
        let ending = self.links.lock().exiting;
        ending.or(own).unwrap_or(ExitStatus::Exited(0))
    }

    /// How many threads have not exited.
    #[must_use]
    pub fn live_threads(&self) -> usize {
        self.links.lock().live
    }

    /// The live threads, the leader among them even if it has exited.
    #[must_use]
    pub fn tasks(&self) -> Vec<Arc<Task>> {
        self.links.lock().tasks.clone()
    }

    /// The leader; none once the group has been reaped.
    #[must_use]
    pub fn leader(&self) -> Option<Arc<Task>> {
        self.links.lock().leader.upgrade()
    }

    /// The process id in its own namespace, 0 once reaped.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.leader().map_or(0, |leader| leader.tid())
    }

    /// The process id as `namespace` sees it, 0 if it does not.
    #[must_use]
    pub fn pid_in(&self, namespace: &Arc<crate::kernel::pids::PidNamespace>) -> u32 {
        self.leader().map_or(0, |leader| leader.tid_in(namespace))
    }

    /// The parent.
    #[must_use]
    pub fn parent(&self) -> Option<Arc<ThreadGroup>> {
        self.links.lock().parent.clone()
    }

    /// The children, zombies included.
    #[must_use]
    pub fn children(&self) -> Vec<Arc<ThreadGroup>> {
        self.links.lock().children.clone()
    }

    /// The process group; none once reaped.
    #[must_use]
    pub fn process_group(&self) -> Option<Arc<ProcessGroup>> {
        self.links.lock().process_group.clone()
    }

    /// Whether every thread has exited.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        self.links.lock().zombie
    }

    /// A copy of the limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        *self.limits.lock()
    }
}
