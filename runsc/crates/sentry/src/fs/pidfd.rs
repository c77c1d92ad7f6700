//! Process descriptors (`man 2 pidfd_open`). Skeleton for its owner.

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::kernel::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::vfs::file::OpenFlags;

/// Opens a descriptor for `group` in the table of `task`.
pub fn open(_task: &Task, _group: &Arc<ThreadGroup>, _flags: OpenFlags) -> Result<i32> {
    Err(Errno::ENOSYS)
}
