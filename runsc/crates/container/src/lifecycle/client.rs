//! Talking with the sandbox of a container.

use control::{Connection, Endpoint, FailureKind, Reply, Request};

use crate::state::{State, StateDir, Status};
use crate::{ContainerError, Result};

/// Connects to the sandbox of `state`.
///
/// # Errors
/// [`ContainerError::NotRunning`].
pub fn connect(directory: &StateDir, state: &State) -> Result<Connection> {
    let stopped = || not_running(directory, &state.id);
    if state.status() == Status::Stopped {
        return Err(stopped());
    }
    Endpoint::new(directory.path(), &state.id)
        .and_then(|endpoint| endpoint.connect())
        .map_err(|_| stopped())
}

/// That a container has ended, having said why.
pub(crate) fn not_running(directory: &StateDir, id: &str) -> ContainerError {
    tell_last_words(directory, id);
    ContainerError::NotRunning(id.to_owned())
}

/// Says why a container's processes ended, where nobody was told when they did.
pub fn tell_last_words(directory: &StateDir, id: &str) {
    if let Some(words) = directory.last_words(id) {
        tracing::warn!("{words}");
    }
}

/// Sends a request and waits for its answer.
///
/// # Errors
/// The answer's, in the words that engines look for.
pub fn ask(connection: &Connection, request: &Request, id: &str) -> Result<Reply> {
    connection.send(request, &[]).map_err(gone(id))?;
    answer(connection, id)
}

/// Waits for the next answer.
///
/// # Errors
/// The answer's.
pub fn answer(connection: &Connection, id: &str) -> Result<Reply> {
    match connection.receive::<Reply>().map_err(gone(id))?.message {
        Reply::Failed { kind, reason } => Err(match kind {
            FailureKind::NoSuchContainer => ContainerError::DoesNotExist(id.to_owned()),
            FailureKind::NoSuchProcess => ContainerError::NoSuchProcess(reason),
            FailureKind::Program => ContainerError::Program(reason),
            FailureKind::WrongState | FailureKind::Failed => ContainerError::Refused(reason),
        }),
        reply => Ok(reply),
    }
}

pub(super) fn gone(id: &str) -> impl FnOnce(control::ConnectionError) -> ContainerError {
    let id = id.to_owned();
    move |error| match error {
        control::ConnectionError::Closed => ContainerError::NotRunning(id),
        error => error.into(),
    }
}
