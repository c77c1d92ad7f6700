//! `start`: the init process of a created container runs.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use control::{Request, StartHook};
use oci_spec::runtime::Hook;

use super::client::{answer, connect, gone};
use super::existing::Existing;
use crate::state::{State, Status};
use crate::{Result, Settings, hooks, notices, spec};

/// How long the processes of a container that could not be started may take to be gone.
const FAILED_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts the init process of a created container.
///
/// # Errors
/// [`ContainerError::WrongState`](crate::ContainerError::WrongState), and the kernel's own reason.
pub fn start(settings: &Settings, id: &str) -> Result<()> {
    let mut container = Existing::open(settings, id)?;
    let state = &container.state;
    let status = state.status();
    if status != Status::Created {
        return Err(container.wrong_state("start", status));
    }
    if state.process.args.is_empty() {
        return Err(spec::invalid(
            "process is missing: there is nothing to start",
        ));
    }
    let connection = connect(&container.directory, state)?;
    let network = notices::of_network(settings.network, state.sandbox.pid);
    let request = Request::Start {
        id: id.to_owned(),
        hooks: start_hooks(state),
        notices: state.notices.iter().cloned().chain(network).collect(),
    };
    let files = hooks::files_inside(state)?;
    let files: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    connection.send(&request, &files).map_err(gone(id))?;
    answer(&connection, id).inspect_err(|_| wait_for_failed(state))?;
    container.state.started = true;
    container.save()?;
    hooks::run_each(
        &container.state.hooks.poststart,
        &container.state,
        "running",
    );
    Ok(())
}

/// A start that failed ends the sandbox. An engine deletes what it knows to have ended, so it must not learn of
/// the failure before whoever waits for the sandbox has learned of its end.
fn wait_for_failed(state: &State) {
    for process in [&state.sandbox, &state.gofer] {
        if let Err(error) = process.wait_until_reaped(FAILED_TIMEOUT) {
            tracing::warn!("after the failed start: {error}");
        }
    }
}

/// The hooks that belong inside the container, where they run as its init process would.
fn start_hooks(state: &State) -> Vec<StartHook> {
    let convert = |hook: &Hook| StartHook {
        path: hook.path().to_string_lossy().into_owned(),
        args: hook.args().clone().unwrap_or_default(),
        env: hook.env().clone().unwrap_or_default(),
        timeout_s: hook.timeout().and_then(|s| u64::try_from(s).ok()),
    };
    state.hooks.start_container.iter().map(convert).collect()
}
