//! `runsc state`: what is known of a container, as JSON.

use std::path::Path;

use anyhow::Result;
use container::hooks::{StateJson, state_json};
use container::lifecycle;
use container::state::{State, StateDir};
use serde::Serialize;

use crate::cli::print;
use crate::config::Config;

pub(crate) fn run(config: &Config, id: &str) -> Result<u8> {
    let directory = StateDir::new(&config.settings.root);
    let state = directory.load(id)?;
    lifecycle::tell_last_words(&directory, id);
    print(&format!(
        "{}\n",
        serde_json::to_string_pretty(&full(&state))?
    ));
    Ok(0)
}

/// The specification's fields, and those that runc adds.
#[derive(Debug, Serialize)]
pub(crate) struct Full<'a> {
    #[serde(flatten)]
    state: StateJson<'a>,
    rootfs: &'a Path,
    created: &'a str,
    owner: &'a str,
}

pub(crate) fn full(state: &State) -> Full<'_> {
    Full {
        state: state_json(state, state.status().as_str()),
        rootfs: &state.rootfs,
        created: &state.created,
        owner: &state.owner,
    }
}
