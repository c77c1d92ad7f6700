//! [`Existing`]: a container whose state is locked for a verb.

use control::{Reply, Request};

use super::client::{ask, connect};
use crate::state::{Lock, State, StateDir, Status};
use crate::{ContainerError, Result, Settings};

/// What the steps of a verb share.
pub(super) struct Existing {
    pub(super) directory: StateDir,
    pub(super) state: State,
    lock: Lock,
}

impl Existing {
    /// Locks and reads the state.
    pub(super) fn open(settings: &Settings, id: &str) -> Result<Existing> {
        let directory = StateDir::new(&settings.root);
        let lock = directory.lock_existing(id)?;
        let state = directory.load(id)?;
        Ok(Existing {
            directory,
            state,
            lock,
        })
    }

    /// The verb does not fit a container with this status.
    pub(super) fn wrong_state(&self, verb: &'static str, status: Status) -> ContainerError {
        ContainerError::WrongState {
            verb,
            id: self.state.id.clone(),
            status: status.as_str(),
        }
    }

    /// Asks its sandbox.
    pub(super) fn ask(&self, request: &Request) -> Result<Reply> {
        let connection = connect(&self.directory, &self.state)?;
        ask(&connection, request, &self.state.id)
    }

    /// Writes the state back.
    pub(super) fn save(&self) -> Result<()> {
        self.directory.save(&self.state, &self.lock)
    }
}
