//! `runsc wait`: waits for a process of a container.

use anyhow::Result;
use clap::Args;
use container::lifecycle;
use serde_json::json;

use crate::cli::print;
use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Wait for the process of this id in the container
    #[arg(long, default_value = "0", hide_default_value = true)]
    pid: i32,
    /// The same, the id being the sandbox's own
    #[arg(
        long,
        value_name = "PID",
        default_value = "0",
        hide_default_value = true
    )]
    rootpid: i32,
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
}

impl Wait {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let id = &self.id;
        let pid = [self.pid, self.rootpid].into_iter().find(|pid| *pid != 0);
        let status = lifecycle::wait(&config.settings, id, pid)?;
        print(&format!("{}\n", json!({ "id": id, "exitStatus": status })));
        Ok(0)
    }
}
