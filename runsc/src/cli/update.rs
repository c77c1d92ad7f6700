//! `runsc update`: other limits for a container.

use std::io::Read;

use anyhow::{Context, Result, bail};
use container::lifecycle;
use container::oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value, json};

use crate::cli::{Command, Invocation};
use crate::flags::{Flag, Kind, Values, flag, ignored};

/// Most bytes of a file with limits.
const MAX_BYTES: u64 = 1 << 20;

const fn bytes(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Text, "", help)
}

const fn number(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Number, "0", help)
}

pub(crate) const COMMAND: Command = Command {
    name: "update",
    usage: "[flags] ID",
    about: "change the limits of a container",
    flags: &[
        flag(
            "resources",
            Kind::Text,
            "",
            "file with linux.resources as JSON, - for standard input; excludes the others",
        )
        .or("r"),
        bytes(
            "memory",
            "most bytes of memory; a suffix k, m, g or t multiplies",
        ),
        bytes(
            "memory-reservation",
            "bytes of memory below which nothing is reclaimed",
        ),
        bytes(
            "memory-swap",
            "most bytes of memory and swap, -1 for no limit",
        ),
        number("cpu-period", "microseconds in which the quota counts"),
        number("cpu-quota", "microseconds of processor time in each period"),
        number("cpu-burst", "microseconds that may be saved up"),
        number("cpu-share", "share of the processor, relative to others"),
        number(
            "cpu-rt-period",
            "microseconds in which the real-time quota counts",
        ),
        number(
            "cpu-rt-runtime",
            "microseconds of real-time scheduling in each period",
        ),
        flag(
            "cpuset-cpus",
            Kind::Text,
            "",
            "processors to run on, such as 0-2,4",
        ),
        flag("cpuset-mems", Kind::Text, "", "memory nodes to use"),
        number("blkio-weight", "share of block devices, 10 to 1000"),
        number("pids-limit", "most processes and threads, -1 for no limit"),
        ignored("kernel-memory", Kind::Text),
        ignored("kernel-memory-tcp", Kind::Text),
        ignored("cpu-idle", Kind::Text),
        ignored("l3-cache-schema", Kind::Text),
        ignored("mem-bw-schema", Kind::Text),
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    let resources = match invocation.flags.nonempty("resources") {
        Some(path) => from_file(path)?,
        None => from_flags(invocation.flags)?,
    };
    lifecycle::update(&invocation.config.settings, id, &resources)?;
    Ok(0)
}

fn from_file(path: &str) -> Result<LinuxResources> {
    let mut text = Vec::new();
    let read = match path {
        "-" => std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_end(&mut text),
        path => {
            std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
        }
    };
    read.with_context(|| format!("cannot read {path}"))?;
    serde_json::from_slice(&text).with_context(|| format!("cannot parse {path}"))
}

fn from_flags(flags: &Values) -> Result<LinuxResources> {
    let mut resources = Map::new();
    let mut set = |group: &str, key: &str, value: Value| {
        let group = resources.entry(group).or_insert_with(|| json!({}));
        group[key] = value;
    };
    for (name, key) in [
        ("memory", "limit"),
        ("memory-reservation", "reservation"),
        ("memory-swap", "swap"),
    ] {
        if let Some(text) = flags.nonempty(name) {
            set("memory", key, json!(parse_bytes(name, text)?));
        }
    }
    for (name, group, key) in [
        ("cpu-period", "cpu", "period"),
        ("cpu-quota", "cpu", "quota"),
        ("cpu-burst", "cpu", "burst"),
        ("cpu-share", "cpu", "shares"),
        ("cpu-rt-period", "cpu", "realtimePeriod"),
        ("cpu-rt-runtime", "cpu", "realtimeRuntime"),
        ("blkio-weight", "blockIO", "weight"),
        ("pids-limit", "pids", "limit"),
    ] {
        if flags.is_given(name) {
            set(group, key, json!(flags.number(name)));
        }
    }
    for (name, key) in [("cpuset-cpus", "cpus"), ("cpuset-mems", "mems")] {
        if let Some(list) = flags.nonempty(name) {
            set("cpu", key, json!(list));
        }
    }
    serde_json::from_value(Value::Object(resources)).context("invalid limits")
}

/// A number of bytes: `-1`, `1048576`, `512k`, `64M`, `1.5g`.
fn parse_bytes(name: &str, text: &str) -> Result<i64> {
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
    match value {
        Some(value) if value >= -1 => Ok(value),
        _ => bail!("invalid value {text:?} for flag -{name}: want a number of bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMAND, from_flags, parse_bytes};
    use crate::flags::parse;

    #[test]
    fn flags_become_resources() {
        let text = "--memory 64M --memory-swap=-1 --cpu-quota 5 --cpuset-cpus 0-1 --pids-limit 9";
        let args: Vec<String> = text.split(' ').map(ToOwned::to_owned).collect();
        let (flags, _) = parse(COMMAND.flags, &args).unwrap();
        let resources = from_flags(&flags).unwrap();
        let memory = resources.memory().unwrap();
        assert_eq!((memory.limit(), memory.swap()), (Some(64 << 20), Some(-1)));
        let cpu = resources.cpu().as_ref().unwrap();
        assert_eq!((cpu.quota(), cpu.cpus().as_deref()), (Some(5), Some("0-1")));
        assert_eq!(resources.pids().unwrap().limit(), 9);
        assert!(resources.block_io().is_none());
    }

    #[test]
    fn numbers_of_bytes() {
        assert_eq!(parse_bytes("m", "2KiB").unwrap(), 2048);
        assert_eq!(parse_bytes("m", "7").unwrap(), 7);
        for bad in ["", "x", "-2", "9999999999g", "é"] {
            assert!(parse_bytes("m", bad).is_err(), "{bad}");
        }
    }
}
