//! Hooks of a spec: programs that the engine wants run on the host at points of a container's life.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use control::ConnectionError;
use oci_spec::runtime::{Hook, Hooks};
use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::{ContainerError, Result};

/// Hooks that are kept in the state, for the commands after `create`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedHooks {
    /// Run by `start`, inside by the specification; see [`crate::lifecycle`].
    pub start_container: Vec<Hook>,
    /// Run after the process was started.
    pub poststart: Vec<Hook>,
    /// Run after the container was deleted.
    pub poststop: Vec<Hook>,
}

/// The hooks that `create` runs, in order, once the namespaces exist.
#[must_use]
pub fn at_create(hooks: &Hooks) -> Vec<Hook> {
    [
        hooks.prestart(),
        hooks.create_runtime(),
        hooks.create_container(),
    ]
    .into_iter()
    .flatten()
    .flatten()
    .cloned()
    .collect()
}

/// The hooks for later.
#[must_use]
pub fn saved(hooks: &Hooks) -> SavedHooks {
    SavedHooks {
        start_container: hooks.start_container().clone().unwrap_or_default(),
        poststart: hooks.poststart().clone().unwrap_or_default(),
        poststop: hooks.poststop().clone().unwrap_or_default(),
    }
}

/// The state that hooks and `state` print (runtime-spec, *State*).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the specification")]
pub struct StateJson<'a> {
    pub oci_version: &'a str,
    pub id: &'a str,
    pub status: &'a str,
    pub pid: i32,
    pub bundle: &'a Path,
    pub annotations: &'a BTreeMap<String, String>,
}

/// The state of a container, said to be `status`.
#[must_use]
pub fn state_json<'a>(state: &'a State, status: &'a str) -> StateJson<'a> {
    StateJson {
        oci_version: &state.oci_version,
        id: &state.id,
        status,
        pid: if status == "stopped" {
            0
        } else {
            state.sandbox.pid
        },
        bundle: &state.bundle,
        annotations: &state.annotations,
    }
}

/// Runs hooks one after the other, each with the state on its standard input.
///
/// # Errors
/// [`ContainerError::Hook`] of the first that fails; the rest are not run.
pub fn run_all(hooks: &[Hook], state: &State, status: &str) -> Result<()> {
    let input =
        serde_json::to_string(&state_json(state, status)).map_err(ConnectionError::Decode)?;
    hooks.iter().try_for_each(|hook| run(hook, &input))
}

fn run(hook: &Hook, input: &str) -> Result<()> {
    let failed = |reason: String| ContainerError::Hook {
        path: PathBuf::from(hook.path()),
        reason,
    };
    let args = hook.args().clone().unwrap_or_default();
    let mut command = Command::new(hook.path());
    if let Some((name, rest)) = args.split_first() {
        command.arg0(name).args(rest);
    }
    command.env_clear();
    for pair in hook.env().iter().flatten() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        command.env(name, value);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    tracing::info!(hook = %hook.path().display(), "running hook");
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read its input.
        let _ = stdin.write_all(input.as_bytes());
    }
    let timeout = hook
        .timeout()
        .and_then(|s| u64::try_from(s).ok())
        .map(Duration::from_secs);
    if let Some(timeout) = timeout {
        let deadline = Instant::now() + timeout;
        while child
            .try_wait()
            .map_err(|e| failed(e.to_string()))?
            .is_none()
        {
            if Instant::now() >= deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("timed out after {} s", timeout.as_secs())));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    let output = child
        .wait_with_output()
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, said.trim())))
}
