//! Futexes (`man 2 futex`). Skeleton for its owner.

/// The futexes of a kernel that someone waits for.
#[derive(Debug, Default)]
pub struct FutexTable {}

/// Robust futexes of an exiting task: owner died.
pub fn exit_robust(_task: &crate::kernel::Task) {
    todo!()
}

/// Wakes up to `count` waiters of the shared or private futex at `address`.
pub fn wake_address(_task: &crate::kernel::Task, _address: usize, _count: u32) {
    todo!()
}
