//! `runsc spec`: writes a `config.json` to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::cli::template::{Template, spec};

#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// Directory to write it to
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// Working directory of the process
    #[arg(long, value_name = "DIR", default_value = "/")]
    cwd: String,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", default_value = "sh", last = true)]
    args: Vec<String>,
}

impl Spec {
    pub(crate) fn run(&self) -> Result<u8> {
        let path = self.bundle.join("config.json");
        let spec = spec(Template {
            args: &self.args,
            env: vec![
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
                "TERM=xterm".into(),
            ],
            cwd: &self.cwd,
            root: "rootfs",
            read_only: true,
            hostname: "runsc",
            terminal: true,
            mounts: Vec::new(),
        });
        let text = format!("{}\n", serde_json::to_string_pretty(&spec)?);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        file.write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(0)
    }
}
