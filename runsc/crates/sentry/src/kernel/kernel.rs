//! One kernel: what everything hangs from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use locks::{Mutex, rank};
use memory::MemoryFile;
use platform::Platform;

use crate::kernel::cgroup::Cgroups;
use crate::kernel::freezer::Freezer;
use crate::kernel::futex::FutexTable;
use crate::kernel::log::KernelLog;
use crate::kernel::namespaces::{NamespaceIds, Namespaces, Owners, UtsNames, UtsNamespace};
use crate::kernel::oom::{OomKiller, OomNotice};
use crate::kernel::pids::PidNamespace;
use crate::kernel::signal::queue::QueuedByUser;
use crate::kernel::timers::TimerQueue;
use crate::kernel::user_count::{Total, UserCount};
use crate::kernel::user_namespace::UserNamespace;
use crate::socket::SocketTables;
use crate::socket::inet::network::Network;
use crate::strace;
use crate::time::Clock;
use crate::vfs::Vfs;

/// What a kernel starts with.
#[derive(Debug)]
pub struct KernelConfig {
    /// What runs application code.
    pub platform: Arc<Platform>,
    /// The guest's physical memory.
    pub memory: Arc<MemoryFile>,
    /// Host and domain name of the first UTS namespace.
    pub names: UtsNames,
    /// How many processors the application sees.
    pub processors: usize,
    /// How much memory the application sees, in bytes.
    pub total_memory: u64,
    /// What `/proc/cpuinfo` says of each processor, after its number.
    pub processor_description: String,
    /// What strace logs.
    pub strace: strace::Settings,
    /// What `uid_map` of the first user namespace shows.
    pub uid_map: Vec<[u32; 3]>,
    /// What its `gid_map` shows.
    pub gid_map: Vec<[u32; 3]>,
    /// Called before a process is killed for want of memory.
    pub on_oom: Option<OomNotice>,
}

/// A kernel. Two of them can live in one process.
#[derive(Debug)]
pub struct Kernel {
    platform: Arc<Platform>,
    memory: Arc<MemoryFile>,
    clock: Clock,
    processors: usize,
    total_memory: u64,
    processor_description: String,
    /// Gives namespaces their numbers.
    pub namespace_ids: NamespaceIds,
    next_id: AtomicU64,
    user_ns: Arc<UserNamespace>,
    root_pid_ns: Arc<PidNamespace>,
    namespaces: Arc<Namespaces>,
    /// Serialises changes of the tree of processes (Linux's `tasklist_lock`): the first lock of its chain.
    pub(crate) task_set: Mutex<(), rank::TaskSet>,
    /// The futexes that someone waits for.
    pub futexes: FutexTable,
    /// The vDSO and the page that it reads.
    pub vdso: crate::time::vdso::Vdso,
    /// What timers wait for.
    pub timer_queue: TimerQueue,
    /// How many signals each user has queued.
    pub queued_signals: QueuedByUser,
    /// How many tasks each real user has, zombies included.
    pub tasks_of_users: UserCount,
    /// How many pages the pipes of each user may hold.
    pub pipe_pages: UserCount,
    /// How many inotify instances each user has.
    pub inotify_instances: UserCount,
    /// How many inotify watches each user has.
    pub inotify_watches: UserCount,
    /// How many files each user watches with epoll.
    pub epoll_watches: UserCount,
    /// How many bytes of System V shared memory each user has locked.
    pub locked_shm: UserCount,
    /// How many open file descriptions there are.
    pub open_files: Total,
    /// How many pseudo terminals there are.
    pub terminals: Total,
    /// What strace logs, if anything.
    pub strace: strace::Settings,
    /// Mount ids, device numbers and drivers, files without names.
    pub vfs: Vfs,
    /// Bound abstract unix sockets and the like.
    pub sockets: SocketTables,
    /// Keeps tasks out of application code while the container is paused.
    pub freezer: Freezer,
    /// Control groups, as the application sees them.
    pub cgroups: Cgroups,
    /// What the kernel has said: `dmesg`.
    pub log: KernelLog,
    /// What the container's user was told.
    pub told: crate::user_log::Told,
    /// Ends a process when memory is used up.
    pub oom: OomKiller,
    /// What was set of `/proc/sys`.
    pub sysctl: Arc<crate::fs::proc::SysctlValues>,
}

