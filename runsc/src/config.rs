//! Global flags: the one table of them, and what they amount to.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use container::Settings;
use container::debug_log::DebugLog;
use control::{Network, StraceConfig};

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the runtime specification.
pub(crate) const SPEC_VERSION: &str = "1.2.0";

/// Every global flag.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global flags, before the subcommand")]
pub(crate) struct Global {
    #[arg(
        long,
        value_name = "DIR",
        help = "Directory of container states [default: $XDG_RUNTIME_DIR/runsc, else /var/run/runsc]"
    )]
    root: Option<PathBuf>,
    /// File to which log lines are appended [default: standard error]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Format of the log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Log at debug level
    #[arg(long)]
    debug: bool,
    /// Directory for one debug log per command and process
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    debug_log_dir: Option<String>,
    /// Path of debug logs, with %ID%, %COMMAND% and %TIMESTAMP% filled in
    #[arg(long, value_name = "PATTERN")]
    debug_log: Option<String>,
    /// Accepted and ignored: containers have loopback alone, which carries no packets to log
    #[arg(long)]
    pub(crate) log_packets: bool,
    /// Log the system calls of the container
    #[arg(long)]
    strace: bool,
    /// Names of the calls to log, with commas between them [default: all]
    #[arg(long, value_name = "NAMES")]
    strace_syscalls: Option<String>,
    /// Most bytes of a buffer to log
    #[arg(long, value_name = "BYTES", default_value = "1024")]
    strace_log_size: u32,
    /// How application code is run: ptrace works everywhere, kvm needs /dev/kvm and is faster
    #[arg(long, default_value = "ptrace")]
    platform: Platform,
    /// Network of the container
    #[arg(long, default_value = "sandbox", value_parser = PossibleValuesParser::new(["sandbox", "host", "none"]).map(|name| network(&name)))]
    network: Network,
    /// How files are reached, or how the root is cached
    #[arg(long, value_name = "MODE", default_value = "proxy")]
    file_access: FileAccess,
    /// Put a writable layer in memory over all mounts
    #[arg(long)]
    overlay: bool,
    /// Where to put a writable layer: none, root:memory or all:memory
    #[arg(long, value_name = "WHERE", default_value = "none", value_parser = overlay)]
    pub(crate) overlay2: Overlay,
    /// Host unix sockets in mounts that may be connected to
    #[arg(long, value_name = "WHICH", default_value = "none")]
    host_uds: HostFiles,
    /// Host FIFOs in mounts that may be opened
    #[arg(long, value_name = "WHICH", default_value = "none")]
    host_fifo: HostFiles,
    /// Print the version and exit
    #[arg(long, short)]
    pub(crate) version: bool,
    /// Read cgroupsPath in systemd's form slice:prefix:name; systemd itself is not asked
    #[arg(long)]
    systemd_cgroup: bool,
    /// Leave containers in the caller's control groups, without limits
    #[arg(long)]
    ignore_cgroups: bool,
}

