//! Futexes (`man 2 futex`). Skeleton for its owner.

/// The futexes of a kernel that someone waits for.
#[derive(Debug, Default)]
pub struct FutexTable {}
