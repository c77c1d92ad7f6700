//! `runsc spec`: writes a `config.json` to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::template::{Template, spec};
use crate::cli::{Command, Invocation};
use crate::flags::{Kind, flag};

pub(crate) const COMMAND: Command = Command {
    name: "spec",
    usage: "[flags] [-- COMMAND [ARGUMENT…]]",
    about: "write a config.json to begin with",
    flags: &[
        flag("bundle", Kind::Text, ".", "directory to write it to").or("b"),
        flag("cwd", Kind::Text, "/", "working directory of the process"),
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let path = Path::new(invocation.flags.text("bundle")).join("config.json");
    let default = ["sh".to_owned()];
    let args = if invocation.args.is_empty() {
        &default
    } else {
        invocation.args
    };
    let spec = spec(Template {
        args,
        env: vec![
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            "TERM=xterm".into(),
        ],
        cwd: invocation.flags.text("cwd"),
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
