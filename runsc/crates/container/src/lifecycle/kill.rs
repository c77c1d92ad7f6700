//! `kill`: a signal for the container's processes, or the end of all of them.

use std::time::Duration;

use control::{Connection, Request, Target};
use host::errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::client::{answer, connect, gone};
use crate::cgroups::Cgroup;
use crate::state::StateDir;
use crate::{ContainerError, Result, Settings, signal};

/// How long a sandbox may take to say that it kills its container, before the host kills the sandbox.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends a signal.
///
/// # Errors
/// [`ContainerError::NotRunning`] when the container has ended.
pub fn kill(settings: &Settings, id: &str, target: Target, number: i32) -> Result<()> {
    let directory = StateDir::new(&settings.root);
    let state = directory.load(id)?;
    let connection = connect(&directory, &state)?;
    let request = Request::Signal {
        id: id.to_owned(),
        target,
        signal: number,
    };
    let is_kill = number == signal::KILL;
    connection.send(&request, &[]).map_err(gone(id))?;
    if is_kill && !matches!(target, Target::Pid(_)) && !answers(&connection, KILL_TIMEOUT)? {
        tracing::warn!("the sandbox of {id} does not answer: the host kills it");
        state.cgroup.iter().for_each(Cgroup::thaw);
        return state.sandbox.kill();
    }
    match answer(&connection, id) {
        // A killed sandbox may be gone before its answer is read.
        Err(ContainerError::NotRunning(_)) if is_kill => Ok(()),
        answered => answered.map(drop),
    }
}

/// Whether there is something to receive within `timeout`, be it the end of the connection.
fn answers(connection: &Connection, timeout: Duration) -> Result<bool> {
    let timeout = Timespec::try_from(timeout).ok();
    let mut polled = [PollFd::new(connection, PollFlags::IN)];
    match poll(&mut polled, timeout.as_ref()) {
        Ok(nr_ready) => Ok(nr_ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(ContainerError::host("wait for an answer")(errno(error))),
    }
}
