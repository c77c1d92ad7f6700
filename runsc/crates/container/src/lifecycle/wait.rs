//! `wait`: the exit code of a process of the container.

use control::{Reply, Request};

use super::client::{ask, connect};
use crate::state::StateDir;
use crate::{ContainerError, Result, Settings};

/// Waits for a process of the container to end: its init process, or the guest process `pid`.
///
/// # Errors
/// [`ContainerError::NotRunning`] when the container has ended.
pub fn wait(settings: &Settings, id: &str, pid: Option<i32>) -> Result<u8> {
    let directory = StateDir::new(&settings.root);
    let state = directory.load(id)?;
    let connection = connect(&directory, &state)?;
    match ask(
        &connection,
        &Request::Wait {
            id: id.to_owned(),
            pid,
        },
        id,
    )? {
        Reply::Exited { status } => Ok(status),
        _ => Err(ContainerError::Refused(
            "an answer that does not fit the question".into(),
        )),
    }
}
