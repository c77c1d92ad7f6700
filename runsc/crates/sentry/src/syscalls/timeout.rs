//! Time-outs of calls that wait: read, and written back as what is left.

use abi::Errno;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;

use crate::error::{Restart, Result, SysError, SyscallResult};
use crate::kernel::signal::SignalSet;
use crate::kernel::task::Task;
use crate::time::Deadline;

/// The deadline of a relative time-out of this many nanoseconds.
pub(super) fn after(task: &Task, nanos: u64) -> Deadline {
    task.kernel().clock().after(nanos)
}

/// The deadline of `poll` and `epoll_wait`: milliseconds, negative for ever.
pub(super) fn after_millis(task: &Task, millis: i32) -> Option<Deadline> {
    let millis = u64::try_from(millis).ok()?;
    Some(after(task, millis * 1_000_000))
}

/// The deadline of a relative time-out behind a pointer, none if it is NULL.
pub(super) fn read(task: &Task, pointer: UserPtr<Timespec>) -> Result<Option<Deadline>> {
    if pointer.is_null() {
        return Ok(None);
    }
    let nanos = pointer.read(&task.mm())?.to_nanos().ok_or(Errno::EINVAL)?;
    Ok(Some(after(task, nanos)))
}

/// What is left until `deadline`, in nanoseconds.
pub(super) fn left(task: &Task, deadline: Deadline) -> u64 {
    let left = task.kernel().clock().until(deadline);
    u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
}

/// Ends a call whose time-out is updated to what is left; if that fails, the call can't be restarted.
pub(super) fn finish(
    task: &Task,
    result: SyscallResult,
    deadline: Option<Deadline>,
    write: impl FnOnce(u64) -> Result<()>,
) -> SyscallResult {
    let Some(deadline) = deadline else {
        return result;
    };
    match (write(left(task, deadline)), result) {
        (Err(_), Err(SysError::Restart(Restart::NoHandler))) => Err(Errno::EINTR.into()),
        (_, result) => result,
    }
}

/// The mask of `ppoll` and the like: none if the pointer is NULL, EINVAL for another size than the kernel's.
pub(super) fn read_mask(task: &Task, address: usize, len: usize) -> Result<Option<SignalSet>> {
    if address == 0 {
        return Ok(None);
    }
    if len != abi::signal::SIGSET_LEN {
        return Err(Errno::EINVAL);
    }
    let bits: u64 = task.mm().read_value(address)?;
    Ok(Some(SignalSet(bits)))
}
