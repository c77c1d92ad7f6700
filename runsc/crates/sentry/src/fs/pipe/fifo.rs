//! Opening a fifo by its name (`man 7 fifo`): each side waits for the other.

use std::sync::Arc;

use abi::Errno;

use super::end::{PipeEnd, Ways};
use super::{Pipe, State};
use crate::error::{Restart, SysError};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::vfs::file::{File, OpenFlags};

/// Opens the fifo whose pipe is `pipe`. Waits for the other side unless `O_NONBLOCK` or `O_RDWR` is given;
/// ENXIO for `O_WRONLY` with `O_NONBLOCK` and no reader.
pub fn open_fifo(
    task: &Task,
    pipe: &Arc<Pipe>,
    flags: OpenFlags,
) -> Result<Arc<dyn File>, SysError> {
    let ways = ways(flags)?;
    let nonblocking = flags.contains(OpenFlags::NONBLOCK);
    if ways == Ways::WRITE && nonblocking && pipe.state.lock().readers == 0 {
        return Err(Errno::ENXIO.into());
    }
    let end = PipeEnd::open(pipe, ways, flags.contains(OpenFlags::DIRECT));
    if ways != Ways::READ | Ways::WRITE && !nonblocking {
        let other: fn(&State) -> (usize, u64) = if ways == Ways::READ {
            |state| (state.writers, state.writer_opens)
        } else {
            |state| (state.readers, state.reader_opens)
        };
        wait_for_other(task, pipe, other)?;
    }
    Ok(end)
}

/// Opens a pipe without a name again, through `/proc/[pid]/fd`: it waits for nobody, since what was
/// written may be there although its writer is gone (Linux's `fifo_open`).
pub fn reopen_pipe(pipe: &Arc<Pipe>, flags: OpenFlags) -> Result<Arc<dyn File>, SysError> {
    let ways = ways(flags)?;
    if ways == Ways::WRITE && flags.contains(OpenFlags::NONBLOCK) && pipe.state.lock().readers == 0
    {
        return Err(Errno::ENXIO.into());
    }
    Ok(PipeEnd::open(pipe, ways, flags.contains(OpenFlags::DIRECT)))
}

fn ways(flags: OpenFlags) -> Result<Ways, SysError> {
    match (flags.readable(), flags.writable()) {
        (true, true) => Ok(Ways::READ | Ways::WRITE),
        (true, false) => Ok(Ways::READ),
        (false, true) => Ok(Ways::WRITE),
        (false, false) => Err(Errno::EINVAL.into()),
    }
}

/// Waits until `other` has an end open, or has had one since.
fn wait_for_other(
    task: &Task,
    pipe: &Pipe,
    other: fn(&State) -> (usize, u64),
) -> Result<(), SysError> {
    let (open, opens_before) = other(&pipe.state.lock());
    if open > 0 {
        return Ok(());
    }
    let met = || (other(&pipe.state.lock()).1 != opens_before).then_some(());
    task.wait_for(&[(&pipe.queue, Events::all())], None, met)
        .map_err(|_| SysError::Restart(Restart::Sys))
}
