//! `pause` and `resume`.

use control::Request;

use super::client::not_running;
use super::existing::Existing;
use crate::state::Status;
use crate::{Result, Settings};

/// Stops every process of a container.
///
/// # Errors
/// [`ContainerError::WrongState`](crate::ContainerError::WrongState) when it does not run.
pub fn pause(settings: &Settings, id: &str) -> Result<()> {
    let mut container = Existing::open(settings, id)?;
    container.check_that_it_is(Status::Running, "pause")?;
    container.ask(&Request::Pause { id: id.to_owned() })?;
    container.state.paused = true;
    container.save()
}

/// Lets every process of a container run again.
///
/// # Errors
/// [`ContainerError::WrongState`](crate::ContainerError::WrongState) when it is not paused.
pub fn resume(settings: &Settings, id: &str) -> Result<()> {
    let mut container = Existing::open(settings, id)?;
    container.check_that_it_is(Status::Paused, "resume")?;
    container.ask(&Request::Resume { id: id.to_owned() })?;
    container.state.paused = false;
    container.save()
}

impl Existing {
    fn check_that_it_is(&self, wanted: Status, verb: &'static str) -> Result<()> {
        match self.state.status() {
            Status::Stopped => Err(not_running(&self.directory, &self.state.id)),
            status if status == wanted => Ok(()),
            status => Err(self.wrong_state(verb, status)),
        }
    }
}
