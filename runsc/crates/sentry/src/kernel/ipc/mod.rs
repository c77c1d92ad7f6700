//! System V IPC (`man 7 sysvipc`): message queues, semaphore sets, shared memory segments; POSIX message queues.
//!
//! Each kind has a [`table::Table`] of objects per IPC namespace. A table's lock, or an object's, is held for
//! a moment only: never while a task sleeps or user memory is copied.

pub mod limits;
pub mod mq;
pub mod msg;
pub mod permission;
pub mod sem;
pub mod shm;
pub mod table;

use std::sync::{Arc, OnceLock};

use locks::Mutex;

use crate::fs::mqueue;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use table::Table;

/// What an IPC namespace holds.
#[derive(Debug, Default)]
pub struct IpcNamespace {
    /// POSIX message queues.
    pub(crate) named: Arc<mq::NamedQueues>,
    /// The file system that shows them, once it was needed.
    pub(crate) mqueue: OnceLock<mqueue::Instance>,
    /// Message queues.
    pub(crate) queues: Mutex<Table<Arc<msg::Queue>>>,
    /// Semaphore sets.
    pub(crate) semaphores: Mutex<Table<Arc<sem::Set>>>,
    /// Shared memory segments.
    pub(crate) segments: Mutex<Table<Arc<shm::Segment>>>,
}

/// The namespace of a task.
#[must_use]
pub fn of(task: &Task) -> Arc<IpcNamespace> {
    task.namespaces().ipc.clone()
}

/// A process ended: its semaphore adjustments are undone (`SEM_UNDO`), and segments that only it had attached
/// and that are marked for it go.
pub fn release(task: &Task, group: &Arc<ThreadGroup>) {
    let sets = of(task).semaphores.lock().all();
    for (_, set) in sets {
        set.undo(group);
    }
    shm::sweep(task);
}

/// The time that `ctime` fields show, in seconds.
fn now(task: &Task) -> i64 {
    let seconds = task.kernel().clock().realtime_ns() / crate::time::NANOS_PER_SEC;
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// Puts numbers into a structure as it lies in memory.
#[derive(Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    fn word(mut self, value: u64) -> Encoder {
        self.0.extend_from_slice(&value.to_ne_bytes());
        self
    }

    fn signed(self, value: i64) -> Encoder {
        self.word(value.cast_unsigned())
    }

    fn half(mut self, value: u32) -> Encoder {
        self.0.extend_from_slice(&value.to_ne_bytes());
        self
    }

    fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A count as the structures hold it.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
