//! `runsc install` and `runsc uninstall`: the entry for this runtime in docker's `daemon.json`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use container::state::write_atomically;
use serde_json::{Map, Value, json};

use crate::cli::print;

#[derive(Debug, Args)]
struct Entry {
    /// Docker's configuration
    #[arg(
        long,
        alias = "config_file",
        value_name = "FILE",
        default_value = "/etc/docker/daemon.json"
    )]
    config_file: PathBuf,
    /// Name of the runtime in docker
    #[arg(long, value_name = "NAME", default_value = "runsc")]
    runtime: String,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    #[command(flatten)]
    entry: Entry,
    /// Global flags of the runtime
    #[arg(value_name = "GLOBAL FLAG", last = true)]
    runtime_args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    entry: Entry,
}

impl Install {
    pub(crate) fn run(&self) -> Result<u8> {
        let program = fs::read_link("/proc/self/exe").context("cannot find this program")?;
        let args = &self.runtime_args;
        self.entry.change("added to", |config, name| {
            let runtimes = config
                .entry("runtimes")
                .or_insert_with(|| json!({}))
                .as_object_mut()
                .context("its \"runtimes\" is no object")?;
            let mut entry = json!({ "path": program });
            if !args.is_empty() {
                entry["runtimeArgs"] = json!(args);
            }
            runtimes.insert(name.to_owned(), entry);
            Ok(())
        })
    }
}

impl Uninstall {
    pub(crate) fn run(&self) -> Result<u8> {
        self.entry.change("removed from", |config, name| {
            let Some(runtimes) = config.get_mut("runtimes") else {
                return Ok(());
            };
            let runtimes = runtimes
                .as_object_mut()
                .context("its \"runtimes\" is no object")?;
            runtimes.remove(name);
            if runtimes.is_empty() {
                config.remove("runtimes");
            }
            Ok(())
        })
    }
}

impl Entry {
    /// Reads the configuration, has it changed, and writes it back, all else as it was.
    fn change(
        &self,
        done: &str,
        change: impl FnOnce(&mut Map<String, Value>, &str) -> Result<()>,
    ) -> Result<u8> {
        let path = self.config_file.as_path();
        let name = self.runtime.as_str();
        if name.is_empty() || name == "runc" {
            bail!("invalid value {name:?} for flag -runtime");
        }
        let (mut config, mode) = read(path)?;
        change(&mut config, name).with_context(|| format!("cannot change {}", path.display()))?;
        let mut text = serde_json::to_vec_pretty(&config)?;
        text.push(b'\n');
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        write_atomically(path, &text, mode)?;
        print(&format!(
            "Runtime {name} {done} {}; docker reads it on restart.\n",
            path.display()
        ));
        Ok(0)
    }
}

/// The configuration, empty where there is none, and the file's mode.
fn read(path: &Path) -> Result<(Map<String, Value>, u32)> {
    use std::os::unix::fs::PermissionsExt;
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Map::new(), 0o644)),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let mode = fs::metadata(path).map_or(0o644, |data| data.permissions().mode() & 0o7777);
    if text.trim().is_empty() {
        return Ok((Map::new(), mode));
    }
    let config =
        serde_json::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))?;
    Ok((config, mode))
}
