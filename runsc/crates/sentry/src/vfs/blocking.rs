//! Waiting until an open file can do what it is asked for.

use std::sync::Arc;

use abi::Errno;

use crate::error::{Restart, Result, SysError};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::time::Deadline;
use crate::vfs::file::OpenFile;

/// Runs `attempt`; if it is EAGAIN, and the file is not non-blocking, waits for `events` and tries
/// again. EAGAIN when `deadline` passes; a signal restarts as `restart` says.
pub(crate) fn blocking<T>(
    task: &Task,
    open: &Arc<OpenFile>,
    events: Events,
    deadline: Option<Deadline>,
    restart: Restart,
    mut attempt: impl FnMut() -> Result<T>,
) -> core::result::Result<T, SysError> {
    match attempt() {
        Err(Errno::EAGAIN) if !open.is_nonblocking() => {}
        other => return Ok(other?),
    }
    let Some(queue) = open.file().wait_queue() else {
        return Err(Errno::EAGAIN.into());
    };
    let outcome = task.wait_for(&[(queue, events)], deadline, || match attempt() {
        Err(Errno::EAGAIN) => None,
        other => Some(other),
    });
    Ok(outcome.map_err(|unslept| unslept.into_error(Errno::EAGAIN, restart))??)
}

/// Waits as [`blocking`] does, at most `timeout_ns` (0: for ever). With a time-out, a signal is EINTR
/// whatever its handler's flags (`man 7 signal`).
pub(crate) fn blocking_within<T>(
    task: &Task,
    open: &Arc<OpenFile>,
    events: Events,
    timeout_ns: u64,
    attempt: impl FnMut() -> Result<T>,
) -> core::result::Result<T, SysError> {
    let deadline = (timeout_ns != 0).then(|| task.kernel().clock().after(timeout_ns));
    match blocking(task, open, events, deadline, Restart::Sys, attempt) {
        Err(SysError::Restart(_)) if timeout_ns != 0 => Err(Errno::EINTR.into()),
        other => other,
    }
}
