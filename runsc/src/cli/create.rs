//! `runsc create`: a container whose sandbox runs and has loaded nothing.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use container::bundle::Bundle;
use container::lifecycle::{self, Create as Request};

use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Directory of the bundle
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub(crate) bundle: PathBuf,
    /// Unix socket that the terminal is sent to
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// File to write the sandbox's process id to
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// File for messages to the container's user: calls that are refused, sockets out of reach, processes
    /// killed for want of memory
    #[arg(long, value_name = "FILE")]
    user_log: Option<PathBuf>,
    /// Number of further descriptors, from 3 on, for the container
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    preserve_fds: u32,
    /// Unix socket that a descriptor of the process is sent to
    #[arg(long, value_name = "SOCKET")]
    pidfd_socket: Option<PathBuf>,
    /// The container's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

impl Create {
    /// Creates a container that outlives this command.
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let bundle = Bundle::load(&self.bundle)?;
        let mut created = lifecycle::create(&config.settings, self.request(&bundle))?;
        created.launched.detach()?;
        Ok(0)
    }

    /// What the flags ask for.
    pub(crate) fn request<'a>(&'a self, bundle: &'a Bundle) -> Request<'a> {
        Request {
            id: &self.id,
            bundle,
            pid_file: self.pid_file.clone(),
            console_socket: self.console_socket.clone(),
            pidfd_socket: self.pidfd_socket.clone(),
            preserve_fds: self.preserve_fds,
            user_log: self.user_log.clone(),
            notify_socket: std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()),
            foreground: false,
        }
    }
}
