//! Global flags: the one table of them, and what they amount to.

use std::path::PathBuf;

use anyhow::{Result, bail};
use container::Settings;
use container::debug_log::DebugLog;
use control::{Network, StraceConfig};

use crate::flags::{Flag, Kind, Values, flag, ignored};

/// Every global flag.
pub(crate) const FLAGS: &[Flag] = &[
    flag(
        "root",
        Kind::Text,
        "",
        "directory of container states; default $XDG_RUNTIME_DIR/runsc, else /var/run/runsc",
    ),
    flag(
        "log",
        Kind::Text,
        "",
        "file to which log lines are appended; default standard error",
    ),
    flag(
        "log-format",
        Kind::Text,
        "text",
        "format of the log: text or json",
    ),
    flag("debug", Kind::Switch, "false", "log at debug level"),
    flag(
        "debug-log-dir",
        Kind::Text,
        "",
        "directory for one debug log per command and process",
    ),
    flag(
        "debug-log",
        Kind::Text,
        "",
        "path of debug logs, with %ID%, %COMMAND% and %TIMESTAMP% filled in",
    ),
    flag(
        "log-packets",
        Kind::Switch,
        "false",
        "log every network packet",
    ),
    flag(
        "strace",
        Kind::Switch,
        "false",
        "log the system calls of the container",
    ),
    flag(
        "strace-syscalls",
        Kind::Text,
        "",
        "comma-separated names of the calls to log; default all",
    ),
    flag(
        "strace-log-size",
        Kind::Number,
        "1024",
        "most bytes of a buffer to log",
    ),
    flag(
        "platform",
        Kind::Text,
        "",
        "how application code is run: ptrace, systrap or kvm; default the best that works",
    ),
    flag(
        "network",
        Kind::Text,
        "sandbox",
        "network of the container: sandbox, host or none",
    ),
    flag(
        "file-access",
        Kind::Text,
        "proxy",
        "how files are reached: proxy or direct; or how the root is cached: exclusive or shared",
    ),
    flag(
        "overlay",
        Kind::Switch,
        "false",
        "put a writable layer in memory over all mounts",
    ),
    flag(
        "overlay2",
        Kind::Text,
        "none",
        "where to put a writable layer: none, root:memory or all:memory",
    ),
    flag(
        "host-uds",
        Kind::Text,
        "none",
        "host unix sockets in mounts that may be connected to: none or open",
    ),
    flag(
        "host-fifo",
        Kind::Text,
        "none",
        "host FIFOs in mounts that may be opened: none or open",
    ),
    flag(
        "version",
        Kind::Switch,
        "false",
        "print the version and exit",
    )
    .or("v"),
    flag(
        "systemd-cgroup",
        Kind::Switch,
        "false",
        "cgroupsPath has systemd's form slice:prefix:name; systemd itself is not asked",
    ),
    flag(
        "ignore-cgroups",
        Kind::Switch,
        "false",
        "leave containers in the caller's control groups, without limits",
    ),
    ignored("rootless", Kind::OptionalText),
    ignored("criu", Kind::Text),
];

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the runtime specification.
pub(crate) const SPEC_VERSION: &str = "1.2.0";

/// Formats of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// glog's.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Global flags, validated.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What containers depend on.
    pub(crate) settings: Settings,
    /// The log file; standard error when absent.
    pub(crate) log: Option<PathBuf>,
    /// Its format.
    pub(crate) log_format: LogFormat,
    /// The network was chosen by the caller, not by default.
    pub(crate) network_given: bool,
}

impl Config {
    /// Validates the global flags.
    pub(crate) fn new(values: &Values) -> Result<Config> {
        let log_format = match values.text("log-format") {
            "text" => LogFormat::Text,
            "json" | "json-k8s" => LogFormat::Json,
            other => bail!("invalid value {other:?} for flag -log-format: want text or json"),
        };
        let debug_log = match (
            values.nonempty("debug-log"),
            values.nonempty("debug-log-dir"),
        ) {
            (Some(pattern), _) => Some(DebugLog::pattern(pattern)),
            (None, Some(directory)) => Some(DebugLog::in_directory(directory)),
            (None, None) => None,
        };
        let debug = values.is_set("debug");
        let strace = strace(values)?;
        let (overlay_root, overlay_mounts) = overlay(values)?;
        let log = values.nonempty("log").map(PathBuf::from);
        let settings = Settings {
            root: root(values),
            platform: platform(values.text("platform"))?,
            platform_device: device(values.text("platform")),
            network: network(values.text("network"))?,
            overlay_root,
            overlay_mounts,
            exclusive_files: exclusive(values.text("file-access"))?,
            host_uds: none(values, "host-uds")?,
            host_fifo: none(values, "host-fifo")?,
            systemd_cgroup: values.is_set("systemd-cgroup"),
            ignore_cgroups: values.is_set("ignore-cgroups"),
            children_log_to_stderr: (debug || strace.enabled) && log.is_none(),
            strace,
            debug,
            debug_log,
            log: log.clone(),
            log_is_json: matches!(log_format, LogFormat::Json),
        };
        let network_given = values.is_given("network");
        Ok(Config {
            settings,
            log,
            log_format,
            network_given,
        })
    }