/// Formats of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines in glog's form
    #[default]
    Text,
    /// One object a line
    #[value(alias = "json-k8s")]
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Platform {
    /// Works wherever Linux does
    Ptrace,
    /// Not available in this release
    Systrap,
    /// Needs /dev/kvm
    Kvm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileAccess {
    /// Through the gofer
    Proxy,
    /// Not available in this release
    Direct,
    /// Through the gofer, with the root's files cached as if nobody else changed them
    Exclusive,
    /// The same as proxy
    Shared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HostFiles {
    /// None
    None,
    /// Not available in this release
    #[value(alias = "all")]
    Open,
}

/// What a writable layer covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlay {
    root: bool,
    mounts: bool,
    /// A file was asked for; memory is what there is.
    pub(crate) in_file: bool,
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
    pub(crate) fn new(matches: &ArgMatches) -> Result<Config> {
        let flags = Global::from_arg_matches(matches)?;
        let debug_log = match (&flags.debug_log, &flags.debug_log_dir) {
            (Some(pattern), _) => Some(DebugLog::pattern(pattern)),
            (None, Some(directory)) => Some(DebugLog::in_directory(directory)),
            (None, None) => None,
        };
        let platform = platform(flags.platform)?;
        let settings = Settings {
            platform: platform.to_owned(),
            platform_device: sandbox::device_of_platform(platform).map(Into::into),
            network: flags.network,
            overlay_root: flags.overlay || flags.overlay2.root,
            overlay_mounts: flags.overlay || flags.overlay2.mounts,
            exclusive_files: exclusive(flags.file_access)?,
            host_uds: host_files("host-uds", flags.host_uds)?,
            host_fifo: host_files("host-fifo", flags.host_fifo)?,
            systemd_cgroup: flags.systemd_cgroup,
            ignore_cgroups: flags.ignore_cgroups,
            children_log_to_stderr: (flags.debug || flags.strace) && flags.log.is_none(),
            strace: strace(&flags),
            debug: flags.debug,
            debug_log,
            log: flags.log.clone(),
            log_is_json: flags.log_format == LogFormat::Json,
            root: root(flags.root),
        };
        Ok(Config {
            settings,
            log: flags.log,
            log_format: flags.log_format,
            network_given: matches.value_source("network") == Some(ValueSource::CommandLine),
        })
    }
}

/// Every global flag's value, one a line.
pub(crate) fn lines(table: &clap::Command, matches: &ArgMatches) -> Vec<String> {
    let line = |arg: &clap::Arg| {
        let name = arg
            .get_long()
            .filter(|name| !matches!(*name, "help" | "version"))?;
        let values = matches.get_raw(arg.get_id().as_str()).unwrap_or_default();
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        Some(format!("{name}: {}", values.join(",")))
    };
    table.get_arguments().filter_map(line).collect()
}

fn root(given: Option<PathBuf>) -> PathBuf {
    if let Some(root) = given {
        return std::path::absolute(&root).unwrap_or(root);
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty()) {
        Some(directory) => PathBuf::from(directory).join("runsc"),
        None => PathBuf::from("/var/run/runsc"),
    }
}

fn platform(platform: Platform) -> Result<&'static str> {
    match platform {
        Platform::Ptrace => Ok(sandbox::PTRACE),
        Platform::Kvm => Ok(sandbox::KVM),
        Platform::Systrap => {
            bail!("platform systrap is not available in this release: use ptrace or kvm")
        }
    }
}

/// The network of a name that was checked.
fn network(name: &str) -> Network {
    match name {
        "host" => Network::Host,
        "none" => Network::None,
        _ => Network::Sandbox,
    }
}

fn exclusive(mode: FileAccess) -> Result<bool> {
    match mode {
        FileAccess::Proxy | FileAccess::Shared => Ok(false),
        FileAccess::Exclusive => Ok(true),
        FileAccess::Direct => {
            bail!("file access direct is not available in this release: use proxy")
        }
    }
}

/// Reads the place and the medium of a writable layer; a size may follow.
fn overlay(text: &str) -> Result<Overlay, &'static str> {
    let (place, medium) = text.split_once(':').unwrap_or((text, ""));
    let medium = medium.split(',').next().unwrap_or_default();
    let (root, mounts) = match (place, medium) {
        ("" | "none", "") => (false, false),
        ("root", "memory" | "self") => (true, false),
        ("all", "memory" | "self") => (true, true),
        _ => return Err("want none, root:memory or all:memory"),
    };
    Ok(Overlay {
        root,
        mounts,
        in_file: medium == "self",
    })
}

fn host_files(name: &str, files: HostFiles) -> Result<bool> {
    match files {
        HostFiles::None => Ok(false),
        HostFiles::Open => {
            bail!("-{name}=open is not available in this release: the sandbox reaches none")
        }
    }
}

fn strace(flags: &Global) -> StraceConfig {
    let calls = flags.strace_syscalls.as_deref().unwrap_or_default();
    let calls = calls.split(',').map(str::trim).filter(|c| !c.is_empty());
    StraceConfig {
        enabled: flags.strace,
        calls: calls.map(ToOwned::to_owned).collect(),
        log_size: flags.strace_log_size,
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::cli;

    fn error(text: &str) -> String {
        let args: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
        let config = cli::parse_global(&mut cli::table(), &args)
            .and_then(|(matches, _)| Config::new(&matches));
        config.map_or_else(|e| e.to_string(), |_| "fine".to_owned())
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
            "--strace-log-size=many",
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
