//! What a process makes the kernel hold, as far as it would be given back with the process.
//!
//! Linux counts resident memory and page tables alone (`man 5 proc`, *`/proc/pid/oom_score`*), and a process
//! that fills pipes is as innocent as any. Here what descriptors lead to counts too, as do threads,
//! areas, queued signals, and children that only their parent can end or reap: about what each takes, since
//! the figures decide between processes and nothing else. What outlives processes (System V objects, named
//! files of a tmpfs) belongs to nobody and is refused before it gets that far
//! ([`MemoryFile::check_lasting`](memory::MemoryFile::check_lasting)).
//!
//! The looker may hold the lock of a pipe or a queue, if copying to it was what ran short: such locks are
//! tried, and what is locked is passed over.

use std::sync::Arc;

use crate::kernel::clone::TASK_BYTES;
use crate::kernel::thread_group::ThreadGroup;
use crate::vfs::file::OpenFile;

/// An open file description with its descriptor, name and inode.
const OPEN_FILE_BYTES: u64 = 768;
/// An area of an address space, with the host's own for it.
pub(crate) const AREA_BYTES: u64 = 512;
/// A process that has ended and was not waited for.
const ZOMBIE_BYTES: u64 = 4 << 10;
/// How far files in messages in files are followed.
const DEPTH: u32 = 3;

/// What `group`, whose address space has so many areas, makes the kernel hold.
pub(super) fn of_group(group: &Arc<ThreadGroup>, areas: usize) -> u64 {
    let (tasks, children) = {
        let links = group.links.lock();
        (links.tasks.clone(), links.children.clone())
    };
    let mut sum = tasks.len() as u64 * u64::from(TASK_BYTES) + areas as u64 * AREA_BYTES;
    if let Some(task) = tasks.first() {
        let files = task.files.lock().clone();
        sum += files.sum(|open| of_file(open, DEPTH)) + files.size() as u64 * 16;
    }
    let signals = tasks.iter().map(|task| task.signals.lock().held_bytes());
    sum += group.signals.lock().held_bytes() + signals.sum::<u64>();
    // The first process of a namespace has not made the orphans that it is given.
    if !group.is_init() {
        let zombies = children.iter().filter(|child| child.is_zombie()).count();
        let living = children.len() - zombies;
        sum += zombies as u64 * ZOMBIE_BYTES + living as u64 * u64::from(TASK_BYTES);
    }
    sum + group.timers.held_bytes() + group.aio.held_bytes()
}

/// What an open file description holds. `depth`: how far messages in it are followed.
pub(crate) fn of_file(open: &OpenFile, depth: u32) -> u64 {
    OPEN_FILE_BYTES + open.file().held_bytes(depth)
}
