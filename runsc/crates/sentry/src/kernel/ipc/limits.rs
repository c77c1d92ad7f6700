//! What the settings in `/proc/sys/kernel` allow of System V IPC (`man 7 sysvipc`, `man 5 proc_sys_kernel`).

use crate::kernel::task::Task;

/// `kernel.msgmax`: bytes of the longest message.
#[must_use]
pub fn message_len(task: &Task) -> usize {
    task.kernel().sysctl.size_at("kernel/msgmax", 0)
}

/// `kernel.msgmnb`: bytes that a new queue holds.
pub(super) fn queue_bytes(task: &Task) -> usize {
    task.kernel().sysctl.size_at("kernel/msgmnb", 0)
}

/// `kernel.msgmni`: most queues.
pub(super) fn queues(task: &Task) -> usize {
    task.kernel().sysctl.size_at("kernel/msgmni", 0)
}

/// The first number of `kernel.sem`: most semaphores of a set, of which calls can name 65,536.
pub(super) fn semaphores_per_set(task: &Task) -> usize {
    task.kernel().sysctl.size_at("kernel/sem", 0).min(1 << 16)
}

/// The second number of `kernel.sem`: most semaphores of all sets.
pub(super) fn semaphores(task: &Task) -> u64 {
    task.kernel().sysctl.number_at("kernel/sem", 1)
}

/// The third number of `kernel.sem`: most operations of a call.
#[must_use]
pub fn semaphore_operations(task: &Task) -> usize {
    task.kernel().sysctl.size_at("kernel/sem", 2)
}

/// The fourth number of `kernel.sem`: most sets.
pub(super) fn semaphore_sets(task: &Task) -> usize {
    task.kernel().sysctl.size_at("kernel/sem", 3)
}

/// `kernel.shmmax`: bytes of the longest segment.
pub(super) fn segment_bytes(task: &Task) -> u64 {
    task.kernel().sysctl.number_at("kernel/shmmax", 0)
}

/// `kernel.shmall`: pages of all segments.
pub(super) fn segment_pages(task: &Task) -> u64 {
    task.kernel().sysctl.number_at("kernel/shmall", 0)
}

/// `kernel.shmmni`: most segments.
pub(super) fn segments(task: &Task) -> usize {
    task.kernel().sysctl.size_at("kernel/shmmni", 0)
}
