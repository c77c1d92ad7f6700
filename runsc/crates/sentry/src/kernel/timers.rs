//! Timers of a thread group: `setitimer(2)`, `timer_create(2)`. Skeleton for its owner.

/// The timers of a thread group.
#[derive(Debug, Default)]
pub struct GroupTimers {}

/// The group ended: its timers go.
pub fn release(_group: &crate::kernel::thread_group::ThreadGroup) {}

/// The group runs another program: timers of `timer_create(2)` go.
pub fn release_posix(_group: &crate::kernel::thread_group::ThreadGroup) {}
