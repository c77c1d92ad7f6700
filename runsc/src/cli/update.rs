//! `runsc update`: other limits for a container.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use container::lifecycle;
use container::oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value, json};

use crate::config::Config;

/// Most bytes of a file with limits.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// File with linux.resources as JSON, - for standard input; excludes the others
    #[arg(long, short, value_name = "FILE")]
    resources: Option<PathBuf>,
    #[command(flatten)]
    limits: Limits,
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
struct Limits {
    /// Most bytes of memory; a suffix k, m, g or t multiplies
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<i64>,
    /// Bytes of memory below which nothing is reclaimed
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory_reservation: Option<i64>,
    /// Most bytes of memory and swap, -1 for no limit
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory_swap: Option<i64>,
    /// Microseconds in which the quota counts
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Microseconds of processor time in each period
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_quota: Option<i64>,
    /// Microseconds that may be saved up
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_burst: Option<u64>,
    /// Share of the processor, relative to others
    #[arg(long, value_name = "NUMBER")]
    cpu_share: Option<u64>,
    /// Microseconds in which the real-time quota counts
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<u64>,
    /// Microseconds of real-time scheduling in each period
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_runtime: Option<i64>,
    /// Processors to run on, such as 0-2,4
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Share of block devices, 10 to 1000
    #[arg(long, value_name = "NUMBER")]
    blkio_weight: Option<u16>,
    /// Most processes and threads, -1 for no limit
    #[arg(long, value_name = "NUMBER")]
    pids_limit: Option<i64>,
}

impl Update {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let resources = match &self.resources {
            Some(path) => from_file(path)?,
            None => self.limits.resources()?,
        };
        lifecycle::update(&config.settings, &self.id, &resources)?;
        Ok(0)
    }
}

fn from_file(path: &Path) -> Result<LinuxResources> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        let stdin = std::io::stdin().lock();
        stdin.take(MAX_BYTES).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
    };
    let name = path.display();
    read.with_context(|| format!("cannot read {name}"))?;
    serde_json::from_slice(&text).with_context(|| format!("cannot parse {name}"))
}

impl Limits {
    fn resources(&self) -> Result<LinuxResources> {
        let resources = given([
            (
                "memory",
                given([
                    ("limit", json!(self.memory)),
                    ("reservation", json!(self.memory_reservation)),
                    ("swap", json!(self.memory_swap)),
                ]),
            ),
            (
                "cpu",
                given([
                    ("period", json!(self.cpu_period)),
                    ("quota", json!(self.cpu_quota)),
                    ("burst", json!(self.cpu_burst)),
                    ("shares", json!(self.cpu_share)),
                    ("realtimePeriod", json!(self.cpu_rt_period)),
                    ("realtimeRuntime", json!(self.cpu_rt_runtime)),
                    ("cpus", json!(self.cpuset_cpus)),
                    ("mems", json!(self.cpuset_mems)),
                ]),
            ),
            ("blockIO", given([("weight", json!(self.blkio_weight))])),
            ("pids", given([("limit", json!(self.pids_limit))])),
        ]);
        let resources = if resources.is_null() {
            json!({})
        } else {
            resources
        };
        serde_json::from_value(resources).context("invalid limits")
    }
}

/// An object of what is not null; null if nothing is left.
fn given<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.into_iter().filter(|(_, value)| !value.is_null());
    let object: Map<String, Value> = entries
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    if object.is_empty() {
        Value::Null
    } else {
        object.into()
    }
}

/// A number of bytes: `-1`, `1048576`, `512k`, `64M`, `1.5g`.
fn parse_bytes(text: &str) -> Result<i64, &'static str> {
    let lower = text.to_ascii_lowercase();
    let trimmed = lower.trim_end_matches('b').trim_end_matches('i');
    let (digits, shift) = match trimmed.chars().last() {
        Some('k') => (&trimmed[..trimmed.len() - 1], 10),
        Some('m') => (&trimmed[..trimmed.len() - 1], 20),
        Some('g') => (&trimmed[..trimmed.len() - 1], 30),
        Some('t') => (&trimmed[..trimmed.len() - 1], 40),
        _ => (trimmed, 0),
    };
    let value = digits
        .parse::<i64>()
        .ok()
        .and_then(|value| value.checked_mul(1 << shift));
    value
        .filter(|value| *value >= -1)
        .ok_or("want a number of bytes")
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;
    use crate::cli::{Command, tests::command};

    #[test]
    fn flags_become_resources() {
        let line =
            "update --memory 64M --memory-swap=-1 --cpu-quota 5 --cpuset-cpus 0-1 --pids-limit 9 c";
        let Command::Update(update) = command(line) else {
            panic!("not update");
        };
        let resources = update.limits.resources().unwrap();
        let memory = resources.memory().unwrap();
        assert_eq!((memory.limit(), memory.swap()), (Some(64 << 20), Some(-1)));
        let cpu = resources.cpu().as_ref().unwrap();
        assert_eq!((cpu.quota(), cpu.cpus().as_deref()), (Some(5), Some("0-1")));
        assert_eq!(resources.pids().unwrap().limit(), 9);
        assert!(resources.block_io().is_none());
        let Command::Update(update) = command("update c") else {
            panic!("not update");
        };
        assert!(update.limits.resources().unwrap().memory().is_none());
    }

    #[test]
    fn numbers_of_bytes() {
        assert_eq!(parse_bytes("2KiB").unwrap(), 2048);
        assert_eq!(parse_bytes("7").unwrap(), 7);
        for bad in ["", "x", "-2", "9999999999g", "é"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
