//! Hooks of a spec: programs that the engine wants run on the host at points of a container's life.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use control::ConnectionError;
use host::spawn::Namespaces;
use oci_spec::runtime::{Hook, Hooks};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::console::null;
use crate::state::State;
use crate::{ContainerError, Result, namespaces};

/// Most that is kept of what a failing hook says.
const MAX_SAID_BYTES: u64 = 4096;

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

/// Runs the hooks of `create`, once the sandbox exists: `prestart` and `createRuntime` where the runtime is,
/// `createContainer` in the container's network namespace (its mounts exist in the sandbox's kernel alone, so that
/// the host's are what such a hook sees).
///
/// # Errors
/// [`ContainerError::Hook`] of the first that fails; the rest are not run.
pub fn run_at_create(hooks: &Hooks, state: &State) -> Result<()> {
    let list = |hooks: &Option<Vec<Hook>>| hooks.clone().unwrap_or_default();
    run_all(&list(hooks.prestart()), state, "creating")?;
    run_all(&list(hooks.create_runtime()), state, "creating")?;
    let inside = list(hooks.create_container());
    if inside.is_empty() {
        return Ok(());
    }
    let network = PathBuf::from(format!("/proc/{}/ns/net", state.sandbox.pid));
    namespaces::inside(&[(Namespaces::NETWORK, network)], || {
        run_all(&inside, state, "creating")
    })
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

/// What a hook reads from its standard input.
fn input(state: &State, status: &str) -> Result<String> {
    serde_json::to_string(&state_json(state, status))
        .map_err(ConnectionError::Decode)
        .map_err(Into::into)
}

fn run_all(hooks: &[Hook], state: &State, status: &str) -> Result<()> {
    let input = input(state, status)?;
    hooks.iter().try_for_each(|hook| run(hook, &input))
}

/// Standard descriptors for each `startContainer` hook, three and three.
///
/// # Errors
/// [`ContainerError::Path`], [`ContainerError::Hook`].
pub fn files_inside(state: &State) -> Result<Vec<OwnedFd>> {
    let input = input(state, "created")?;
    let mut files = Vec::new();
    for hook in &state.hooks.start_container {
        let failed = |error: io::Error| ContainerError::Hook {
            path: hook.path().clone(),
            reason: error.to_string(),
        };
        files.push(
            memory_file("runsc-hook-state", input.as_bytes())
                .map_err(failed)?
                .into(),
        );
        files.push(null()?);
        files.push(null()?);
    }
    Ok(files)
}

/// Runs hooks whose failure changes nothing: it is logged, and the next one runs (runtime-spec, *Lifecycle*, steps 9
/// and 12).
pub fn run_each(hooks: &[Hook], state: &State, status: &str) {
    let run = |hook: &Hook| input(state, status).and_then(|input| run(hook, &input));
    for error in hooks.iter().filter_map(|hook| run(hook).err()) {
        tracing::warn!(%error, status, "a hook failed: going on");
    }
}

/// Runs one hook. Its input and what it says are files, not pipes: it need not read, and what it leaves running in the
/// background holds nobody up.
fn run(hook: &Hook, input: &str) -> Result<()> {
    let failed = |reason: String| ContainerError::Hook {
        path: PathBuf::from(hook.path()),
        reason,
    };
    let broken = |error: io::Error| failed(error.to_string());
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
    let mut said = memory_file("runsc-hook-stderr", b"").map_err(broken)?;
    command
        .stdin(memory_file("runsc-hook-state", input.as_bytes()).map_err(broken)?)
        .stdout(Stdio::null())
        .stderr(said.try_clone().map_err(broken)?);
    tracing::info!(hook = %hook.path().display(), "running hook");
    let mut child = command.spawn().map_err(broken)?;
    let timeout = hook.timeout().and_then(|s| u64::try_from(s).ok());
    let status = wait(&mut child, timeout.map(Duration::from_secs)).map_err(broken)?;
    let Some(status) = status else {
        let seconds = timeout.unwrap_or(0);
        return Err(failed(format!("timed out after {seconds} s")));
    };
    if status.success() {
        return Ok(());
    }
    let text = read_said(&mut said).map_err(broken)?;
    Err(failed(
        format!("{status}: {}", text.trim())
            .trim_end_matches(": ")
            .to_owned(),
    ))
}

/// Waits for the end; none: it was killed, since it took longer than `timeout`.
fn wait(child: &mut Child, timeout: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    let Some(timeout) = timeout else {
        return child.wait().map(Some);
    };
    let deadline = Instant::now().checked_add(timeout);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn memory_file(name: &str, content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

fn read_said(file: &mut File) -> io::Result<String> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(MAX_SAID_BYTES).read_to_end(&mut text)?;
    // One line of an error message.
    Ok(String::from_utf8_lossy(&text).replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use oci_spec::runtime::{Hook, HookBuilder};

    use super::run;

    fn shell(script: &str, timeout: Option<i64>) -> Hook {
        let args = ["sh", "-c", script].map(ToOwned::to_owned).to_vec();
        let hook = HookBuilder::default().path("/bin/sh").args(args);
        match timeout {
            Some(seconds) => hook.timeout(seconds).build().unwrap(),
            None => hook.build().unwrap(),
        }
    }

    #[test]
    fn what_a_failing_hook_says_is_in_the_error() {
        let error = run(&shell("echo some reason >&2; exit 3", None), "{}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "hook /bin/sh failed: exit status: 3: some reason"
        );
    }

    #[test]
    fn input_larger_than_a_pipe_need_not_be_read() {
        run(&shell("exit 0", Some(10)), &"x".repeat(1 << 20)).unwrap();
        run(
            &shell("test $(wc -c) = 1048576", None),
            &"x".repeat(1 << 20),
        )
        .unwrap();
    }

    #[test]
    fn what_stays_in_the_background_is_not_waited_for() {
        let before = Instant::now();
        run(&shell("sleep 20 & exit 0", None), "{}").unwrap();
        assert!(before.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_hook_that_takes_too_long_is_killed() {
        let error = run(&shell("exec sleep 20", Some(1)), "{}").unwrap_err();
        assert!(
            error.to_string().ends_with("timed out after 1 s"),
            "{error}"
        );
    }
}