impl Kernel {
    /// A kernel without processes.
    #[must_use]
    pub fn new(config: KernelConfig) -> Arc<Kernel> {
        let log = KernelLog::default();
        crate::kernel::log::greet(&log, &config);
        let ids = NamespaceIds::default();
        let user_ns = UserNamespace::root(ids.allocate(), config.uid_map, config.gid_map);
        let namespaces = Namespaces {
            uts: Arc::new(UtsNamespace {
                ino: ids.allocate(),
                user_ns: user_ns.clone(),
                names: Mutex::new(config.names),
            }),
            mounts: None,
            ipc_ino: ids.allocate(),
            ipc: Arc::default(),
            net: Network::of_container(ids.allocate()),
            cgroup_ino: ids.allocate(),
            time_ino: ids.allocate(),
            owners: Owners::all(&user_ns),
        };
        let kernel = Arc::new(Kernel {
            platform: config.platform,
            memory: config.memory,
            clock: Clock::new(),
            processors: config.processors.max(1),
            root_pid_ns: PidNamespace::new(ids.allocate(), user_ns.clone()),
            total_memory: config.total_memory,
            processor_description: config.processor_description,
            namespace_ids: ids,
            next_id: AtomicU64::new(1),
            user_ns,
            namespaces: Arc::new(namespaces),
            task_set: Mutex::new(()),
            futexes: FutexTable::default(),
            vdso: crate::time::vdso::Vdso::default(),
            timer_queue: TimerQueue::default(),
            queued_signals: QueuedByUser::default(),
            tasks_of_users: UserCount::default(),
            pipe_pages: UserCount::default(),
            inotify_instances: UserCount::default(),
            inotify_watches: UserCount::default(),
            epoll_watches: UserCount::default(),
            locked_shm: UserCount::default(),
            open_files: Total::default(),
            terminals: Total::default(),
            strace: config.strace,
            vfs: Vfs::default(),
            sockets: SocketTables::default(),
            sysctl: Arc::default(),
            freezer: Freezer::default(),
            cgroups: Cgroups::default(),
            log,
            told: crate::user_log::Told::default(),
            oom: OomKiller::new(config.on_oom),
        });
        crate::kernel::oom::attach(&kernel);
        kernel
    }

    /// What runs application code.
    #[must_use]
    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// The guest's physical memory.
    #[must_use]
    pub fn memory(&self) -> &Arc<MemoryFile> {
        &self.memory
    }

    /// The clocks.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How many processors the application sees.
    #[must_use]
    pub fn processors(&self) -> usize {
        self.processors
    }

    /// How much memory the application sees, in bytes.
    #[must_use]
    pub fn total_memory(&self) -> u64 {
        self.total_memory
    }

    /// What `/proc/cpuinfo` says of each processor, after its number.
    #[must_use]
    pub fn processor_description(&self) -> &str {
        &self.processor_description
    }

    /// A number never given before: ids of address spaces, mappable objects, anonymous inodes.
    pub fn unique_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The outermost user namespace.
    #[must_use]
    pub fn user_ns(&self) -> &Arc<UserNamespace> {
        &self.user_ns
    }

    /// The outermost pid namespace.
    #[must_use]
    pub fn root_pid_ns(&self) -> &Arc<PidNamespace> {
        &self.root_pid_ns
    }

    /// The first namespaces of the other kinds.
    #[must_use]
    pub fn namespaces(&self) -> &Arc<Namespaces> {
        &self.namespaces
    }
}
