//! What the System V IPC calls share: commands, and structures that are read.

use crate::error::{Result, SyscallResult};
use crate::kernel::ipc::permission;
use crate::kernel::task::Task;

pub(super) const IPC_NOWAIT: u32 = 0o4000;
pub(super) const IPC_RMID: i32 = 0;
pub(super) const IPC_SET: i32 = 1;
pub(super) const IPC_STAT: i32 = 2;
pub(super) const IPC_INFO: i32 = 3;

/// An identifier, which is never negative.
pub(super) fn id(id: i32) -> SyscallResult {
    Ok(u64::from(id.unsigned_abs()))
}

/// What `IPC_SET` takes of a `struct ipc64_perm`.
pub(super) struct NewPermission {
    pub(super) owner: (u32, u32),
    pub(super) mode: u32,
}

pub(super) fn read_permission(task: &Task, address: usize) -> Result<NewPermission> {
    let words: [u32; 6] = task.mm().read_value(address)?;
    Ok(NewPermission {
        owner: (words[1], words[2]),
        mode: words[5],
    })
}

/// What `*_STAT` needs, and `*_STAT_ANY` does not.
pub(super) fn stat_permission(any: bool) -> u32 {
    if any { 0 } else { permission::READ }
}
