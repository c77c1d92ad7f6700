//! `runsc events`: what a container uses, once or again and again, and when it runs out of memory.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use container::events::{Event, Watch};
use serde_json::{Value, json};

use crate::cli::{Command, Invocation, print};
use crate::flags::{Kind, flag};

pub(crate) const COMMAND: Command = Command {
    name: "events",
    usage: "[flags] ID",
    about: "print what a container uses, and when it runs out of memory, as lines of JSON",
    flags: &[
        flag(
            "interval",
            Kind::Text,
            "5s",
            "time between two samples: 5s, 1m30s, 500ms, or seconds",
        ),
        flag("stats", Kind::Switch, "false", "print one sample and end"),
    ],
    run,
};

fn run(invocation: &Invocation<'_>) -> Result<u8> {
    let id = invocation.only_id()?;
    let text = invocation.flags.text("interval");
    let interval = parse_duration(text).filter(|interval| !interval.is_zero());
    let Some(interval) = interval else {
        bail!("invalid value {text:?} for flag -interval: want a time such as 5s");
    };
    let mut watch = Watch::new(&invocation.config.settings, id)?;
    if invocation.flags.is_set("stats") {
        emit("stats", id, Some(serde_json::to_value(watch.stats())?));
        return Ok(0);
    }
    let mut next = Instant::now() + interval;
    loop {
        match watch.next(next) {
            Event::Due => {
                emit("stats", id, Some(serde_json::to_value(watch.stats())?));
                next += interval;
            }
            Event::OutOfMemory => emit("oom", id, None),
            Event::Ended => return Ok(0),
        }
    }
}

fn emit(kind: &str, id: &str, data: Option<Value>) {
    let mut line = json!({ "type": kind, "id": id });
    if let Some(data) = data {
        line["data"] = data;
    }
    print(&format!("{line}\n"));
}

/// A Go duration, or a number of seconds.
fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let value: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let name = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = rest.get(..name)?;
        rest = rest.get(name..)?;
        let factor = match unit {
            "" if seconds == 0.0 && rest.is_empty() => 1.0,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        seconds += value * factor;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_duration;

    #[test]
    fn durations_of_go() {
        for (text, milliseconds) in [
            ("5s", 5000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("7", 7000),
            ("0.25", 250),
        ] {
            let expected = Some(Duration::from_millis(milliseconds));
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        for bad in ["s", "5x", "-1s", "1s5", "1..2s", "ß"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
