//! `runsc ps`: the processes of a container.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use container::clock;
use container::lifecycle::{ask, connect};
use container::state::{State, StateDir};
use control::{ProcessInfo, Reply, Request};

use crate::cli::list::columns;
use crate::cli::{Format, print};
use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Form of the list
    #[arg(long, short, default_value = "table")]
    format: Format,
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
    /// Options for the host's ps: this table is always the same
    #[arg(value_name = "OPTION", hide = true)]
    options: Vec<String>,
}

impl Ps {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let id = &self.id;
        let directory = StateDir::new(&config.settings.root);
        let state = directory.load(id)?;
        let connection = connect(&directory, &state)?;
        let answer = ask(&connection, &Request::Processes { id: id.clone() }, id)?;
        let Reply::Processes(processes) = answer else {
            bail!("the sandbox's answer does not fit the question");
        };
        match self.format {
            Format::Text | Format::Table => print(&columns(&table(&processes))),
            Format::Json => print(&format!("{}\n", json(&state, &processes)?)),
        }
        Ok(0)
    }
}

/// The host processes that stand for the guest's: stubs, by their ids on the host. On a platform
/// without stubs, as KVM is, the sandbox stands for all.
fn json(state: &State, processes: &[ProcessInfo]) -> Result<String> {
    let on_host = host_pids(state.sandbox.pid);
    let mut pids: Vec<i32> = processes
        .iter()
        .filter_map(|process| on_host.get(&process.host_pid?).copied())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    if processes.iter().all(|process| process.host_pid.is_none()) {
        pids.push(state.sandbox.pid);
    }
    Ok(serde_json::to_string(&pids)?)
}

/// Ids in the pid namespace of process `sandbox`, and the same processes' ids here.
fn host_pids(sandbox: i32) -> BTreeMap<i32, i32> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let wanted = namespace(&sandbox.to_string());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.parse::<i32>().is_ok() && wanted.is_some() && namespace(name) == wanted)
        .filter_map(|name| {
            let status = fs::read_to_string(format!("/proc/{name}/status")).ok()?;
            let ids = status
                .lines()
                .find_map(|line| line.strip_prefix("NSpid:"))?;
            Some((
                ids.split_whitespace().last()?.parse().ok()?,
                name.parse().ok()?,
            ))
        })
        .collect()
}

fn table(processes: &[ProcessInfo]) -> Vec<[String; 9]> {
    let heading = [
        "UID", "PID", "PPID", "PGID", "C", "TTY", "STIME", "TIME", "CMD",
    ];
    let mut rows = vec![heading.map(ToOwned::to_owned)];
    rows.extend(processes.iter().map(|process| {
        let started = clock::split(Duration::from_secs(process.start_seconds));
        let seconds = process.time_ms / 1000;
        [
            process.uid.to_string(),
            process.pid.to_string(),
            process.ppid.to_string(),
            process.pgid.to_string(),
            process.cpu_percent.to_string(),
            process.tty.clone(),
            format!("{:02}:{:02}", started.hour, started.minute),
            format!(
                "{:02}:{:02}:{:02}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            ),
            process.command.clone(),
        ]
    }));
    rows
}
