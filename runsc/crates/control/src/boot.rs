//! What the sandbox and the gofer are started with, and how they report.

use std::fs::File;
use std::io::Read;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{ConnectionError, Container, MAX_BODY_BYTES};

/// Reads the configuration that a parent donated as descriptor `number`, a memfd.
///
/// # Errors
/// [`ConnectionError`] when there is none, or when it is not of this form.
pub fn read_config<T: DeserializeOwned>(number: i32) -> Result<T, ConnectionError> {
    let failed = |errno| ConnectionError::Host {
        step: "read the configuration, as",
        errno,
    };
    let mut file = File::from(host::spawn::take_donated(number).map_err(failed)?);
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))
        .map_err(|error| failed(host::errno(error)))?;
    let mut text = Vec::new();
    Read::by_ref(&mut file)
        .take(MAX_BODY_BYTES)
        .read_to_end(&mut text)
        .map_err(|e| failed(host::Errno::from_raw(e.raw_os_error().unwrap_or(5))))?;
    Ok(serde_json::from_slice(&text)?)
}

/// The sandbox's whole configuration, passed as a sealed memfd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootConfig {
    /// The first container.
    pub container: Container,
    /// Descriptor numbers.
    pub fds: BootFds,
    /// The name of the platform: `ptrace`, `kvm`, `systrap`.
    pub platform: String,
    /// Which network the guest sees.
    pub network: Network,
    /// System call tracing.
    pub strace: StraceConfig,
    /// Logging.
    pub log: LogConfig,
    /// The user and group to become inside the sandbox's user namespace.
    pub user: u32,
    /// Caching may assume that nobody else changes the files.
    pub exclusive_files: bool,
}

/// Descriptors that the sandbox was given, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFds {
    /// Where it reports that it is ready, or why not: a seqpacket socket.
    pub report: i32,
    /// The gofer's sockets.
    pub gofer: Vec<i32>,
    /// End of file when the gofer has ended.
    pub gofer_lifeline: i32,
    /// End of file when the command that waits has ended; one byte when it no longer waits.
    pub lifeline: i32,
    /// The control socket, listening.
    pub control: i32,
    /// Standard input, output and error of the init process.
    pub stdio: Vec<i32>,
    /// Descriptors 3 and up of the init process (`--preserve-fds`).
    pub preserved: Vec<i32>,
    /// A datagram socket connected to the service manager's (`NOTIFY_SOCKET`).
    #[serde(default)]
    pub notify: Option<i32>,
    /// The host's control group that limits the sandbox's memory: its files of usage, limit and
    /// statistics. Empty if there is none.
    pub memory_group: Vec<i32>,
    /// The device that the platform works with (`/dev/kvm`), if it needs one.
    #[serde(default)]
    pub platform_device: Option<i32>,
    /// Held until it ends: its user on the host is its own.
    #[serde(default)]
    pub host_user: Option<i32>,
}

/// Where in the container the service manager's socket is found (`man 3 sd_notify`).
pub const NOTIFY_SOCKET: &str = "/run/notify/notify.sock";

/// Which network a guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The sandbox's own stack.
    #[default]
    Sandbox,
    /// The host's.
    Host,
    /// Loopback alone.
    None,
}

/// System call tracing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StraceConfig {
    /// Trace at all.
    pub enabled: bool,
    /// Only these calls; all when empty.
    pub calls: Vec<String>,
    /// Most bytes of a buffer to print.
    pub log_size: u32,
}

/// Where a child process logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Debug level too.
    pub debug: bool,
    /// Descriptor of its own debug log file, if there is one.
    pub fd: Option<i32>,
    /// Descriptor of the file for messages to the container's user (`--user-log`).
    #[serde(default)]
    pub user: Option<i32>,
    /// Where the caller's user learns that the process's own filter ended it.
    #[serde(default)]
    pub denied: Option<DeniedLog>,
    /// Descriptor of the file where that is kept for later, if nobody reads it now.
    #[serde(default)]
    pub last_words: Option<i32>,
}

/// A descriptor for the last line of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedLog {
    /// The descriptor.
    pub fd: i32,
    /// It is a log of JSON objects.
    pub json: bool,
}

impl LogConfig {
    /// What the handler of refused calls needs: the process is called `process`.
    #[must_use]
    pub fn denied_report(&self, process: &'static str) -> host::denied_call::Report {
        let user = self.denied.as_ref();
        host::denied_call::Report {
            process,
            log: self.fd,
            user: user.and_then(|denied| host::spawn::keep_donated(denied.fd)),
            user_is_json: user.is_some_and(|denied| denied.json),
            kept: self.last_words.and_then(|number| {
                let file = host::spawn::take_donated(number).ok()?;
                host::denied_call::LastWords::map(file).ok()
            }),
        }
    }
}

/// The gofer's configuration, passed as a sealed memfd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoferConfig {
    /// Where it reports that it is ready, or why not.
    pub report: i32,
    /// The sockets that it serves.
    pub sockets: Vec<i32>,
    /// Held until it ends; the other end tells the sandbox.
    pub lifeline: i32,
    /// Held until it ends: the sandbox's user on the host is its own.
    #[serde(default)]
    pub host_user: Option<i32>,
    /// What it serves; the first is the root.
    pub trees: Vec<GoferTree>,
    /// Capabilities to keep, bit N for capability N.
    pub capabilities: u64,
    /// The user and group to become, in a user namespace whose maps its own user is not in.
    pub user: Option<(u32, u32)>,
    /// Host sockets in the trees may be connected to.
    pub host_uds: bool,
    /// Host FIFOs in the trees may be opened.
    pub host_fifo: bool,
    /// Logging.
    pub log: LogConfig,
}

/// A directory or file of the host that the gofer serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoferTree {
    /// Its path on the host.
    pub path: String,
    /// Writes are refused.
    pub read_only: bool,
    /// Host mounts below it are part of it.
    pub recursive: bool,
}

/// A child's first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It is ready.
    Ready,
    /// It gives up.
    Failed {
        /// Why, in one line.
        reason: String,
    },
}
