//! `runsc do`: runs a command in a sandbox on the host's own files, which stay as they are.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{ArgAction, Args};
use container::bundle::Bundle;
use container::lifecycle::{self, Create};
use container::state::{StateDir, Status};
use container::{Settings, foreground};
use serde_json::{Value, json};

use crate::cli::template::{Template, spec};
use crate::config::Config;
use crate::flags::parse_boolean;

#[derive(Debug, Args)]
pub(crate) struct Do {
    /// Directory that is the command's root
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: String,
    /// Its working directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    cwd: String,
    /// Host path that it may write to
    #[arg(long, short, value_name = "SRC[:DST]")]
    volume: Vec<String>,
    /// Keep writes in memory
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_boolean
    )]
    force_overlay: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true)]
    args: Vec<String>,
}

/// Ids of sandboxes that belong to a `do`; the name is kept for them.
const ID_PREFIX: &str = "do-";

impl Do {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let mut settings = config.settings.clone();
        settings.overlay_root |= self.force_overlay;
        if config.network_given && settings.network != control::Network::None {
            tracing::warn!("--network: this release has no interface but loopback");
        }
        let cwd = cwd(&self.root, &self.cwd)?;
        let hostname = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let spec = spec(Template {
            args: &self.args,
            env: environment(),
            cwd: &cwd,
            root: &self.root,
            read_only: false,
            hostname: &hostname,
            terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            mounts: self
                .volume
                .iter()
                .map(|volume| mount(volume))
                .collect::<Result<_>>()?,
        });
        let here = std::env::current_dir().context("cannot find the working directory")?;
        let bundle = Bundle::from_spec(&here, serde_json::from_value(all_capabilities(spec))?)?;
        sweep(&settings);
        let id = id();
        let request = Create {
            id: &id,
            bundle: &bundle,
            pid_file: None,
            console_socket: None,
            pidfd_socket: None,
            preserve_fds: 0,
            user_log: None,
            notify_socket: None,
            foreground: true,
        };
        Ok(foreground::run(&settings, request)?)
    }
}

/// The command is root in its own kernel, with everything that root may do there.
fn all_capabilities(mut spec: Value) -> Value {
    const MORE: [&str; 7] = [
        "CAP_SYS_ADMIN",
        "CAP_SYSLOG",
        "CAP_SYS_PTRACE",
        "CAP_NET_ADMIN",
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE",
    ];
    for set in ["bounding", "effective", "permitted"] {
        let pointer = format!("/process/capabilities/{set}");
        if let Some(Value::Array(names)) = spec.pointer_mut(&pointer) {
            names.extend(MORE.map(Value::from));
        }
    }
    spec
}

fn environment() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value.to_str()?)))
        .collect()
}

fn cwd(root: &str, cwd: &str) -> Result<String> {
    if root != "/" && cwd == "." {
        return Ok("/".to_owned());
    }
    let absolute =
        std::path::absolute(cwd).with_context(|| format!("invalid directory {cwd:?}"))?;
    let resolved = if root == "/" {
        std::fs::canonicalize(&absolute).unwrap_or(absolute)
    } else {
        absolute
    };
    resolved
        .into_os_string()
        .into_string()
        .ok()
        .context("the working directory is not UTF-8")
}

fn mount(volume: &str) -> Result<Value> {
    let (source, destination) = volume.split_once(':').unwrap_or((volume, volume));
    if !Path::new(destination).is_absolute() {
        bail!("invalid volume {volume:?}: want SRC[:DST] with an absolute DST");
    }
    Ok(json!({
        "destination": destination, "type": "bind", "source": source, "options": ["rbind", "rw"],
    }))
}

/// Deletes what is left of sandboxes whose `do` was killed: nobody else knows of them.
fn sweep(settings: &Settings) {
    let states = StateDir::new(&settings.root).list().unwrap_or_default();
    for state in states {
        if state.id.starts_with(ID_PREFIX) && state.status() == Status::Stopped {
            let _ = lifecycle::delete(settings, &state.id, true);
        }
    }
}

fn id() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "do-{}-{}",
        std::process::id(),
        now.as_micros() % 1_000_000_000
    )
}
