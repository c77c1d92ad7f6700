//! `runsc do`: runs a command in a sandbox on the host's own files, which stay as they are.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use container::bundle::Bundle;
use container::lifecycle::{self, Create};
use container::state::{StateDir, Status};
use container::{Settings, foreground};
use serde_json::{Value, json};

use crate::cli::template::{Template, spec};
use crate::cli::{Command, Invocation};
use crate::flags::{Kind, flag, ignored};

pub(crate) const COMMAND: Command = Command {
    name: "do",
    usage: "[flags] COMMAND [ARGUMENT…]",
    about: "run a command in a sandbox, on the host's files beneath a writable layer in memory",
    flags: &[
        flag(
            "root",
            Kind::Text,
            "/",
            "directory that is the command's root",
        ),
        flag("cwd", Kind::Text, ".", "its working directory"),
        flag(
            "volume",
            Kind::List,
            "",
            "SRC[:DST]: a host path that it may write to",
        )
        .or("v"),
        flag(
            "quiet",
            Kind::Switch,
            "false",
            "print nothing but what the command prints",
        ),
        flag(
            "force-overlay",
            Kind::Switch,
            "true",
            "keep writes in memory",
        ),
        ignored("ip", Kind::Text),
        ignored("uid-map", Kind::List),
        ignored("gid-map", Kind::List),
    ],
    run,
};

/// Ids of sandboxes that belong to a `do`; the name is kept for them.
const ID_PREFIX: &str = "do-";

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    if invocation.args.is_empty() {
        bail!("want a command");
    }
    let flags = invocation.flags;
    let mut settings = invocation.config.settings.clone();
    settings.overlay_root |= flags.is_set("force-overlay");
    if invocation.config.network_given && settings.network != control::Network::None {
        tracing::warn!("--network: this release has no interface but loopback");
    }
    let cwd = cwd(flags.text("root"), flags.text("cwd"))?;
    let hostname = host::rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let spec = spec(Template {
        args: invocation.args,
        env: environment(),
        cwd: &cwd,
        root: flags.text("root"),
        read_only: false,
        hostname: &hostname,
        terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        mounts: flags
            .list("volume")
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
