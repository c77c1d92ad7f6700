//! `runsc state`: what is known of a container, as JSON.

use anyhow::Result;
use container::hooks::state_json;
use container::state::{State, StateDir};
use serde_json::Value;

use crate::cli::{Command, Invocation, print};

pub(crate) const COMMAND: Command = Command {
    name: "state",
    usage: "ID",
    about: "print the state of a container",
    flags: &[],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    let state = StateDir::new(&invocation.config.settings.root).load(id)?;
    print(&format!(
        "{}\n",
        serde_json::to_string_pretty(&full(&state))?
    ));
    Ok(0)
}

/// The specification's fields, and those that runc adds.
pub(crate) fn full(state: &State) -> Value {
    let mut value = state_json(state, state.status().as_str());
    if let Value::Object(fields) = &mut value {
        fields.insert("rootfs".into(), state.rootfs.to_string_lossy().into());
        fields.insert("created".into(), state.created.as_str().into());
        fields.insert("owner".into(), state.owner.as_str().into());
    }
    value
}
