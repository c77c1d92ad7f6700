//! One kernel: what everything hangs from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memory::MemoryFile;
use parking_lot::Mutex;
use platform::Platform;

use crate::kernel::namespaces::{NamespaceIds, UserNamespace};
use crate::kernel::pids::PidNamespace;
use crate::time::Clock;

/// A kernel. Two of them can live in one process.
#[derive(Debug)]
pub struct Kernel {
    platform: Arc<Platform>,
    memory: Arc<MemoryFile>,
    clock: Clock,
    /// Gives namespaces their numbers.
    pub namespace_ids: NamespaceIds,
    next_id: AtomicU64,
    user_ns: Arc<UserNamespace>,
    root_pid_ns: Arc<PidNamespace>,
    /// Serialises changes of the tree of processes (Linux's `tasklist_lock`): the first lock of its chain.
    pub(crate) task_set: Mutex<()>,
    /// The futexes that someone waits for.
    pub futexes: crate::kernel::futex::FutexTable,
    /// What timers wait for.
    pub timer_queue: crate::kernel::timers::TimerQueue,
    /// How many signals each user has queued.
    pub queued_signals: crate::kernel::signal::queue::QueuedByUser,
    /// What strace logs, if anything.
    pub strace: crate::strace::Settings,
    /// Mount ids, device numbers and drivers, files without names (`Vfs::default()`).
    pub vfs: crate::vfs::Vfs,
    /// Bound abstract unix sockets and the like.
    pub sockets: crate::socket::SocketTables,
}

impl Kernel {
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
}