    /// The configuration, one item a line.
    pub(crate) fn lines(values: &Values) -> Vec<String> {
        FLAGS
            .iter()
            .filter(|flag| flag.name != "version")
            .map(|flag| format!("{}: {}", flag.name, values.text(flag.name)))
            .collect()
    }
}

fn root(values: &Values) -> PathBuf {
    if let Some(root) = values.nonempty("root") {
        return std::path::absolute(root).unwrap_or_else(|_| root.into());
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty()) {
        Some(directory) => PathBuf::from(directory).join("runsc"),
        None => PathBuf::from("/var/run/runsc"),
    }
}

fn platform(name: &str) -> Result<String> {
    match name {
        "" | "ptrace" | "kvm" => Ok(name.to_owned()),
        "systrap" => {
            bail!("platform systrap is not available in this release: use ptrace or kvm")
        }
        other => bail!("invalid value {other:?} for flag -platform: want ptrace, systrap or kvm"),
    }
}

/// The device that a platform works with.
fn device(platform: &str) -> Option<PathBuf> {
    (platform == "kvm").then(|| PathBuf::from("/dev/kvm"))
}

fn network(name: &str) -> Result<Network> {
    match name {
        "sandbox" => Ok(Network::Sandbox),
        "host" => Ok(Network::Host),
        "none" => Ok(Network::None),
        other => bail!("invalid value {other:?} for flag -network: want sandbox, host or none"),
    }
}

fn exclusive(mode: &str) -> Result<bool> {
    match mode {
        "proxy" | "shared" => Ok(false),
        "exclusive" => Ok(true),
        "direct" => bail!("file access direct is not available in this release: use proxy"),
        other => bail!(
            "invalid value {other:?} for flag -file-access: want proxy, direct, exclusive or shared"
        ),
    }
}

/// For the root, and for the other mounts.
fn overlay(values: &Values) -> Result<(bool, bool)> {
    let (place, medium) = match values.text("overlay2") {
        "" | "none" => return Ok((values.is_set("overlay"), values.is_set("overlay"))),
        text => text.split_once(':').unwrap_or((text, "")),
    };
    let medium = medium.split(',').next().unwrap_or_default();
    match (place, medium) {
        ("root", "memory") => Ok((true, false)),
        ("all", "memory") => Ok((true, true)),
        ("root", "self") => {
            tracing::warn!("overlay2: the writable layer is kept in memory, not in a file");
            Ok((true, false))
        }
        ("all", "self") => {
            tracing::warn!("overlay2: the writable layer is kept in memory, not in a file");
            Ok((true, true))
        }
        _ => bail!(
            "invalid value {:?} for flag -overlay2: want none, root:memory or all:memory",
            values.text("overlay2")
        ),
    }
}

fn none(values: &Values, name: &str) -> Result<bool> {
    match values.text(name) {
        "none" | "" => Ok(false),
        "open" | "all" => {
            bail!("-{name}=open is not available in this release: the sandbox reaches none")
        }
        other => bail!("invalid value {other:?} for flag -{name}: want none or open"),
    }
}

fn strace(values: &Values) -> Result<StraceConfig> {
    let size = values.number("strace-log-size");
    let Ok(log_size) = u32::try_from(size) else {
        bail!("invalid value {size} for flag -strace-log-size: want a number of bytes");
    };
    let calls = values.text("strace-syscalls");
    Ok(StraceConfig {
        enabled: values.is_set("strace"),
        calls: calls
            .split(',')
            .map(str::trim)
            .filter(|c| !c.is_empty())
            .map(ToOwned::to_owned)
            .collect(),
        log_size,
    })
}

#[cfg(test)]
mod tests {
    use super::{Config, FLAGS};
    use crate::flags::parse;

    fn error(text: &str) -> String {
        let args: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
        let (values, _) = parse(FLAGS, &args).unwrap();
        Config::new(&values).map_or_else(|e| e.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn flag_errors() {
        let cases = [
            "",
            "--platform=ptrace --network none --overlay --strace-syscalls read,write",
            "--overlay2=root:memory",
            "--overlay2=root:self",
            "--overlay2=nowhere",
            "--platform=kvm",
            "--platform=xen",
            "--network=bridge",
            "--file-access=shared",
            "--file-access=direct",
            "--log-format=xml",
            "--strace-log-size=-1",
            "--host-uds=create",
            "--host-uds=open",
        ];
        let text: Vec<String> = cases
            .iter()
            .map(|c| format!("{c:?} -> {}", error(c)))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }
}
