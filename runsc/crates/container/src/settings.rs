//! The global configuration, as far as containers depend on it.

use std::path::PathBuf;

use control::{Network, StraceConfig};

use crate::debug_log::DebugLog;

/// Global flags, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state directory.
    pub root: PathBuf,
    /// `ptrace` or `kvm`.
    pub platform: String,
    /// The device that this platform works with, which the sandbox can't open itself.
    pub platform_device: Option<PathBuf>,
    /// Which network containers see.
    pub network: Network,
    /// A writable layer in memory over every root.
    pub overlay_root: bool,
    /// The same over every bind mount.
    pub overlay_mounts: bool,
    /// Nobody else changes the files, so that caching needs no revalidation.
    pub exclusive_files: bool,
    /// Host sockets in mounts may be connected to.
    pub host_uds: bool,
    /// Host FIFOs in mounts may be opened.
    pub host_fifo: bool,
    /// `cgroupsPath` has systemd's form, `slice:prefix:name`.
    pub systemd_cgroup: bool,
    /// Containers stay in the caller's control groups, without limits of their own.
    pub ignore_cgroups: bool,
    /// System call tracing.
    pub strace: StraceConfig,
    /// Debug level.
    pub debug: bool,
    /// Where each process has a debug log, if anywhere.
    pub debug_log: Option<DebugLog>,
    /// Without a debug log and without a log file, `--debug` sends the children's lines to stderr.
    pub children_log_to_stderr: bool,
    /// The log file of the command, if it was given one.
    pub log: Option<PathBuf>,
    /// That is a log of JSON objects.
    pub log_is_json: bool,
}
