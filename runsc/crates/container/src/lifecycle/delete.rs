//! `delete`: nothing is left of a container, whatever was.

use std::time::Duration;

use control::{Endpoint, Request, Target};

use super::client::{ask, tell_last_words};
use crate::cgroups::Cgroup;
use crate::state::{Lock, State, StateDir, Status};
use crate::{ContainerError, Result, Settings, hooks, id, signal};

/// How long a killed process may take to be gone.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Deletes a container, whatever is left of it.
///
/// # Errors
/// [`ContainerError::NotStopped`] when it runs and `force` is false.
pub fn delete(settings: &Settings, id: &str, force: bool) -> Result<()> {
    let directory = StateDir::new(&settings.root);
    id::validate(id)?;
    let lock = match directory.lock_existing(id) {
        Err(ContainerError::DoesNotExist(_)) if directory.noted_groups(id).is_some() => {
            return delete_unfinished(&directory, id);
        }
        Err(ContainerError::DoesNotExist(_)) if force => return Ok(()),
        lock => lock?,
    };
    let state = match directory.load(id) {
        Err(error) if force => {
            tracing::warn!("the state of {id} is deleted unread: {error}");
            return delete_unread(&directory, id, lock);
        }
        state => state?,
    };
    if matches!(state.status(), Status::Running | Status::Paused) && !force {
        return Err(ContainerError::NotStopped(id.to_owned()));
    }
    tell_last_words(&directory, id);
    end_processes(&state)?;
    if let Some(cgroup) = &state.cgroup
        && let Err(error) = cgroup.remove()
    {
        // Someone else's process lives in it: the container is gone all the same.
        tracing::warn!("{error}");
    }
    remove_endpoint(&directory, id)?;
    directory.remove(id, lock)?;
    hooks::run_each(&state.hooks.poststop, &state, "stopped");
    Ok(())
}

/// Kills the sandbox and the gofer, neither of which may have to wait for the other, and waits until both are gone.
fn end_processes(state: &State) -> Result<()> {
    state.cgroup.iter().for_each(Cgroup::thaw);
    let processes = [&state.sandbox, &state.gofer];
    processes.iter().try_for_each(|process| process.kill())?;
    processes.iter().try_for_each(|process| {
        let ended = process.wait_for_end(END_TIMEOUT);
        ended.inspect_err(|_| tracing::error!("killed, but still there: {}", process.describe()))
    })
}

/// Deletes what was left when the `create` of a container was killed.
fn delete_unfinished(directory: &StateDir, id: &str) -> Result<()> {
    let lock = directory.lock(id)?;
    // It was being created until now, or is deleted already: neither is ours to touch.
    if directory.exists(id) {
        return Err(ContainerError::NotStopped(id.to_owned()));
    }
    remove_noted(directory, id);
    remove_endpoint(directory, id)?;
    directory.remove(id, lock)
}

/// Removes the control groups of a container that has no state, once its processes have ended.
pub(super) fn remove_noted(directory: &StateDir, id: &str) {
    if let Some(groups) = directory.noted_groups(id)
        && let Err(error) = groups.remove()
    {
        tracing::warn!("{error}");
    }
}

/// Deletes a container whose state can't be read: its sandbox, if it lives, is found by its socket.
fn delete_unread(directory: &StateDir, id: &str, lock: Lock) -> Result<()> {
    let endpoint = Endpoint::new(directory.path(), id);
    if let Ok(connection) = endpoint.and_then(|endpoint| endpoint.connect()) {
        let kill = Request::Signal {
            id: id.to_owned(),
            target: Target::Init,
            signal: signal::KILL,
        };
        // Its end is what matters, not that it can still answer.
        let _ = ask(&connection, &kill, id);
    }
    remove_endpoint(directory, id)?;
    remove_noted(directory, id);
    directory.remove(id, lock)
}

fn remove_endpoint(directory: &StateDir, id: &str) -> Result<()> {
    let Ok(endpoint) = Endpoint::new(directory.path(), id) else {
        return Ok(());
    };
    endpoint
        .remove()
        .map_err(ContainerError::host("remove the control socket"))
}
