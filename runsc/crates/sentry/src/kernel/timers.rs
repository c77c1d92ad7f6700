//! Timers of a thread group: `setitimer(2)`, `timer_create(2)`. Skeleton for its owner.

/// The timers of a thread group.
#[derive(Debug, Default)]
pub struct GroupTimers {}
